"""Folders of train, validation and test above the images of a table: a split of its own."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from hilum.datasets.vocabulary import fold_name, part_name


def with_parts(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Rows with `official_part` by the folders that `path` goes through, where nothing else says.

    Only where every image lies in exactly one such folder, and in two of them, training one, or in
    two numbered folds.
    """
    if "official_part" in rows and rows["official_part"].notna().any():
        return rows, []
    homes = rows["path"].map(_home)
    folders = homes.unique().tolist()
    base = os.path.commonpath(folders) if folders else ""
    for means in (part_name, fold_name):
        part_by_home = {home: part_of(os.path.relpath(home, base), means) for home in folders}
        distinct = set(part_by_home.values())
        usable = means is fold_name or "train" in distinct
        if None not in distinct and usable and len(distinct) > 1:
            named = ", ".join(sorted(map(str, distinct)))
            note = f"The folders above the images ({named}) are their split."
            parts = homes.map(part_by_home).astype(object)
            return rows.assign(official_part=parts), [note]
    return rows, []


def _home(path: str) -> str:
    return os.path.dirname(path) or "."  # noqa: PTH120 - a Path for each of a million files


def part_of(folder: str, means: Callable[[str], str | None] = part_name) -> str | None:
    """The part (or fold) that one folder of the path names; None where none or several do."""
    named = [part for name in Path(folder).parts if (part := means(name))]
    return named[0] if len(named) == 1 else None


def lost_parts(every: Iterable[str | None], kept: Iterable[str | None], why: str) -> list[str]:
    """Notes on validation and test images where none is kept, because `why`; parts by image."""
    listed, left = list(every), set(kept)
    return [
        f"None of the {listed.count(part):,} {part} images can be used: {why}."
        for part in ("validation", "test")
        if part in listed and part not in left
    ]


def lost_rows(every: pd.DataFrame, kept: pd.DataFrame) -> list[str]:
    """Notes on the validation or test images of a table where none has a label and a file."""
    unlabelled = every[every["label"] == ""]
    parts = [_stated_parts(rows) for rows in (every, unlabelled, kept)]
    bare = {part for part in parts[0] if parts[0].count(part) == parts[1].count(part)}
    return [
        *lost_parts([p for p in parts[0] if p in bare], parts[2], "they have no label"),
        *lost_parts(
            [p for p in parts[0] if p not in bare], parts[2], "they have no label, or no file"
        ),
    ]


def _stated_parts(rows: pd.DataFrame) -> list[str | None]:
    """By row, what its column of splits says, or else the folders of its path."""
    if "official_part" in rows:
        return [part_name(str(word)) for word in rows["official_part"]]
    return [part_of(str(Path(path).parent)) for path in rows["path"]]
