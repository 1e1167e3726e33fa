"""What an audit asks, by which rule it answers, and how its answer is written down."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

from hilum.audits.evidence import Evidence
from hilum.types import Finding, HilumError, Status

ZERO = re.compile(r"(?<![\w.-])-(0(?:\.0+)?)(?!\.?\d)")  # "-0.00": a small number, rounded
UNDEFINED = re.compile(r"(?<![\w-])(?:nan|inf)(?![\w-])")  # a number that is none, in a sentence
NONE = (None, None)


@dataclass(frozen=True, slots=True)
class AuditRule:
    """One audit's name, rule and source; `dear` ones are left to `hilum audit`.

    `early` ones ask of the images and their split alone: they are made before any training.
    """

    id: str
    title: str
    rule: str
    reference: str
    dear: bool = False
    early: bool = False

    def found(
        self,
        status: Status,
        value: float | None,
        sentence: str,
        interval: tuple[float, float] | None = None,
    ) -> Finding:
        """The answer: a figure, its 95 % interval where it has one, and one plain sentence.

        A figure that these images leave undefined (0 of 0) is no answer, whatever the status. No
        figure that is rounded to zero keeps a sign.
        """
        sentence = ZERO.sub(r"\1", sentence)
        if (value is not None and not isfinite(value)) or UNDEFINED.search(sentence):
            return self.unknown("a figure of it is undefined on these images (0 of 0)")
        low, high = (None if end is None or not isfinite(end) else end for end in interval or NONE)
        return Finding(
            self.id, status, value, self.rule, self.reference, sentence, self.title, low, high
        )

    def unknown(self, why: str) -> Finding:
        """No answer: `why` ends the sentence "Not checked: ..."."""
        return self.found("unknown", None, f"Not checked: {why.rstrip('.')}.")


@dataclass(frozen=True, slots=True)
class Audit:
    """A row of the table: a question and what answers it."""

    question: AuditRule
    answer: Callable[[Evidence], Finding]

    def __call__(self, evidence: Evidence) -> Finding:
        """The finding; "unknown" with its reason where the answer raised HilumError."""
        try:
            return self.answer(evidence)
        except HilumError as error:
            return self.question.unknown(str(error))
