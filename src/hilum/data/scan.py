"""A look at a manifest before anything is trained: how many of what, and from where."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from hilum import images
from hilum.data.manifest import summarise
from hilum.progress import Advance
from hilum.types import LeftOut, Manifest

UNKNOWN = "unknown"
PROBED = 1000  # headers that are read when the facts are not known yet
_SIZES = ("width", "height", "bits", "bytes")


@dataclass(frozen=True, slots=True)
class ValueSpread:
    """Where a number lies: how many are known, and five points of their distribution."""

    known: int
    least: float | None = None
    lower: float | None = None  # 25th percentile
    median: float | None = None
    upper: float | None = None  # 75th percentile
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """Counts of images by what they are; "unknown" counts those that do not say."""

    images: int
    classes: dict[str, int]
    sources: dict[str, int]
    views: dict[str, int]
    modalities: dict[str, int]
    sexes: dict[str, int]
    licences: dict[str, int]
    parts: dict[str, int]  # the publisher's own split
    by_source: dict[str, dict[str, int]]  # class -> source -> images
    patients: int  # known persons
    images_without_patient: int
    patients_in_two_classes: int
    patients_in_two_parts: int  # of the publisher's own split
    images_per_patient: ValueSpread
    ages: dict[str, ValueSpread]  # years, per class and "all"
    headers_read: int
    headers_broken: int  # images that are counted all the same
    sizes: dict[str, ValueSpread]  # width and height in pixels, bits, bytes
    shapes_by_class: dict[str, dict[str, int]]  # class -> the commonest "width x height" -> images
    formats: dict[str, int]
    left_out: tuple[LeftOut, ...]  # one per reason
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The same as plain dictionaries, lists, text and numbers."""
        return asdict(self)


def scan(
    manifest: Manifest,
    facts: pd.DataFrame | None = None,
    most: int = PROBED,
    progress: Advance | None = None,
    workers: images.Readers = 1,
) -> Scan:
    """Count a manifest's images.

    `facts` are header facts indexed by sample_id, as `prepare_dataset` collects them; without, the
    headers of at most `most` images, evenly drawn from the table, are read now, by `workers`
    processes. Headers that cannot be read are added to what was left out.
    """
    table = manifest.table
    known, faults = (
        (facts, []) if facts is not None else _read_headers(table, most, progress, workers)
    )
    known = known.reindex(columns=list({*known.columns, *_SIZES, "format"}))
    persons = table[table["patient_id"].notna()].groupby("patient_id")
    return Scan(
        images=len(table),
        classes=_counts(table["label"]),
        sources=_counts(table["source"]),
        views=_counts(table["view"]),
        modalities=_counts(table["modality"]),
        sexes=_counts(table["sex"]),
        licences=_counts(table["licence"]),
        parts=_counts(table["official_part"]),
        by_source=_crosstab(table["label"], table["source"]),
        patients=persons.ngroups,
        images_without_patient=int(table["patient_id"].isna().sum()),
        patients_in_two_classes=int((persons["label"].nunique() > 1).sum()),
        patients_in_two_parts=int((persons["official_part"].nunique() > 1).sum()),
        images_per_patient=_summary(persons.size()),
        ages=_age_summaries(table),
        headers_read=len(known),
        headers_broken=len(faults),
        sizes={name: _summary(known[name]) for name in _SIZES},
        shapes_by_class=_shapes(table, known),
        formats=_counts(known["format"]),
        left_out=summarise((*manifest.left_out, *faults)),
        notes=tuple(dict.fromkeys((*manifest.notes, *_aspect_note(known), *_unknown_facts(known)))),
    )


def _aspect_note(facts: pd.DataFrame) -> list[str]:
    """A note where headers say that pixels are not square."""
    count = int(facts["pixel_aspect"].notna().sum()) if "pixel_aspect" in facts else 0
    if not count:
        return []
    return [
        f"{count:,} of {len(facts):,} headers read describe pixels that are not square. "
        "These images are resampled to square pixels, in which their width and height "
        "are given"
    ]


def _unknown_facts(facts: pd.DataFrame) -> tuple[str, ...]:
    """What the headers that were read do not say."""
    if "white" not in facts.columns:
        return ()
    guessed = (facts["white"] == "not stated").sum()
    return images.white_note(int(guessed), len(facts))


def _counts(values: pd.Series) -> dict[str, int]:
    """Images per value, the commonest first."""
    counted = values.astype(object).fillna(UNKNOWN).value_counts()
    return {str(value): int(n) for value, n in counted.items()}


def _crosstab(rows: pd.Series, columns: pd.Series) -> dict[str, dict[str, int]]:
    """Images per pair of values; pairs that do not occur are absent."""
    groups = columns.groupby(rows.astype(object).fillna(UNKNOWN), sort=True)
    return {str(name): _counts(values) for name, values in groups}


def _summary(values: pd.Series) -> ValueSpread:
    numbers = pd.to_numeric(values, errors="coerce").dropna().to_numpy(np.float64)
    if not len(numbers):
        return ValueSpread(0)
    points = np.percentile(numbers, [0, 25, 50, 75, 100])
    return ValueSpread(len(numbers), *(float(point) for point in points))


def _age_summaries(table: pd.DataFrame) -> dict[str, ValueSpread]:
    classes = table["label"].astype(object).fillna(UNKNOWN)
    each = {str(name): _summary(ages) for name, ages in table["age"].groupby(classes, sort=True)}
    return {"all": _summary(table["age"]), **each}


def _shapes(table: pd.DataFrame, facts: pd.DataFrame) -> dict[str, dict[str, int]]:
    """The five commonest sizes per class: a size that only one class has is a shortcut."""
    sized = facts[["width", "height"]].dropna().astype(int)
    texts = sized["width"].astype(str) + " x " + sized["height"].astype(str)
    labels = table.set_index("sample_id")["label"].reindex(texts.index)
    sizes = _crosstab(labels, texts)
    return {name: dict(list(counts.items())[:5]) for name, counts in sizes.items()}


def _read_headers(
    table: pd.DataFrame, most: int, progress: Advance | None, workers: images.Readers
) -> tuple[pd.DataFrame, list[LeftOut]]:
    """Header facts by sample_id of up to `most` images, and those whose header is broken."""
    chosen = np.unique(np.linspace(0, len(table) - 1, min(most, len(table))).round().astype(int))
    facts: dict[str, dict[str, Any]] = {}
    faults = []
    samples, paths = (
        [str(name) for name in table[key].iloc[chosen]] for key in ("sample_id", "path")
    )
    for sample, header in zip(samples, images.read_headers(paths, progress, workers), strict=True):
        if isinstance(header, str):
            faults.append(LeftOut(sample, header))
        else:
            facts[sample] = header
    return pd.DataFrame.from_dict(facts, orient="index"), faults
