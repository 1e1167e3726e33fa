"""A user's own table: one row per image with its path, its label and whatever else is known."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from hilum import images
from hilum.data.readers import columns
from hilum.data.readers.columns import Columns
from hilum.data.readers.headers import Progress, is_dicom, with_facts
from hilum.data.readers.naming import class_name, merged, part_name
from hilum.data.readers.own import PATIENTS, finish
from hilum.data.tidy import MODALITIES
from hilum.types import HilumError, LeftOut, Manifest, as_path

MOST_CLASSES = 100  # more distinct labels than that are no classes
_USUAL = Columns()


def recognises(folder: Path, given: Columns) -> bool:
    """Whether the folder holds one CSV, and that has a path and a label column."""
    tables = tables_in(folder)
    if len(tables) != 1:
        return False
    try:
        columns.find(columns.read_text(tables[0]), given, ("path", "label"), str(tables[0]))
    except HilumError:
        return False
    return True


def tables_in(folder: Path) -> list[Path]:
    """The CSV files right in `folder`, but for the list of patients."""
    return [
        item
        for item in sorted(folder.iterdir())
        if item.suffix.lower() in (".csv", ".tsv") and item.is_file() and item.name != PATIENTS
    ]


def read(path: str | Path, given: Columns = _USUAL, progress: Progress = None) -> Manifest:
    """Read a CSV, or a folder with exactly one, into a manifest.

    Paths are meant from the CSV's folder; a bare file name is also looked for below it. Columns
    are found by their usual names (`columns.USUAL`) unless `given`. Rows without a label, without
    an image or listed twice are left out. Raises HilumError for a column that is not there, an
    image with two labels, or fewer than two classes.
    """
    file = _the_table(as_path(path))
    table = columns.read_text(file)
    found = columns.find(table, given, ("path", "label"), str(file))
    rows = pd.DataFrame({role: table[name] for role, name in found.items()})
    rows, left_out = _usable(rows, file.parent)
    rows, notes = translated(rows, file)
    dicom = any(map(is_dicom, rows["path"]))
    rows, broken = with_facts(rows, progress) if dicom else (rows, [])
    return finish(file.parent, rows, "table", (*left_out, *broken), notes)


def _the_table(path: Path) -> Path:
    if not path.is_dir():
        return path
    tables = tables_in(path)
    if len(tables) != 1:
        names = ", ".join(item.name for item in tables[:5]) or "none"
        raise HilumError(f"{path} must hold exactly one CSV; got {names}; name the file itself.")
    return tables[0]


def _usable(rows: pd.DataFrame, folder: Path) -> tuple[pd.DataFrame, list[LeftOut]]:
    """Rows with a label and a readable path, once each, with absolute paths."""
    named = rows["path"] != ""
    labelled = rows["label"] != ""
    lines = rows.index + 2  # as an editor counts them, below the line of names
    left_out = [LeftOut(f"line {line}", "no path") for line in lines[~named]]
    left_out += _why(rows["path"][named & ~labelled], "no label")
    kept = rows[named & labelled]
    located = kept.assign(path=_located(kept["path"], folder))
    left_out += _why(kept["path"][located["path"].isna()], "no such image")
    located = located[located["path"].notna()]
    _refuse_two_labels(located)
    again = located["path"].duplicated()
    left_out += _why(located["path"][again], "listed more than once")
    return located[~again].reset_index(drop=True), left_out


def _why(names: pd.Series, reason: str) -> list[LeftOut]:
    return [LeftOut(str(name), reason) for name in names]


def _located(paths: pd.Series, folder: Path) -> list[str | None]:
    """Absolute path of each image, or None where there is none, or several of a bare name."""
    direct = [os.path.normpath(folder / path) for path in paths.str.replace("\\", "/")]
    there = [_is_file(path) for path in direct]
    below = {} if all(there) else _by_name(folder)
    return [
        path if found else below.get(name)
        for path, found, name in zip(direct, there, paths, strict=True)
    ]


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # a name too long, or with a NUL
        return False


def _by_name(folder: Path) -> dict[str, str]:
    paths, _ = images.find(folder)
    counts = Counter(path.name for path in paths)
    return {path.name: str(path) for path in paths if counts[path.name] == 1}


def _refuse_two_labels(rows: pd.DataFrame) -> None:
    kinds = rows.groupby("path")["label"].nunique()
    torn = kinds[kinds > 1].index
    if len(torn):
        raise HilumError(
            f"every image must have one label; got {len(torn)} with several, such as "
            f"{torn[0]!r}; decide for one."
        )


def translated(rows: pd.DataFrame, file: Path) -> tuple[pd.DataFrame, list[str]]:
    """Findings to labels, splits to official parts, mask paths made absolute, formulas disarmed."""
    rows = rows.mask(rows == "")
    findings = rows["label"].unique()
    names = {finding: class_name(finding) for finding in findings}
    require_classes(names.values(), file)
    words = {
        role: columns.harmless(rows[role]) for role in ("source", "licence", "view") if role in rows
    }
    rows = rows.assign(
        label=rows["label"].map(names), finding=columns.harmless(rows["label"]), **words
    )
    notes = merged(list(findings))
    if "official_part" in rows:
        rows, doubts = _parts(rows)
        notes += doubts
    if "modality" in rows:
        rows, doubts = _modalities(rows)
        notes += doubts
    if "mask_path" in rows:
        rows = rows.assign(mask_path=_located(rows["mask_path"].fillna(""), file.parent))
    return rows, notes


def require_classes(labels: Iterable[str], file: Path) -> None:
    count = len(set(labels))
    if not 2 <= count <= MOST_CLASSES:
        got = f"only {next(iter(labels), 'none')!r}" if count < 2 else f"{count:,} different labels"
        raise HilumError(
            f"{file} must have images of 2 to {MOST_CLASSES} classes; got {got}; "
            "name the right column with --label-column, or mend the table."
        )


def _modalities(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Radiograph or slice; other words say neither, and a note names them."""
    known = rows["modality"].str.lower().map(MODALITIES)
    odd = sorted(set(columns.harmless(rows["modality"])[known.isna()].dropna()))
    named = ", ".join(repr(word) for word in odd[:5])
    notes = [f"Modalities other than X-ray and CT ({named}) count as missing."] if odd else []
    return rows.assign(modality=known), notes


def _parts(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Official parts where every value means one; otherwise none, and a note."""
    parts = rows["official_part"].map(part_name, na_action="ignore")
    odd = sorted(set(rows["official_part"][parts.isna()].dropna()))
    if not odd:
        return rows.assign(official_part=parts), []
    note = f"The column of splits is not used: {odd[0]!r} is neither train, validation nor test."
    return rows.assign(official_part=None), [note]
