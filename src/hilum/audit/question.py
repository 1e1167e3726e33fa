"""What an audit asks, by which rule it answers, and how its answer is written down."""

from collections.abc import Callable
from dataclasses import dataclass

from hilum.audit.evidence import Evidence
from hilum.types import Finding, HilumError, Status


@dataclass(frozen=True, slots=True)
class Question:
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
        """The answer: a figure, its 95 % interval where it has one, and one plain sentence."""
        low, high = interval or (None, None)
        return Finding(
            self.id, status, value, self.rule, self.reference, sentence, self.title, low, high
        )

    def unknown(self, why: str) -> Finding:
        """No answer: `why` ends the sentence "Cannot be checked, because ..."."""
        sentence = f"Cannot be checked, because {why.rstrip('.')}."
        return self.found("unknown", None, sentence)


@dataclass(frozen=True, slots=True)
class Audit:
    """A row of the table: a question and what answers it."""

    question: Question
    answer: Callable[[Evidence], Finding]

    def __call__(self, evidence: Evidence) -> Finding:
        """The finding; "unknown" with its reason where the answer raised HilumError."""
        try:
            return self.answer(evidence)
        except HilumError as error:
            return self.question.unknown(str(error))
