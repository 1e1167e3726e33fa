"""Folders of train, validation and test above the images of a table: a split of its own."""

import os
from pathlib import Path

import pandas as pd

from hilum.datasets.vocabulary import part_name


def with_parts(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Rows with `official_part` by the folders that `path` goes through, where nothing else says.

    Only where every image lies in exactly one such folder and two of them, training one, are there.
    """
    if "official_part" in rows and rows["official_part"].notna().any():
        return rows, []
    folders = [str(Path(path).parent) for path in rows["path"]]
    base = os.path.commonpath(folders) if folders else ""
    parts = [_part(os.path.relpath(folder, base)) for folder in folders]
    found = set(parts)
    if None in found or "train" not in found or len(found) < 2:
        return rows, []
    note = f"The folders above the images ({', '.join(sorted(map(str, found)))}) are their split."
    return rows.assign(official_part=parts), [note]


def _part(below: str) -> str | None:
    """The part that one folder of the path names; None where none or several do."""
    named = [part for name in Path(below).parts if (part := part_name(name))]
    return named[0] if len(named) == 1 else None
