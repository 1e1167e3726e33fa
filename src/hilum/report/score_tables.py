"""The scores, as rows that the page can print: headline figures, per class, per cell, published."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hilum.metrics import registry
from hilum.metrics.registry import WHOLE, Metric
from hilum.report.grid_tables import on_other_films
from hilum.report.run_folder import RunFolder
from hilum.report.score_basis import over
from hilum.report.wording import (
    NOT_RECORDED,
    as_sentence,
    class_name,
    interval,
    method_name,
    number,
    prose,
    ratio,
    score_name,
)

ENDS = ("value", "measured", "low", "published")
PAIR = " (against "  # in the name of a score of two classes alone
SHOWN = 3  # headline figures next to the number of images


@dataclass(frozen=True, slots=True)
class IntervalBar:
    """An interval in per cent of the bar's length, with an optional second mark (published)."""

    value: float | None
    low: float | None
    high: float | None
    mark: float | None = None


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """One score, written out."""

    name: str
    class_: str
    value: str
    interval: str
    ratio: str
    method: str
    bar: IntervalBar | None
    further: bool = False  # a second way of averaging, or a spread: not for the first table


@dataclass(frozen=True, slots=True)
class Headline:
    """One of the few figures on top."""

    name: str
    value: str
    notes: tuple[str, ...]
    bar: IntervalBar | None = None


def start(run: RunFolder) -> float:
    """Where every bar of the page begins: at 0.5 where no interval reaches below, else at 0."""
    drawn = [row for row in run.scores if _good(row)]
    ends = [row.get(key) for row in [*drawn, *run.rows("published")] for key in ENDS]
    numbers = [end for end in ends if isinstance(end, int | float)]
    return 0.5 if numbers and min(numbers) >= 0.5 else 0.0


def _good(row: Mapping[str, Any]) -> bool:
    """Whether 1 is the best of this score; not so for errors, nor for "accuracy (sd of folds)"."""
    name = str(row.get("name"))
    metric = registry.find_metric(name)
    return (metric is None or metric.higher_is_better) and "(sd" not in name


def line(row: Mapping[str, Any], begin: float = 0.0) -> ScoreLine:
    """One row of `scores` as the page prints it; its bar runs from `begin` to 1."""
    return ScoreLine(
        name=score_name(str(row.get("name"))),
        class_=class_name(str(row.get("class"))) + over(row),
        value=number(row.get("value")),
        interval=interval(row) if row.get("value") is not None else "",
        ratio=ratio(row),
        method=method_name(str(row.get("method") or "")),
        bar=bar(row, begin) if _good(row) else None,
        further=row.get("class") in ("micro", "weighted") or " (" in str(row.get("name")),
    )


def bar(row: Mapping[str, Any], begin: float = 0.0) -> IntervalBar | None:
    """The bar of a score between 0 and 1; None where it has no value, or another range."""
    value = row.get("value", row.get("measured"))
    parts = (value, row.get("low"), row.get("high"), row.get("published"))
    ends = [_percent(part, begin) for part in parts]
    shown = [end for end in (ends[0], ends[3]) if end is not None]
    if not shown or any(not 0 <= end <= 100 for end in shown):
        return None
    clipped = [None if end is None else min(max(end, 0.0), 100.0) for end in ends]
    return IntervalBar(clipped[0], clipped[1], clipped[2], clipped[3])


def _percent(value: object, begin: float) -> float | None:
    if not isinstance(value, int | float):
        return None
    return round(100 * (float(value) - begin) / (1 - begin), 2)


def chosen_scores(run: RunFolder) -> list[dict[str, Any]]:
    """The scores of the cell that the report shows in full."""
    return [row for row in run.scores if str(row.get("cell")) == run.cell]


def headlines(run: RunFolder) -> list[Headline]:
    """The first metrics of the table's headlines with their intervals, and how many images."""
    rows = [_pick(chosen_scores(run), metric) for metric in registry.headlines()]
    shown = [_headline(run, row) for row in rows if row is not None][:SHOWN]
    return [*shown, _size(run)]


def _pick(rows: Iterable[Mapping[str, Any]], metric: Metric) -> Mapping[str, Any] | None:
    ranked = [row for row in rows if row.get("name") in (metric.name, *metric.aliases)]
    order = {name: i for i, name in enumerate(WHOLE)}
    return min(ranked, key=lambda row: order.get(str(row.get("class")), len(WHOLE)), default=None)


def _headline(run: RunFolder, row: Mapping[str, Any]) -> Headline:
    written = line(row, start(run))
    notes = [f"95% interval {written.interval}" if written.interval else "no interval"]
    notes += [written.ratio] if written.ratio else []
    if row.get("name") == "accuracy":
        notes += _majority(run)
    return Headline(_heading(row), written.value, tuple(notes), written.bar)


def _majority(run: RunFolder) -> list[str]:
    predictions = run.chosen()
    if predictions is None:
        return []
    shares = predictions["label"].value_counts(normalize=True)
    return [f"always answering “{class_name(str(shares.index[0]))}” gives {number(shares.iloc[0])}"]


def _size(run: RunFolder) -> Headline:
    predictions = run.chosen()
    if predictions is None:
        n = run.section("n")
        return Headline(
            "Images", number(n.get("images")), (f"patients: {number(n.get('patients'))}",)
        )
    patients = predictions["patient_id"].dropna().nunique()
    patients_noted = f"{patients:,} patients" if patients else "patients not recorded"
    seeds = predictions["seed"].nunique()
    notes = (patients_noted, f"{seeds} seeds") if seeds > 1 else (patients_noted,)
    return Headline("Test images", number(int(predictions["sample_id"].nunique())), notes)


def overall(run: RunFolder) -> list[ScoreLine]:
    """Scores over all classes."""
    return [line(row, start(run)) for row in chosen_scores(run) if row.get("class") in WHOLE]


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """A table of scores: one row per name, one column per score, None where there is none."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[ScoreLine | None, ...]], ...]
    marked: str = ""  # the row that the page is about
    why: str = "chosen on validation data"


def by_class(run: RunFolder) -> ScoreTable:
    """Scores of each class against the rest: classes down, scores across."""
    rows = [row for row in _of_classes(run) if PAIR not in str(row.get("name"))]
    names = list(dict.fromkeys(str(row.get("name")) for row in rows))
    begin = start(run)
    lines = {(row.get("class"), row.get("name")): line(row, begin) for row in rows}
    classes = [name for name in run.classes if any(key[0] == name for key in lines)]
    body = [(class_name(c), tuple(lines.get((c, name)) for name in names)) for c in classes]
    return ScoreTable(tuple(score_name(name) for name in names), tuple(body))


def by_pair(run: RunFolder) -> list[ScoreLine]:
    """Scores of two classes alone, among all images and inside each source."""
    rows = [row for row in _of_classes(run) if PAIR in str(row.get("name"))]
    return [line(row, start(run)) for row in rows]


def _of_classes(run: RunFolder) -> list[dict[str, Any]]:
    return [row for row in chosen_scores(run) if row.get("class") not in WHOLE]


def by_cell(run: RunFolder) -> ScoreTable | None:
    """The headline scores of every cell, the best first; None where there is only one cell.

    Tests on other films stand after all on the study's own: their figures do not compare.
    """
    cells = list(dict.fromkeys(str(row.get("cell")) for row in run.scores))
    if len(cells) < 2:
        return None
    scores = {cell: [r for r in run.scores if str(r.get("cell")) == cell] for cell in cells}
    heading = registry.headlines()
    picked = {cell: [_pick(rows, metric) for metric in heading] for cell, rows in scores.items()}
    begin = start(run)
    used = [i for i in range(len(heading)) if any(row[i] for row in picked.values())]
    ranked = sorted(picked.items(), key=lambda item: (on_other_films(item[0]), _rank(item[1])))
    body = [
        (cell, tuple(line(score, begin) if (score := row[i]) else None for i in used))
        for cell, row in ranked
    ]
    heads = [next(score for row in picked.values() if (score := row[i])) for i in used]
    parts = run.section("model").get("images") or {}
    unvalidated = parts.get("validation") == 0
    why = {"why": "the first: no image validates"} if unvalidated else {}
    return ScoreTable(tuple(map(_heading, heads)), tuple(body), run.cell, **why)


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task of the study: its figures and where its report lies, or the reason why not."""

    title: str
    verdict: str
    report: str
    reason: str
    figures: tuple[tuple[str, str, str], ...]  # what, value, interval


def further_questions(run: RunFolder) -> list[TaskRow]:
    """The recipe's tasks, each with the leading scores of its chosen cell."""
    return [_question(run, row) for row in run.rows("tasks")]


def _question(run: RunFolder, task: Mapping[str, Any]) -> TaskRow:
    cell = f"{task.get('name')}: {task.get('cell')}"
    rows = [row for row in run.rows("scores") if row.get("cell") == cell]
    scores = {(row.get("name"), row.get("class")): row for row in rows}
    picked = [scores[row.key] for row in registry.spread() if row.key in scores]
    return TaskRow(
        title=str(task.get("title") or task.get("name")),
        verdict=prose(as_sentence(str(task.get("verdict") or ""))),
        report=str(task.get("report") or ""),
        reason=prose(str(task.get("reason") or "")),
        figures=tuple((_heading(r), number(r.get("value")), interval(r)) for r in picked),
    )


def _heading(row: Mapping[str, Any]) -> str:
    of = "" if row.get("class") == "overall" else f", {class_name(str(row.get('class')))}"
    return score_name(str(row.get("name"))) + of + over(row)


def _rank(row: Iterable[Mapping[str, Any] | None]) -> list[float]:
    """Falling by the first score, ties by the next; a cell without one comes last."""
    values = [(score or {}).get("value") for score in row]
    return [-float(value) if isinstance(value, int | float) else 2.0 for value in values]


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One published number next to ours."""

    where: str
    what: str
    published: str
    measured: str
    ratio: str  # k of n of ours
    interval: str
    agrees: str  # "yes", "no" or "not measured"
    bar: IntervalBar | None


def comparisons(run: RunFolder) -> list[PublishedRow]:
    """Published against measured, in the recipe's order."""
    return [_comparison(row, start(run)) for row in run.rows("published")]


def _comparison(row: Mapping[str, Any], begin: float) -> PublishedRow:
    agrees = {True: "yes", False: "no"}.get(row.get("agrees"), "not measured")  # type: ignore[arg-type]
    whole = row.get("class") in ("overall", None, "")
    of = "" if whole else f", {class_name(str(row.get('class')))}"
    threshold = row.get("threshold")
    at = "" if threshold is None else f", from p = {threshold:.2f} on"
    return PublishedRow(
        where=str(row.get("where") or ""),
        what=score_name(str(row.get("name"))) + of + at,
        published=number(row.get("published"), 4),
        measured=number(row.get("measured"), 4),
        ratio=ratio(row),
        interval=interval(row, 4),
        agrees=agrees,
        bar=bar(row, begin),
    )


def cross(left: pd.Series, across: pd.Series, order: list[str], most: int = 8) -> pd.DataFrame:
    """Counts of (left, across): rows in `order`, the `most` commonest columns, then "others"."""
    values = across.astype("object").fillna(NOT_RECORDED).astype(str)
    common = values.value_counts().index[:most]
    if values.nunique() > most + 1:
        values = values.where(values.isin(common), "others")
    table = pd.crosstab(left.astype(str), values)
    columns = values.value_counts().index
    rows = [name for name in order if name in table.index]
    return table.loc[rows, list(columns)].rename_axis(index="class", columns=None)
