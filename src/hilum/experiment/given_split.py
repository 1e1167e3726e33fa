"""A set's own split, used as given: parts by a column or by folders, or numbers of folds."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from hilum.data import splits
from hilum.data.splits import GroupBy
from hilum.types import HilumError, Manifest, Split

PARTS = ("train", "validation", "test")
FOLD = re.compile(r"fold (\d+)")
OWN = ("folder", "table", "dicom")  # a user's own datasets: the user can fill in what is missing
ANEW = "set split.kind to holdout or kfold (--set split.kind=holdout) for a new split"


@dataclass(frozen=True, slots=True)
class SplitRequest:
    """Input of a split: images, share that validates, seed, groups, near duplicates."""

    manifest: Manifest
    validation: float
    seed: int
    group: GroupBy
    clusters: pd.Series | None


def counts(table: pd.DataFrame) -> dict[str, int]:
    """Images by part of the set's own split, in order; those without one are not counted."""
    by_part = table["official_part"].dropna().value_counts().to_dict()
    order = [*(part for part in PARTS if part in by_part), *sorted(set(by_part) - set(PARTS))]
    return {name: int(by_part[name]) for name in order}


def in_words(parts: Mapping[str, int]) -> str:
    """Counts by part, as "54 train, 12 validation, 24 test"."""
    return ", ".join(f"{count:,} {name}" for name, count in parts.items())


def unused(table: pd.DataFrame, because: str) -> tuple[str, ...]:
    """The note that a set's own split is not used, where it has one."""
    parts = counts(table)
    return (f"The set's own split ({in_words(parts)}) is not used: {because}.",) if parts else ()


def divide(request: SplitRequest) -> tuple[Split | None, tuple[str, ...]]:
    """The split that the set brings, or None where it has none that can test; and notes.

    Validation images are drawn from the training images where none are given; where no test
    images are, the validation images are tested. Raises HilumError for a split that is blank in
    places, has words that mean no part, or trains nothing.
    """
    table = request.manifest.table
    parts = counts(table)
    blank = int(table["official_part"].isna().sum())
    if not parts:
        return None, ()
    if blank and not table["dataset"].isin(OWN).all():
        return None, unused(table, f"{blank:,} images have no part in it")
    _require(parts, blank)
    if set(parts) == {"train"}:
        return None, unused(table, "it has no image to test on")
    _require_trained(table)
    if any(map(FOLD.fullmatch, parts)):
        return _folds(request, parts), ()
    return _parts(request, parts), ()


def _require(parts: Mapping[str, int], blank: int) -> None:
    folds = [name for name in parts if FOLD.fullmatch(name)]
    odd = [name for name in parts if name not in PARTS and name not in folds]
    if odd:
        raise HilumError(
            "a column of splits must say train, validation or test; got "
            f"{', '.join(f'{name!r} ({parts[name]:,} images)' for name in odd[:5])}; "
            f"correct these words, or {ANEW}."
        )
    if blank:
        raise HilumError(
            f"a column of splits must give a part to every image; got {in_words(parts)} and "
            f"{blank:,} images without one; fill it in, leave those images out, or {ANEW}."
        )
    if len(folds) == 1 or (folds and len(folds) < len(parts)):
        raise HilumError(
            f"a column of folds must number two or more of them; got {in_words(parts)}; "
            f"correct it, or {ANEW}."
        )
    if not folds and "train" not in parts:
        raise HilumError(
            f"a set's own split must have training images; got {in_words(parts)}; add a train "
            f"part, or {ANEW}."
        )


def _folds(request: SplitRequest, parts: Mapping[str, int]) -> Split:
    table = request.manifest.table.set_index("sample_id")["official_part"]
    number = table.str.extract(FOLD, expand=False).astype("int64")
    places = {value: place for place, value in enumerate(sorted(set(number)))}
    split = splits.folds_given(
        request.manifest, number.map(places), request.validation, request.seed, request.group,
        request.clusters,
    )  # fmt: skip
    note = (
        f"The set's own folds are used as given ({in_words(parts)}); each is tested once, and "
        "validation images are drawn from the others."
    )
    return _with_note(split, note)


def _parts(request: SplitRequest, parts: Mapping[str, int]) -> Split:
    manifest, note = request.manifest, f"The set's own split is used as given ({in_words(parts)})."
    tested = "test" in parts
    if not tested:
        table = manifest.table
        moved = table["official_part"].replace("validation", "test")
        manifest = Manifest(table.assign(official_part=moved), manifest.left_out, manifest.notes)
        note += " It has no test image that can be used: its validation images are tested, and "
        note += "nothing is chosen by them."
    validates = tested and "validation" in parts
    split = splits.official(
        manifest,
        None if validates else request.validation,
        request.seed,
        request.group,
        request.clusters,
    )
    if not validates and request.validation:
        count = int((split.table["part"] == "validation").sum())
        note += f" {count} validation images are drawn from its training images."
    return _with_note(split, note)


def _require_trained(table: pd.DataFrame) -> None:
    """Raise HilumError where a class is tested without being trained."""
    part, label = table["official_part"], table["label"]
    numbered = part.str.fullmatch(FOLD).any()
    for name in sorted(set(label)):
        parts = set(part[label == name])
        if (len(parts) < 2) if numbered else ("train" not in parts):
            raise HilumError(
                f"every class must have training images; got {name!r} in "
                f"{', '.join(sorted(parts))} alone by the set's own split; correct it, or {ANEW}."
            )


def _with_note(split: Split, note: str) -> Split:
    return Split(split.table, split.kind, split.grouped_by, split.seed, (note, *split.notes))
