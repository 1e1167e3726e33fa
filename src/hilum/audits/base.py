"""What an audit is: its rule, and the function that applies it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

from hilum.audits.evidence import Evidence
from hilum.types import CLASS_NAMES, Finding, HilumError, Status

ZERO = re.compile(r"(?<![\w.-])-(0(?:\.0+)?)(?!\.?\d)")  # "-0.00": a small number, rounded
UNDEFINED = re.compile(r"(?<![\w-])(?:nan|inf)(?![\w-])")  # an undefined number, in a sentence
KEYS = "|".join(key for key, name in CLASS_NAMES.items() if key != name)
CLASS_KEY = re.compile(rf"(?<![\w./\\-])(?:{KEYS})(?![\w/\\-])")  # not inside a path
NONE = (None, None)


def with_class_names(sentence: str) -> str:
    """The sentence with "COVID-19" for "covid19", and so for every class that has another name."""
    return CLASS_KEY.sub(lambda match: CLASS_NAMES[match[0]], sentence)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRule:
    """One audit's name, its rule in words, and where the rule comes from."""

    id: str
    title: str
    rule: str
    source: str
    remedy: str = ""  # what to do where it fails, to go on with after a colon
    severity: int  # the higher, the earlier it is reported; in tens, so that another fits between
    expensive: bool = False  # left to `hilum audit`
    before_training: bool = False  # needs the images and their split alone
    leakage: bool = False  # of what is on both sides of the split, or of model and test
    whole_set: bool = False  # seen on all images and tested for chance: holds on few test images

    def finding(
        self,
        status: Status,
        value: float | None,
        sentence: str,
        interval: tuple[float, float] | None = None,
    ) -> Finding:
        """The answer: a figure, its 95% interval where it has one, and a plain sentence.

        A figure that is undefined on these images (0 of 0) gives no answer, whatever the status.
        Figures that round to zero lose their sign; classes get the names that people know.
        """
        sentence = with_class_names(ZERO.sub(r"\1", sentence))
        if (value is not None and not isfinite(value)) or UNDEFINED.search(sentence):
            return self.unknown("it is undefined on these images (0 of 0)")
        low, high = (None if end is None or not isfinite(end) else end for end in interval or NONE)
        return Finding(
            self.id, status, value, self.rule, self.source, sentence, self.title, low, high
        )

    def unknown(self, why: str) -> Finding:
        """No answer: `why` ends the sentence "Not checked: ..."."""
        return self.finding("unknown", None, f"Not checked: {why.rstrip('.')}.")


@dataclass(frozen=True, slots=True)
class Audit:
    """A row of the table: a rule, and the function that applies it to evidence."""

    rule: AuditRule
    check: Callable[[Evidence], Finding]
    shares: str = ""  # what it computes with others, which one process makes for all of them

    def __call__(self, evidence: Evidence) -> Finding:
        """The finding; "unknown" with its reason where the check raised HilumError."""
        try:
            return self.check(evidence)
        except HilumError as error:
            return self.rule.unknown(str(error))
