"""The head of a report: whose run it is, its images and its model; and its contents."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hilum.report import sections
from hilum.report.run_folder import OWN_DATA, RunFolder
from hilum.report.sections import AuditRow
from hilum.report.verdict_languages import translated_verdicts
from hilum.report.wording import NOT_RECORDED, as_sentence, count, prose
from hilum.types import NOTICE

CONTENTS = {  # anchors and headings, in the order of the page
    "verdict": "Verdict",
    "questions": "Questions of this study",
    "published": "Published and measured",
    "scores": "Scores",
    "curves": "Confusion and curves",
    "study": "Where the model looks",
    "errors": "Worst errors",
    "audits": "Audits",
    "data": "Data",
    "split": "Split",
    "limits": "Limits",
    "training": "Training",
    "model": "Model card",
    "provenance": "Provenance",
    "citation": "What to cite",
    "glossary": "Glossary",
}
FOLDED = (
    "training",
    "model",
    "provenance",
    "citation",
    "glossary",
)  # reference matter, opened on demand
CONCERNS = ("fail", "warn")  # said under the verdict
TALLY = {"fail": "failed", "warn": "warned", "pass": "passed", "unknown": "could not be checked"}
OWN_RECIPE = "default"
EXTERNAL, TRAINED_BY = "external", "Model trained by recipe"  # the test itself has no recipe
MODES = {
    "published": "as published (the paper's protocol with its methodological errors)",
    "corrected": "corrected (the paper's methodological errors are fixed)",
}


def heading(run: RunFolder) -> dict[str, Any]:
    """Title, what kind of run it is, recipe, mode, model and date."""
    recipe = str(run.results.get("recipe") or "")
    title = str(run.results.get("title") or recipe or run.folder.name)
    folder = folder_name(run)
    return {
        "title": folder or title,
        "kind": title if folder else "",
        "recipe": "" if folder else recipe,
        "recipe_is": TRAINED_BY if run.results.get("mode") == EXTERNAL else "Recipe",
        "mode": _mode(run),
        "cell": run.cell,
        "model_name": run.cell
        if _cells(run) > 1
        else run.section("model").get("backbone", run.cell),
        "date": sections.date(run),
        "notice": str(run.results.get("notice") or NOTICE),
    }


def judgement(run: RunFolder, audits: Sequence[AuditRow]) -> dict[str, Any]:
    """Verdict, traffic light and tally of the audits; these parted by outcome."""
    tally = Counter(audit.status.name for audit in audits)
    counted = [f"{tally[name]} {word}" for name, word in TALLY.items() if tally[name]]
    return {
        "verdict": prose(as_sentence(str(run.results.get("verdict") or f"Verdict {NOT_RECORDED}"))),
        "standing": sections.standing(run),
        "languages": translated_verdicts(run),
        "tally": f"{count(len(audits), 'audit')}: {', '.join(counted)}."
        if audits
        else "No audit was run.",
        "concerns": [audit for audit in audits if audit.status.name in CONCERNS],
        "unchecked": [audit for audit in audits if audit.status.name == "unknown"],
        "passed": [audit for audit in audits if audit.status.name == "pass"],
    }


def contents(run: RunFolder) -> dict[str, str]:
    """Anchors and headings; the figures that a recipe asks for are those of its study."""
    asked = run.recipe.get("figures") or []
    maps_alone = [asked] if isinstance(asked, str) else [*asked]
    heading_of_study = {} if maps_alone == ["heatmaps"] else {"study": "Figures of the study"}
    return CONTENTS | heading_of_study


def folder_name(run: RunFolder) -> str:
    """The last part of the folder or table that a run of own images was given; else ""."""
    data = run.recipe.get("data") or []
    own = run.own_data and str(run.results.get("recipe")) == OWN_RECIPE
    paths = [row.get("path") for row in data if isinstance(row, Mapping)]
    if not own or len(paths) != 1 or not paths[0]:
        return ""
    return re.split(r"[/\\]", str(paths[0]).rstrip("/\\"))[-1]


def set_title(run: RunFolder, name: str, title: str) -> str:
    """The heading of a dataset's card: one's own folder by its name."""
    return (folder_name(run) or title) if name in OWN_DATA else title


def _cells(run: RunFolder) -> int:
    return len({row.get("cell") for row in run.scores})


def _mode(run: RunFolder) -> str:
    """The mode, explained where there is a paper that it is about; none of one's own images."""
    mode = str(run.results.get("mode") or NOT_RECORDED)
    if run.own_data and mode == "corrected":
        return ""
    return MODES.get(mode, mode) if run.rows("published") else mode
