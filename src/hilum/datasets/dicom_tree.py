"""A tree of images, DICOM most of all: labels from class folders, or from a table that knows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hilum import images
from hilum.datasets import class_folders, columns, label_table, table
from hilum.datasets.columns import Columns
from hilum.datasets.dicom_headers import Progress, is_dicom, with_facts
from hilum.datasets.patients import build_manifest
from hilum.types import HilumError, LeftOut, Manifest, as_path

_USUAL = Columns()


@dataclass(frozen=True, slots=True)
class TreeOptions:
    """What a user adds about a tree: a CSV of labels from anywhere, the DICOM tag of its source."""

    labels: str = ""  # path of the CSV; "": the only CSV in the tree, or class folders
    source_tag: str = ""  # a keyword, "none", or "": the usual ones where nothing else says it
    unlabelled: bool = False  # folders of patients may stand for no class: labels are not needed
    fewest: int = 2  # classes that there must be; 1 for an external test
    workers: images.Readers = 1  # processes that read headers


_NOTHING = TreeOptions()


def recognises(paths: Sequence[Path]) -> bool:
    """Whether there is a DICOM file among the images that `images.list_images` found."""
    return any(map(is_dicom, paths))


def read_dicom_tree(
    root: str | Path,
    roles: Columns = _USUAL,
    progress: Progress = None,
    options: TreeOptions = _NOTHING,
) -> Manifest:
    """Read all images of a tree; patient, view, modality, age and sex come from DICOM headers.

    A table gives the labels and whatever else it has (`label_table.KEYS` name its images): that of
    `options`, or the only CSV in the folder; without one, class folders do. Raises HilumError
    where neither is there, or there are too few classes.
    """
    home = as_path(root)
    file = as_path(options.labels) if options.labels else _label_table(home, roles)
    if file is None:
        return class_folders.read_class_folders(
            home, progress, options.source_tag, options.unlabelled, options.fewest, options.workers
        )
    _require_file(file)
    paths, strangers = images.list_images(home)
    listed = pd.DataFrame({"path": [str(path) for path in paths]})
    rows, broken = with_facts(listed, progress, options.workers)
    _require_images(rows, home)
    labelled = label_table.label_images(home, rows, file, roles)
    unnamed = [
        LeftOut(path, f"no label in {file.name}")
        for path in rows["path"][labelled.cells["label"].isna()]
    ]
    rows = labelled.cells.combine_first(rows.astype(object))[labelled.cells["label"].notna()]
    rows, notes = table.translated(rows, file, unnamed, options.fewest)
    left_out = (*strangers, *broken, *unnamed, *labelled.left_out)
    kind = "dicom" if recognises(paths) else "folder"
    return build_manifest(home, rows, kind, left_out, (*labelled.notes, *notes), options.source_tag)


def _label_table(home: Path, roles: Columns) -> Path | None:
    """The only CSV in the folder, if it has labels."""
    tables = table.tables_in(home)
    if len(tables) != 1:
        return None
    columns_by_role = columns.find_columns(columns.read_text(tables[0]), roles, (), str(tables[0]))
    return tables[0] if "label" in columns_by_role else None


def _require_file(file: Path) -> None:
    if not file.is_file():
        got = "a folder" if file.is_dir() else "no such file"
        raise HilumError(
            f"--labels must be a CSV that names images and their labels; got {str(file)!r}, "
            f"{got}; check the path."
        )


def _require_images(rows: pd.DataFrame, home: Path) -> None:
    if rows.empty:
        raise HilumError(f"{home} must hold images; got no readable one; check the path.")
