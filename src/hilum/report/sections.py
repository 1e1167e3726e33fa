"""What the run records about data, split, audits, model and environment, as rows to print."""

import operator
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from hilum.metrics.intervals import FEW_IMAGES
from hilum.preprocess.lungs.masks import MEASURED
from hilum.report import leak_check
from hilum.report.palette import STATUSES, Status
from hilum.report.run_folder import RunFolder
from hilum.report.score_tables import chosen_scores, cross
from hilum.report.wording import NOT_RECORDED, number, plain_value, prose, title

DATES = ("finished", "date", "time", "created", "started")
SET_FACTS = {
    "images": ("images", "n_images"),
    "patients": ("patients", "n_patients"),
    "licence": ("licence", "license"),
    "source": ("source", "sources", "origin"),
    "population": ("population",),
    "ages": ("single_age", "ages"),
    "lung masks": ("mask_convention",),
    "known shortcuts": ("shortcuts", "known_shortcuts"),
    "notes": ("notes",),
    "citation": ("citation", "cite", "paper", "reference"),
    "where": ("home", "homepage", "url"),
}
ASKED = ("images", "patients", "licence", "source", "known shortcuts", "citation")
PARTS = ("train", "validation", "test")
COUNTED = re.compile(
    r"(?:^|, )(\d[\d,]*) (?:image|row|file|mask|entr)\w* (?:\(|ending in|named|with)"
)
KINDS = {
    "kfold": "cross-validation, each image is tested once",
    "holdout": "one division into training, validation and test",
    "official": "as the images came divided: by their publisher, a column or folders",
}


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One dataset's card: facts under the headings that each has, and whatever else it records."""

    name: str
    title: str
    facts: tuple[tuple[str, str], ...]
    more: tuple[tuple[str, str], ...]
    citation: str


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One audit's finding, ready to print."""

    id: str
    title: str
    status: Status
    value: str
    rule: str
    reference: str
    sentence: str


def date(run: RunFolder) -> str:
    """When the run was finished, as it says itself."""
    environment = run.section("environment")
    when = next((str(environment[key]) for key in DATES if environment.get(key)), NOT_RECORDED)
    return when.replace("T", " ").replace("Z", " UTC").replace("+00:00", " UTC")


def sets(run: RunFolder) -> list[DatasetRow]:
    """The datasets of `data`: under "sets", or directly under their names."""
    data = run.section("data")
    cards = data.get("sets", data)
    if isinstance(cards, Mapping):
        named = [(str(k), v) for k, v in cards.items() if isinstance(v, Mapping)]
    else:
        rows = [v for v in cards or [] if isinstance(v, Mapping)]
        named = [(str(v.get("name", i + 1)), v) for i, v in enumerate(rows)]
    return [_set(name, card) for name, card in named]


def _set(name: str, card: Mapping[str, Any]) -> DatasetRow:
    listed = {key for keys in SET_FACTS.values() for key in keys} | {"title", "name"}
    values = {head: _first(card, keys) for head, keys in SET_FACTS.items()}
    more = tuple((title(str(k)), plain_value(v)) for k, v in card.items() if k not in listed)
    citation = plain_value(values["citation"]) if values["citation"] else ""
    shown = {head: value for head, value in values.items() if value is not None or head in ASKED}
    facts = tuple((head, plain_value(value)) for head, value in shown.items())
    return DatasetRow(name, str(card.get("title") or name), facts, more, citation)


def _first(card: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    value = next((card[key] for key in keys if card.get(key) not in (None, "", [])), None)
    return number(value) if isinstance(value, int) and not isinstance(value, bool) else value


@dataclass(frozen=True, slots=True)
class Omission:
    """What was not used for one reason: how many, and the names that are recorded."""

    reason: str
    n: int
    names: tuple[str, ...]


def left_out(run: RunFolder) -> list[Omission]:
    """What was not used, by reason, the commonest first, with every name that left_out.csv has.

    Reasons that differ by a measured figure are one: "too uncertain (0.921, at least 0.925)".
    """
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in _omitted(run):
        groups[MEASURED.sub("", _reason(row))].append(row)
    listed = _left_out_names(run)
    items = [
        Omission(
            reason,
            sum(map(_how_many, rows)),
            listed.get(reason) or tuple(str(row.get("what")) for row in rows),
        )
        for reason, rows in groups.items()
    ]
    return sorted(items, key=lambda item: -item.n)


def _left_out_names(run: RunFolder) -> dict[str, tuple[str, ...]]:
    """The names in left_out.csv by reason."""
    if run.left_out is None:
        return {}
    reasons = run.left_out["reason"].astype(str).str.replace(MEASURED, "", regex=True)
    groups = run.left_out["what"].astype(str).groupby(reasons, sort=False)
    return {str(reason): tuple(names) for reason, names in groups}


def _omitted(run: RunFolder) -> list[Mapping[str, Any]]:
    rows = run.section("data").get("left_out") or []
    return [row for row in rows if isinstance(row, Mapping)]


def _reason(row: Mapping[str, Any]) -> str:
    return str(row.get("reason") or NOT_RECORDED)


def _how_many(row: Mapping[str, Any]) -> int:
    """The row's `count`, of things; earlier versions counted "153 images (a, b, ...)" as one."""
    recorded = row.get("count")
    n = recorded if isinstance(recorded, int) and not isinstance(recorded, bool) else 1
    counts = [int(count.replace(",", "")) for count in COUNTED.findall(str(row.get("what")))]
    return n if n >= sum(counts) else n + sum(counts) - len(counts)


def failed_cells(run: RunFolder) -> list[tuple[str, str]]:
    """Cells of the grid that could not be run, each with the reason.

    They are in `model.failed`, or in left_out.csv under reasons that the data do not have.
    """
    failed = run.section("model").get("failed")
    if isinstance(failed, Mapping):
        return [(str(cell), str(reason)) for cell, reason in failed.items()]
    if isinstance(failed, list):
        rows = [row for row in failed if isinstance(row, Mapping)]
        return [(str(r.get("cell", r.get("what"))), str(r.get("reason"))) for r in rows]
    if run.left_out is None or "left_out" not in run.section("data"):
        return []
    of_data = {_reason(row) for row in _omitted(run)}
    others = run.left_out[~run.left_out["reason"].isin(of_data)]
    return [(str(what), str(why)) for what, why in others[["what", "reason"]].to_numpy()]


def labels_by_source(run: RunFolder) -> pd.DataFrame | None:
    """Images of each class (rows) by source (columns), over all data or else the test data."""
    images = run.manifest if run.manifest is not None else run.chosen()
    if images is None:
        return None
    images = images.dropna(subset=["label"]).drop_duplicates("sample_id")
    return cross(images["label"], images["source"], run.classes)


def parts(run: RunFolder) -> pd.DataFrame | None:
    """Images per fold and part (rows) and class (columns), from the split and the labels."""
    if run.splits is None:
        return None
    labels = run.splits["sample_id"].map(_labels(run)).astype("object")
    joined = run.splits.assign(label=labels.fillna(NOT_RECORDED))
    joined["rank"] = joined["part"].map({part: i for i, part in enumerate(PARTS)})
    counts = joined.groupby(["fold", "rank", "part", "label"]).size().unstack(fill_value=0)
    order = [name for name in run.classes if name in counts.columns]
    order += [name for name in counts.columns if name not in order]
    return counts[order].reset_index().drop(columns="rank")


def _labels(run: RunFolder) -> "pd.Series[str]":
    images = run.manifest if run.manifest is not None else run.predictions
    if images is None:
        return pd.Series(dtype="str")
    return images.drop_duplicates("sample_id").set_index("sample_id")["label"]


def division(run: RunFolder) -> list[tuple[str, str]]:
    """How the images were divided, in words."""
    split = run.section("split")
    if "grouped_by" in split:
        split = {**split, "grouped_by": leak_check.grouped_by(run, str(split["grouped_by"]))}
    rows = dict(pairs(split, without=("notes", "leaks", "counts", "checked")))
    if split.get("seeds") and len(split["seeds"]) > 1:
        rows.pop("seed", None)
    else:
        rows.pop("seeds", None)
    kind = KINDS.get(str(split.get("kind")))
    return list((rows | {"kind": f"{split['kind']}: {kind}"} if kind else rows).items())


def pairs(record: Mapping[str, Any], without: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """A dictionary of `results.json` as rows of (heading, text)."""
    return [
        (title(str(key)), plain_value(value)) for key, value in record.items() if key not in without
    ]


def audits(run: RunFolder) -> list[AuditRow]:
    """The audits: what fails, warns, could not be checked, passes; among these as listed."""
    rows = [_audit(row) for row in run.rows("audits")]
    return sorted(rows, key=operator.attrgetter("status.rank"))


def slower_audits(run: RunFolder) -> list[str]:
    """The audits that a run left out: their titles, then their ids, which the record has first."""
    named = (str(name).partition(" (") for name in run.results.get("left_to_audit") or [])
    return [f"{words.removesuffix(')')} ({code})" if words else code for code, _, words in named]


def _audit(row: Mapping[str, Any]) -> AuditRow:
    status = STATUSES.get(str(row.get("status")), STATUSES["unknown"])
    return AuditRow(
        id=str(row.get("id") or "–"),
        title=str(row.get("title") or ""),
        status=status,
        value=_with_interval(row),
        rule=str(row.get("rule") or "–"),
        reference=str(row.get("reference") or "–"),
        sentence=prose(str(row.get("sentence") or NOT_RECORDED)),
    )


def _with_interval(row: Mapping[str, Any]) -> str:
    """An audit's figure, with its interval where it has one."""
    low, high = row.get("low"), row.get("high")
    value = number(row.get("value"))
    if low is None or high is None:
        return value
    return f"{value} ({number(low)} to {number(high)})"


def standing(run: RunFolder) -> Status:
    """The traffic light: the worst audit's, red for a model no better than chance.

    Green needs more than the absence of failures: at least half of the audits could be made.
    """
    rows = audits(run)
    checked = [audit.status for audit in rows if audit.status.name != "unknown"]
    worst = min(checked, key=lambda status: status.rank, default=STATUSES["unknown"])
    if worst.name != "fail" and _few(run):
        return replace(STATUSES["unknown"], verdict="Too few test images to say")
    if worst.name != "fail" and _chance(run):
        return replace(STATUSES["fail"], verdict="No better than chance")
    if worst.name == "pass" and 2 * len(checked) < len(rows):
        return replace(STATUSES["unknown"], verdict="Most audits could not be run")
    return worst


def _few(run: RunFolder) -> bool:
    """Whether the test images are fewer than a judgement needs, as the verdict has it."""
    predictions = run.chosen()
    return predictions is not None and predictions["sample_id"].nunique() < FEW_IMAGES


def _chance(run: RunFolder) -> bool:
    """Whether the interval of the macro AUROC reaches down to 0.5."""
    areas = [
        row
        for row in chosen_scores(run)
        if row.get("name") == "auroc" and row.get("class") == "macro"
    ]
    return any(isinstance(row.get("low"), float) and row["low"] <= 0.5 for row in areas)


def leaks(run: RunFolder) -> list[tuple[str, list[dict[str, Any]]]]:
    """Pairs of images across a split's border, by kind."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in run.section("split").get("leaks") or []:
        if isinstance(row, Mapping):
            groups[str(row.get("kind") or NOT_RECORDED)].append(dict(row))
    return sorted(groups.items(), key=lambda item: -len(item[1]))
