"""Two runs side by side on one page: verdicts, scores with intervals, and paired differences."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

from hilum import files
from hilum.files import ours
from hilum.metrics.paired_tests import Difference
from hilum.report import heading, render, score_tables, sections
from hilum.report.run_folder import RunFolder
from hilum.report.score_tables import ScoreLine
from hilum.report.wording import plain_value, prose
from hilum.types import NOTICE, HilumError

SURE = 0.05  # corrected p below which a difference is marked
REFERENCE = ("title", "name", "paper", "published", "cost")  # of a recipe: they change no result


@dataclass(frozen=True, slots=True)
class Pairing:
    """The test images of both runs: how many are shared, the differences on them, and notes."""

    images: int
    differences: Sequence[Difference]  # second minus first
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One score of both runs, as far as each has it, and the paired difference."""

    name: str
    class_: str
    lines: tuple[ScoreLine | None, ScoreLine | None]
    difference: str = ""
    interval: str = ""
    p: str = ""
    sure: bool = False


def build_side_by_side(runs: tuple[RunFolder, RunFolder], pairing: Pairing, target: Path) -> Path:
    """Write a page that compares two runs to `target`, and return it.

    Raises HilumError where `target` is a folder or a run's own report.
    """
    is_report = target.name == "report.html" and (target.parent / "results.json").is_file()
    if target.is_dir() or is_report:
        raise HilumError(
            f"--html needs the name of a new file; got {str(target)!r}, which is "
            f"{'a folder' if target.is_dir() else 'the report of a run'}; "
            "give another name."
        )
    files.require_own(target, ours.PAGE, "--html")
    roots = [root for run in runs for root in render.roots(run)]
    text = render.render_template("side_by_side.html.j2", context(runs, pairing, target), roots)
    with files.atomic_write(target) as draft:
        draft.write_text(text, encoding="utf-8")
    return target


def context(runs: tuple[RunFolder, RunFolder], pairing: Pairing, target: Path) -> dict[str, Any]:
    """Everything that the template prints."""
    return {
        "title": " and ".join(run.folder.resolve().name for run in runs),
        "notice": NOTICE,
        "sides": [_side(run, target) for run in runs],
        "rows": score_rows(runs, pairing.differences),
        "begin": f"{min(map(score_tables.start, runs)):g}",
        "images": pairing.images,
        "notes": [prose(note) for note in pairing.notes],
        "settings": settings_apart(runs),
        "audits": _audits(runs),
    }


def _side(run: RunFolder, target: Path) -> dict[str, Any]:
    report = run.folder.resolve() / "report.html"
    audits = sections.audits(run)
    return {
        **heading.heading(run),
        **heading.judgement(run, audits),
        "folder": run.folder.resolve().name,
        "report": _address(report, target) if report.is_file() else "",
        "headlines": score_tables.headlines(run),
    }


def _address(report: Path, target: Path) -> str:
    """Where a report is, seen from the page; "" where no relative path leads there."""
    try:
        return Path(os.path.relpath(report, target.resolve().parent)).as_posix()
    except ValueError:  # another drive
        return ""


def score_rows(
    runs: tuple[RunFolder, RunFolder], differences: Sequence[Difference]
) -> list[ScoreRow]:
    """The scores of either run's chosen model, in the first one's order, each with its test."""
    begin = min(map(score_tables.start, runs))
    first, second = (
        {
            (str(row.get("name")), str(row.get("class"))): score_tables.line(row, begin)
            for row in score_tables.chosen_scores(run)
        }
        for run in runs
    )
    tests = {(row.name, row.class_): row for row in differences}
    rows = []
    for key in dict.fromkeys([*first, *second]):
        lines = (first.get(key), second.get(key))
        shown = next(line for line in lines if line is not None)
        test = tests.get(key)
        if not shown.further:
            words = _tested(test) if test is not None else {}
            rows.append(ScoreRow(shown.name, shown.class_, lines, **words))
    return rows


def _tested(row: Difference) -> dict[str, Any]:
    return {
        "difference": "" if isnan(row.difference) else f"{row.difference:+.3f}",
        "interval": "" if isnan(row.low) else f"{row.low:+.3f} to {row.high:+.3f}",
        "p": "" if isnan(row.p_holm) else "< 0.001" if row.p_holm < 0.001 else f"{row.p_holm:.3f}",
        "sure": row.p_holm < SURE,
    }


def settings_apart(runs: tuple[RunFolder, RunFolder]) -> list[tuple[str, str, str]]:
    """Settings of the recipes that differ: the key, and the value of either run."""
    one, other = (dict(_flat(run.recipe)) for run in runs)
    return [
        (key, plain_value(one.get(key)), plain_value(other.get(key)))
        for key in dict.fromkeys([*one, *other])
        if one.get(key) != other.get(key) and key.partition(".")[0] not in REFERENCE
    ]


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _audits(runs: tuple[RunFolder, RunFolder]) -> list[dict[str, Any]]:
    """Each audit of either run, by its number: what came of it in both."""
    found = [{audit.id: audit for audit in sections.audits(run)} for run in runs]
    rows = []
    for name in sorted({*found[0], *found[1]}):
        both = [one.get(name) for one in found]
        title = next(audit.title for audit in both if audit is not None)
        rows.append({"id": name, "title": title, "both": both})
    return rows
