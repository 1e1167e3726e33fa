"""A verdict in a few sentences that a clinician understands, derived from scores and findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hilum.audits.registry import AUDITS, by_severity
from hilum.metrics.intervals import FEW_IMAGES
from hilum.types import CLASS_NAMES, Finding, Score

if TYPE_CHECKING:
    import pandas as pd

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DO_NOT_TRUST = "Do not trust this classifier yet"
CAUTION = "Read with caution"
WORSE_THAN_CHANCE = "This classifier is worse than chance"
NO_BETTER_THAN_CHANCE = "No evidence that this classifier learned anything"
NOTHING_KNOWN = "Nothing is known about this classifier"
TOO_FEW = "Too few test images to say"
ONE_CLASS = "Only one class was tested"
NO_SHORTCUT = "found no shortcut"
KINDS = {  # by what a verdict of this kind, and no other, says
    "nothing_known": NOTHING_KNOWN,
    "too_few": TOO_FEW,
    "one_class": ONE_CLASS,
    "worse_than_chance": WORSE_THAN_CHANCE,
    "no_better_than_chance": NO_BETTER_THAN_CHANCE,
    "do_not_trust": DO_NOT_TRUST,
    "caution": CAUTION,
    "no_shortcut": NO_SHORTCUT,
}


def verdict(
    scores: Sequence[Score],
    findings: Sequence[Finding],
    tested: Mapping[str, int] | None = None,
    steps: Sequence[str] = (),
    external: Sequence[Score] = (),
) -> str:
    """What the reader should believe, worst finding first; says how many audits could not run.

    `tested`: test images of each class, each image once. Fewer than FEW_IMAGES in all are too few
    to say how good a classifier is, and a class without any is named; where the set itself is at
    fault (an audit of the whole set fails) that comes first. `steps` of preprocessing that the
    model has already are no advice. `external` are the scores of the recipe's external test.
    """
    ordered = by_severity(findings)
    failed = [finding for finding in ordered if finding.status == "fail"]
    warned = [finding for finding in ordered if finding.status == "warn"]
    unknown = sum(finding.status == "unknown" for finding in findings)
    accuracy = _score(scores, "accuracy")
    elsewhere = _score(external, "accuracy")
    also = f" and {elsewhere.value:.1%} of those of the external test" if elsewhere else ""
    lead = "scored"
    if accuracy:
        lead = f"{accuracy.value:.1%} of test images{also} are classified correctly"
    absent = _classes_without_images(tested or {})
    if findings and unknown == len(findings):
        return f"{NOTHING_KNOWN}: none of {unknown} checks could be run."
    limits = _limits(tested or {})
    sentence = (
        _without_judgement(lead + _counted(accuracy) + absent, limits, failed, warned)
        if accuracy and limits
        else _judgement(scores, lead + absent, failed, warned, len(findings) - unknown)
    )
    missing = f" {unknown} of {len(findings)} checks could not be run." if unknown else ""
    return (
        sentence
        + missing
        + (_next_step(failed, steps) if sentence.startswith(DO_NOT_TRUST) else "")
    )


def kind_of(sentence: str) -> str:
    """Which of KINDS a verdict is, "" for none: of another version, or not a verdict."""
    return next((kind for kind, words in KINDS.items() if words in sentence), "")


def tested(predictions: pd.DataFrame, classes: Sequence[str]) -> dict[str, int]:
    """Class -> test images, each counted once however many seeds have tested it."""
    labels = predictions.drop_duplicates("sample_id")["label"]
    return {name: int((labels == name).sum()) for name in classes}


def _classes_without_images(tested: Mapping[str, int]) -> str:
    """That some of the classes have no test image, where others have."""
    absent = [CLASS_NAMES.get(name, name) for name, n in tested.items() if not n]
    some = any(tested.values()) and absent
    return f", with no test image of {' or '.join(absent)}" if some else ""


def _limits(tested: Mapping[str, int]) -> tuple[str, str] | None:
    """(heading, reason) where the test images cannot show how good the classifier is."""
    n, present = sum(tested.values()), [name for name, count in tested.items() if count]
    if 0 < n < FEW_IMAGES:
        least = f"there should be at least {FEW_IMAGES}"
        images = "There is only 1 test image" if n == 1 else f"There are only {n} test images"
        return TOO_FEW, f"{images}; {least}."
    if len(present) == 1 and len(tested) > 1:
        return (
            ONE_CLASS,
            "These images cannot show whether it separates the classes.",
        )
    return None


def _without_judgement(
    lead: str,
    limits: tuple[str, str],
    failed: list[Finding],
    warned: list[Finding],
) -> str:
    """No judgement on the figures; what audits have found of the set stays true."""
    certain = [finding for finding in failed if AUDITS[finding.id].rule.whole_set]
    heading, reason = limits
    if certain:
        rest = _others([finding for finding in failed if finding is not certain[0]], "failed")
        return f"{DO_NOT_TRUST}: {lead}, but {_lower(certain[0].sentence)}{rest} {reason}"
    sentence = f"{heading}: {lead}. {reason}"
    if failed:
        return f"{sentence} Even so, {_lower(failed[0].sentence)}{_others(failed[1:], 'failed')}"
    return sentence + _others(warned, "gave a warning", more="")


def _counted(accuracy: Score | None) -> str:
    """The accuracy's k of n and its interval, in brackets."""
    if accuracy is None:
        return ""
    counted = [] if accuracy.k is None else [f"{accuracy.k} of {accuracy.n}"]
    known = accuracy.low is not None and accuracy.high is not None
    ends = [f"95% interval {accuracy.low:.0%} to {accuracy.high:.0%}"] if known else []
    return f" ({', '.join(counted + ends)})" if counted or ends else ""


def _judgement(
    scores: Sequence[Score], lead: str, failed: list[Finding], warned: list[Finding], ran: int
) -> str:
    if _worse_than_chance(scores):
        return (
            f"{WORSE_THAN_CHANCE}: {lead}. Labels may be inverted somewhere, or "
            "BatchNorm may be in the wrong mode."
        )
    if _no_better_than_chance(scores):
        accuracy = _score(scores, "accuracy")
        return (
            f"{NO_BETTER_THAN_CHANCE}: {lead}{_counted(accuracy)}, "
            "no better than chance (the interval of AUROC reaches 0.5)."
        )
    if failed:
        rest = _others(failed[1:], "failed")
        return f"{DO_NOT_TRUST}: {lead}, but {_lower(failed[0].sentence)}{rest}"
    if warned:
        rest = _others(warned[1:], "gave a warning")
        return f"{CAUTION}: {lead}, but {_lower(warned[0].sentence)}{rest}"
    checks = "the one check that ran" if ran == 1 else f"the {ran} checks that ran"
    return (
        f"{lead[0].upper()}{lead[1:]}, and {checks} {NO_SHORTCUT}. "
        "Test it at another hospital before you rely on it."
    )


def _others(findings: Sequence[Finding], how: str, more: str = "more ") -> str:
    """How many other audits failed or warned, and their names."""
    if not findings:
        return ""
    names = "; ".join(_lower_first(AUDITS[finding.id].rule.title) for finding in findings)
    n = len(findings)
    number = NUMBERS[n].capitalize() if n < len(NUMBERS) else str(n)
    return f" {number} {more}{'check' if n == 1 else 'checks'} {how} ({names})."


def _next_step(failed: Sequence[Finding], steps: Sequence[str]) -> str:
    """What to do about the worst failure that something can be done about."""
    remedies = [_not_done(AUDITS[finding.id].rule.remedy, steps) for finding in failed]
    first = next(filter(None, remedies), "")
    return f" Next step: {first}." if first else ""


def _not_done(remedy: str, steps: Sequence[str]) -> str:
    """The parts of a remedy that name none of these steps; both films of lungs are such a crop."""
    done = {*steps, *(["crop_lungs"] if "film_and_lungs" in steps else [])}
    parts = remedy.split(", and ")
    return ", and ".join(part for part in parts if not any(f"(step {s})" in part for s in done))


def _worse_than_chance(scores: Sequence[Score]) -> bool:
    """Wirgård Wiklund et al. 2020 met such a network: a lucky one would not stay below 0.5."""
    auroc = _score(scores, "auroc", "macro")
    return auroc is not None and auroc.high is not None and auroc.high < 0.5


def _no_better_than_chance(scores: Sequence[Score]) -> bool:
    auroc = _score(scores, "auroc", "macro")
    return auroc is not None and auroc.low is not None and auroc.low <= 0.5


def _score(scores: Sequence[Score], name: str, class_: str = "overall") -> Score | None:
    return next((s for s in scores if s.name == name and s.class_ == class_), None)


def _lower(sentence: str) -> str:
    """The first sentence of what an audit finds, to go on with after a comma."""
    first = sentence.partition(". ")[0].removesuffix(".")
    return f"{_lower_first(first)}."


def _lower_first(words: str) -> str:
    """The words with a small first letter, but "COVID-19" and "AUROC" as they are."""
    return words if words[1:2].isupper() else f"{words[:1].lower()}{words[1:]}"
