"""One sentence that a clinician understands, derived from scores and findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hilum.audits.registry import AUDITS, by_severity
from hilum.metrics.intervals import FEW_IMAGES
from hilum.types import CLASS_NAMES, Finding, Score

if TYPE_CHECKING:
    import pandas as pd


def verdict(
    scores: Sequence[Score], findings: Sequence[Finding], tested: Mapping[str, int] | None = None
) -> str:
    """What the reader should believe, worst finding first; says how many audits could not run.

    `tested`: test images of each class, each image once. Fewer than FEW_IMAGES in all are too few
    to say how good a classifier is, and a class without any is named; where the set itself is at
    fault (an audit of the whole set fails) that comes first.
    """
    ordered = by_severity(findings)
    failed = [finding for finding in ordered if finding.status == "fail"]
    warned = [finding for finding in ordered if finding.status == "warn"]
    unknown = sum(finding.status == "unknown" for finding in findings)
    accuracy = _score(scores, "accuracy")
    lead = f"{accuracy.value:.1%} of test images are classified correctly" if accuracy else "scored"
    lead += _classes_without_images(tested or {})
    if findings and unknown == len(findings):
        return f"Nothing is known of this classifier: none of {unknown} audits could be made."
    limits = _limits(tested or {})
    sentence = (
        _without_judgement(accuracy, lead, limits, failed, warned)
        if accuracy and limits
        else _judgement(scores, lead, failed, warned, len(findings) - unknown)
    )
    missing = f" {unknown} of {len(findings)} audits could not be made." if unknown else ""
    return sentence + missing


def tested(predictions: pd.DataFrame, classes: Sequence[str]) -> dict[str, int]:
    """Class -> test images, each counted once however many seeds have tested it."""
    labels = predictions.drop_duplicates("sample_id")["label"]
    return {name: int((labels == name).sum()) for name in classes}


def _classes_without_images(tested: Mapping[str, int]) -> str:
    """That some of the classes have no test image, where others have."""
    absent = [CLASS_NAMES.get(name, name) for name, n in tested.items() if not n]
    some = any(tested.values()) and absent
    return f" (no test image is of {' or '.join(absent)})" if some else ""


def _limits(tested: Mapping[str, int]) -> tuple[str, str] | None:
    """(heading, reason) where the test images cannot show what the classifier is worth."""
    n, present = sum(tested.values()), [name for name, count in tested.items() if count]
    if 0 < n < FEW_IMAGES:
        images = "1 test image" if n == 1 else f"{n} test images"
        least = f"at least {FEW_IMAGES} are wanted"
        return "Too few to say", f"{images} cannot show what a classifier is worth, {least}"
    if len(present) == 1 and len(tested) > 1:
        return (
            "One class alone",
            "whether it tells the classes apart cannot be seen on these images",
        )
    return None


def _without_judgement(
    accuracy: Score,
    lead: str,
    limits: tuple[str, str],
    failed: list[Finding],
    warned: list[Finding],
) -> str:
    """No judgement on the figures; what audits have found of the set stays true."""
    counted = "" if accuracy.k is None else f", {accuracy.k} of {accuracy.n}"
    known = accuracy.low is not None and accuracy.high is not None
    ends = f" (95 % interval {accuracy.low:.0%} to {accuracy.high:.0%})" if known else ""
    certain = [finding for finding in failed if AUDITS[finding.id].rule.whole_set]
    heading, reason = limits
    if certain:
        rest = _others([finding for finding in failed if finding is not certain[0]], "fail")
        return (
            f"Do not trust this classifier yet: {lead}{counted}{ends}, but "
            f"{_lower(certain[0].sentence)}{rest} Besides, {reason}."
        )
    sentence = f"{heading}: {lead}{counted}{ends}; {reason}."
    if failed:
        return f"{sentence} Even so: {_lower(failed[0].sentence)}{_others(failed[1:], 'fail')}"
    return sentence + _others(warned, "warn").replace(" too.", ".")


def _judgement(
    scores: Sequence[Score], lead: str, failed: list[Finding], warned: list[Finding], ran: int
) -> str:
    if _worse_than_chance(scores):
        return (
            f"This classifier is worse than chance: {lead}; labels may be inverted somewhere, or "
            "BatchNorm in the wrong mode."
        )
    if _no_better_than_chance(scores):
        return f"This classifier has learnt nothing that shows: {lead}, no better than chance."
    if failed:
        rest = _others(failed[1:], "fail")
        return f"Do not trust this classifier yet: {lead}, but {_lower(failed[0].sentence)}{rest}"
    if warned:
        rest = _others(warned[1:], "warn")
        return f"Read with caution: {lead}; {_lower(warned[0].sentence)}{rest}"
    return (
        f"{lead[0].upper()}{lead[1:]}, and the {ran} audits that ran found no shortcut; "
        "test it on another hospital before you believe it."
    )


def _others(findings: Sequence[Finding], how: str) -> str:
    """The names of those that are not told in full."""
    if not findings:
        return ""
    names = ", ".join(finding.id for finding in findings)
    return f" {names} {how if len(findings) > 1 else f'{how}s'} too."


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
    return f"{first[0].lower()}{first[1:]}."
