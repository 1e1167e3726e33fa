"""A tree of DICOM files: labels from class folders, or from a table that knows the files."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from hilum import images
from hilum.data.readers import columns, folder, table
from hilum.data.readers.columns import Columns
from hilum.data.readers.headers import Progress, is_dicom, with_facts
from hilum.data.readers.naming import plain
from hilum.data.readers.own import finish
from hilum.types import HilumError, LeftOut, Manifest, as_path

INSTANCE = ("sopinstanceuid", "instanceuid", "sopuid", "imageid")
_USUAL = Columns()


def recognises(paths: Sequence[Path]) -> bool:
    """Whether there is a DICOM file among the images that `images.find` found."""
    return any(map(is_dicom, paths))


def read(root: str | Path, given: Columns = _USUAL, progress: Progress = None) -> Manifest:
    """Read all images of a tree; patient, view, modality, age and sex come from the headers.

    A CSV in the folder gives the labels and whatever else it has, by file (path, name, or name
    without suffix), by SOPInstanceUID (DICOM PS3.3 C.12.1) or by PatientID, in this order; without
    one, class folders do. Raises HilumError where neither is there, or there is one class only.
    """
    home = as_path(root)
    file = _label_table(home, given)
    if file is None:
        return folder.read(home, progress)
    paths, strangers = images.find(home)
    rows, broken = with_facts(pd.DataFrame({"path": [str(path) for path in paths]}), progress)
    told = _told(home, rows, file, given)
    unnamed = [
        LeftOut(path, f"no label in {file.name}") for path in rows["path"][told["label"].isna()]
    ]
    rows = told.combine_first(rows.astype(object))[told["label"].notna()]
    rows, notes = table.translated(rows, file)
    return finish(home, rows, "dicom", (*strangers, *broken, *unnamed), notes)


def _label_table(home: Path, given: Columns) -> Path | None:
    """The only CSV in the folder, if it has labels."""
    tables = table.tables_in(home)
    if len(tables) != 1:
        return None
    found = columns.find(columns.read_text(tables[0]), given, (), str(tables[0]))
    return tables[0] if "label" in found else None


def _told(home: Path, rows: pd.DataFrame, file: Path, given: Columns) -> pd.DataFrame:
    """What the table tells of each image, missing where it does not know the image."""
    listed = columns.read_text(file)
    found = columns.find(listed, given, ("label",), str(file))
    line = pd.Series(float("nan"), index=rows.index)
    for column, values in _keys(home, rows, listed, found):
        line = line.fillna(values.map(_lines(listed, column, found["label"], file)))
    roles = {role: name for role, name in found.items() if role != "path"}
    told = listed[list(roles.values())].mask(listed == "").astype(object)
    return told.reindex(line).set_axis(list(roles), axis=1).set_axis(rows.index)


def _keys(
    home: Path, rows: pd.DataFrame, listed: pd.DataFrame, found: dict[str, str]
) -> list[tuple[str, pd.Series]]:
    """(column of the table, what each image has to show for it), the surest first."""
    keys = []
    paths = rows["path"].map(Path)
    stems = paths.map(lambda path: path.stem)
    if "path" in found:
        below = paths.map(lambda path: path.relative_to(home).as_posix())
        names = paths.map(lambda path: path.name)
        keys += [(found["path"], values) for values in (below, names, stems)]
    instance = next((name for name in listed.columns if plain(name) in INSTANCE), None)
    if instance is not None:
        keys += [(instance, paths.map(_instance_uid)), (instance, stems)]
    if "patient_id" in found:
        keys.append((found["patient_id"], rows["patient_id"]))
    if not keys:
        raise HilumError(
            "a table of labels must name its images by path, SOPInstanceUID or PatientID; got the "
            f"columns {', '.join(map(repr, listed.columns))}; rename one of them."
        )
    return keys


def _lines(listed: pd.DataFrame, column: str, label: str, file: Path) -> dict[str, int]:
    """Key -> the first line that has it; raises HilumError where its lines differ in the label."""
    told = listed[(listed[column] != "") & (listed[label] != "")]
    pairs = told.drop_duplicates([column, label])
    torn = pairs[column][pairs[column].duplicated()]
    if len(torn):
        raise HilumError(
            f"{file} must give one label to each {column}; got several for {torn.iloc[0]!r}; "
            "decide for one."
        )
    return {str(key): int(line) for line, key in pairs[column].items()}


def _instance_uid(path: Path) -> str | None:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        header = dcmread(path, specific_tags=["SOPInstanceUID"], stop_before_pixels=True)
    except (InvalidDicomError, OSError, ValueError, LookupError, NotImplementedError):
        return None  # a PNG among the DICOM files: its name must do
    return str(header.get("SOPInstanceUID", "")) or None
