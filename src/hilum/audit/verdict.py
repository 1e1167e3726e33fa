"""One sentence that a clinician understands, derived from scores and findings."""

from collections.abc import Sequence

from hilum.types import Finding, Score


def verdict(scores: Sequence[Score], findings: Sequence[Finding]) -> str:
    """What the reader should believe, worst finding first; says how many audits could not run."""
    failed = [finding for finding in findings if finding.status == "fail"]
    warned = [finding for finding in findings if finding.status == "warn"]
    unknown = sum(finding.status == "unknown" for finding in findings)
    accuracy = _score(scores, "accuracy")
    lead = f"{accuracy.value:.1%} of test images are classified correctly" if accuracy else "scored"
    return f"{_judgement(scores, lead, failed, warned, len(findings) - unknown)}" + (
        f" {unknown} of {len(findings)} audits could not be made." if unknown else ""
    )


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
        return f"Do not trust this classifier yet: {lead}, but {_lower(failed[0].sentence)}"
    if warned:
        return f"Read with caution: {lead}; {_lower(warned[0].sentence)}"
    return (
        f"{lead[0].upper()}{lead[1:]}, and the {ran} audits that ran found no shortcut; "
        "test it on another hospital before you believe it."
    )


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
    return sentence[0].lower() + sentence[1:]
