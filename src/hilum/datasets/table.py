"""A user's own table: one row per image with its path, its label and whatever else is known."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from hilum import images
from hilum.data import missing
from hilum.data.tidy import MODALITIES
from hilum.datasets import (
    class_names,
    columns,
    folder_levels,
    one_hot,
    part_flags,
    part_folders,
    table_paths,
    values,
)
from hilum.datasets.columns import Columns
from hilum.datasets.dicom_headers import Progress, is_dicom, with_facts
from hilum.datasets.patients import PATIENTS, build_manifest
from hilum.datasets.vocabulary import part_name
from hilum.files import ours
from hilum.types import HilumError, LeftOut, Manifest, as_path

MOST_CLASSES = 100  # more distinct labels than that are no classes
FOLD = re.compile(r"(?:fold[ _-]?)?(\d{1,4})(?:\.0+)?", re.IGNORECASE)
ONE_EACH = {
    "label": "label",
    "patient_id": "patient",
    "official_part": "part of the split",
    "fold": "fold",
}
_USUAL = Columns()


def recognises(folder: Path, roles: Columns) -> bool:
    """Whether the folder holds one CSV, and that has a path and a label column.

    Columns of marks count as labels unless there are class folders.
    """
    tables = tables_in(folder)
    if len(tables) != 1:
        return False
    where = str(tables[0])
    try:
        listed = columns.read_text(tables[0])
        columns_by_role = columns.find_columns(listed, roles, ("path",), where)
    except HilumError:
        return False
    return "label" in columns_by_role or (
        one_hot.has_marks(listed, roles, where) and not _has_class_folders(folder)
    )


def _has_class_folders(folder: Path) -> bool:
    """Whether a table of marks next to the images may be about something else than classes."""
    try:
        folder_levels.read_levels(folder, images.list_images(folder)[0])
    except HilumError:
        return False
    return True


def tables_in(folder: Path) -> list[Path]:
    """The visible CSV files right in `folder`, but for the list of patients and hilum's answers."""
    return [
        item
        for item in sorted(folder.iterdir())
        if item.suffix.lower() in (".csv", ".tsv")
        and item.is_file()
        and item.name != PATIENTS
        and not item.name.startswith((".", "~$"))  # macOS's twin, Excel's lock
        and not ours.is_answers(item)
    ]


def read_image_table(
    path: str | Path,
    roles: Columns = _USUAL,
    progress: Progress = None,
    source_tag: str = "",
    fewest: int = 2,
    workers: images.Readers = 1,
) -> Manifest:
    """Read a CSV, or a folder with exactly one, into a manifest.

    Paths are meant from the CSV's folder; a bare file name is also looked for below it. Columns
    are found by their usual names (`columns.USUAL`) unless `roles` names them. Rows without a
    label, without an image or listed twice are left out. Raises HilumError for a column that is not
    there, an image with two labels, patients, parts or folds, or fewer classes than `fewest`.
    `workers` processes read headers.
    """
    file = _the_table(as_path(path))
    rows, column_notes = _rows(file, roles)
    every = rows
    rows, left_out, path_notes = _usable(rows, file)
    path_notes += part_folders.lost_rows(every, rows)
    rows, notes = translated(rows, file, left_out, fewest)
    dicom = any(map(is_dicom, rows["path"]))
    rows, broken = with_facts(rows, progress, workers) if dicom else (rows, [])
    notes = [*column_notes, *path_notes, *notes]
    return build_manifest(file.parent, rows, "table", (*left_out, *broken), notes, source_tag)


def _rows(file: Path, roles: Columns) -> tuple[pd.DataFrame, list[str]]:
    """The table with one column for each role that it has, and what was understood as what."""
    cells = columns.read_cells(file)
    listed, flagged = part_flags.folded(columns.blanked(cells), roles, str(file))
    listed, notes = one_hot.folded(listed, roles, str(file))
    notes = [*flagged, *notes]
    columns_by_role = columns.find_columns(listed, roles, ("path", "label"), str(file))
    for name in columns_by_role.values():
        notes += missing.note(cells[name], name) if name in cells else []
    return pd.DataFrame({role: listed[name] for role, name in columns_by_role.items()}), notes


def _the_table(path: Path) -> Path:
    if not path.is_dir():
        return path
    tables = tables_in(path)
    if len(tables) != 1:
        names = ", ".join(item.name for item in tables[:5]) or "none"
        raise HilumError(f"{path} must hold exactly one CSV; got {names}; name the file itself.")
    return tables[0]


def _usable(rows: pd.DataFrame, file: Path) -> tuple[pd.DataFrame, list[LeftOut], list[str]]:
    """Rows with a label and an image that is there, once each, with absolute paths; and notes."""
    named = rows["path"] != ""
    labelled = rows["label"] != ""
    lines = rows.index + 2  # as an editor counts them, below the line of names
    left_out = [LeftOut(f"line {line}", "no path") for line in lines[~named]]
    left_out += _why(rows["path"][named & ~labelled], "no label")
    kept = rows[named & labelled]
    places = table_paths.locate(list(kept["path"]), file.parent)
    missing_files = [
        LeftOut(p, why) for p, why in zip(kept["path"], places.reasons, strict=True) if why
    ]
    _refuse_nowhere(kept["path"], missing_files, file)
    located = kept.assign(path=pd.Series(places.files, index=kept.index, dtype=object))
    located = located[located["path"].notna()]
    _refuse_torn(located)
    again = located["path"].duplicated()
    repeated = _why(kept.loc[located.index[again], "path"], "listed more than once")
    usable = located[~again].reset_index(drop=True)
    return usable, [*left_out, *missing_files, *repeated], places.notes()


def _why(names: pd.Series, reason: str) -> list[LeftOut]:
    return [LeftOut(str(name), reason) for name in names]


def _refuse_nowhere(paths: pd.Series, missing_files: Sequence[LeftOut], file: Path) -> None:
    """Raise HilumError where no path of the table leads to an image."""
    if not len(paths) or len(missing_files) < len(paths):
        return
    path, why = missing_files[0].what, missing_files[0].reason
    raise HilumError(
        f"{file} must name images that exist; got {len(missing_files):,} of {len(paths):,} paths "
        f"that lead nowhere, such as {path!r} ({why}; looked for "
        f"{table_paths.first_place(path, file.parent)}, then for the name below {file.parent}); "
        "put the table next to its images, correct the paths, "
        "or name the right column with --path-column."
    )


def _refuse_torn(rows: pd.DataFrame) -> None:
    """Raise HilumError where one image is said to be of two classes, patients, parts or folds."""
    for role, what in ONE_EACH.items():
        if role not in rows:
            continue
        values_of_role = rows[role].mask(rows[role] == "")
        kinds = values_of_role.groupby(rows["path"]).nunique()
        torn = kinds[kinds > 1].index
        if len(torn):
            raise HilumError(
                f"every image must have one {what}; got {len(torn)} with several, such as "
                f"{torn[0]!r}; decide for one."
            )


def translated(
    rows: pd.DataFrame, file: Path, left_out: Sequence[LeftOut] = (), fewest: int = 2
) -> tuple[pd.DataFrame, list[str]]:
    """Findings to labels, splits to official parts, mask paths made absolute, formulas disarmed."""
    rows = rows.mask(rows == "").astype(object)  # also a column without any value
    names, notes = class_names.classes(rows["label"].dropna().unique())
    require_classes(names.values(), file, left_out, fewest)
    words = {
        role: columns.harmless(rows[role]) for role in ("source", "licence", "view") if role in rows
    }
    rows = rows.assign(
        label=rows["label"].map(names), finding=columns.harmless(rows["label"]), **words
    )
    if {"official_part", "fold"} & set(rows):
        rows, doubts = _parts(rows)
        notes += doubts
    if "age" in rows:
        rows, doubts = _ages(rows)
        notes += doubts
    if "modality" in rows:
        rows, doubts = _modalities(rows)
        notes += doubts
    if "mask_path" in rows:
        rows, doubts = _masks(rows, file.parent)
        notes += doubts
    return rows, notes


def _ages(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Years, also from "061Y" or "18M"; other words say no age, and a note names them."""
    years = pd.to_numeric(rows["age"], errors="coerce")
    rest = rows["age"].notna() & years.isna()
    years = years.fillna(rows["age"][rest].map(lambda text: values.age(str(text))).astype(float))
    odd = sorted(set(columns.harmless(rows["age"][rest & years.isna()].astype(str))))
    named = ", ".join(repr(word) for word in odd[:5])
    return rows.assign(age=years), [f"Ages that are no number ({named}) count as missing."] * bool(
        odd
    )


def _masks(rows: pd.DataFrame, folder: Path) -> tuple[pd.DataFrame, list[str]]:
    named = rows["mask_path"].fillna("")
    places = table_paths.locate(list(named), folder, masks=True)
    absent = [path for path, file in zip(named, places.files, strict=True) if path and not file]
    count = "1 lung mask is" if len(absent) == 1 else f"{len(absent):,} lung masks are"
    notes = [f"{count} not there, such as {absent[0]!r}."] if absent else []
    files = pd.Series(places.files, index=rows.index, dtype=object)
    return rows.assign(mask_path=files), [*places.notes("masks"), *notes]


def require_classes(
    classes: Iterable[str], file: Path, left_out: Sequence[LeftOut] = (), fewest: int = 2
) -> None:
    """Raise HilumError unless there are `fewest` to MOST_CLASSES; say what was left out before."""
    names = sorted(set(classes))
    if fewest <= len(names) <= MOST_CLASSES:
        return
    got = f"only {(*names, 'none')[0]!r}" if len(names) < 2 else f"{len(names):,} different labels"
    reasons = Counter(item.reason for item in left_out)
    beside = ", ".join(f"{count:,} with {reason}" for reason, count in reasons.items())
    raise HilumError(
        f"{file} must have images of {fewest} to {MOST_CLASSES} classes; got {got}"
        f"{f' (left out: {beside})' if beside else ''}; "
        "name the right column with --label-column, or correct the table."
    )


def _modalities(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Radiograph or slice; other words say neither, and a note names them."""
    modalities = rows["modality"].str.lower().map(MODALITIES)
    odd = sorted(set(columns.harmless(rows["modality"])[modalities.isna()].dropna()))
    named = ", ".join(repr(word) for word in odd[:5])
    notes = [f"Modalities other than X-ray and CT ({named}) count as missing."] if odd else []
    return rows.assign(modality=modalities), notes


def _parts(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Official parts, or "fold 3"; a word that means none stays, for training to refuse."""
    unknown = pd.Series(None, index=rows.index, dtype=object)
    words, number = (rows.get(name, unknown).astype("str") for name in ("official_part", "fold"))
    rows = rows.drop(columns="fold", errors="ignore")
    notes = []
    if words.isna().all():
        words = number.map(_fold, na_action="ignore").astype("str")
    elif number.notna().any():
        notes.append("The column of folds is not used, since there is a column of splits.")
    parts = words.map(part_name, na_action="ignore")
    folds = words.astype("str").str.fullmatch(r"fold \d+").fillna(value=False).astype(bool)
    odd = sorted(set(columns.harmless(words[parts.isna() & ~folds]).dropna()))
    if odd:
        notes.append(
            f"The column of splits has words that mean neither train, validation nor test, such as "
            f"{odd[0]!r}."
        )
    return rows.assign(official_part=parts.where(parts.notna(), columns.harmless(words))), notes


def _fold(cell: str) -> str:
    """ "fold 3" of "3", "3.0" or "Fold_3"; anything else as it is."""
    hit = FOLD.fullmatch(cell)
    return f"fold {int(hit[1])}" if hit else cell
