"""Which line of a table of labels is about which image: by path, or by what its header says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hilum import images
from hilum.data import missing
from hilum.datasets import one_hot, part_flags, table_paths
from hilum.datasets.columns import Columns, blanked, find_columns, read_cells
from hilum.datasets.vocabulary import plain_term
from hilum.types import HilumError, LeftOut

# element of the header -> how a table may call its column; the path is found by its role
NAMES: Mapping[str, tuple[str, ...]] = {
    "SOPInstanceUID": ("sopinstanceuid", "instanceuid", "sopuid", "imageuid", "imageid"),
    "StudyInstanceUID": ("studyinstanceuid", "studyuid"),
    "AccessionNumber": ("accessionnumber", "accession", "accessionno", "accnumber", "accno"),
}
FACTS = {
    "SOPInstanceUID": "instance_uid",
    "StudyInstanceUID": "study_uid",
    "AccessionNumber": "accession",
    "PatientID": "patient_id",
}  # element -> column of dicom_headers.with_facts
KEYS = "path, SOPInstanceUID, StudyInstanceUID, AccessionNumber or PatientID"
PADDED = ("AccessionNumber", "PatientID")  # numbers whose leading zeros spreadsheets drop
RARE = 10  # a surer key counts unless it names fewer than a tenth of the images of the best one
EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Key:
    """One way in which a column of the table names images: the keys of its lines and of these."""

    kind: str  # "path", or the element's keyword
    column: str
    lines: pd.Series  # key of each line of the table, missing where it has none
    images: pd.Series  # key of each image, missing where it has none
    padded: bool = False  # leading zeros do not count

    @property
    def met(self) -> pd.Series:
        """Whether a line names each image."""
        return self.images.notna() & self.images.isin(set(self.lines.dropna()))

    @property
    def shown(self) -> str:
        """How a sentence names it."""
        kind = "" if plain_term(self.column) == plain_term(self.kind) else f" ({self.kind})"
        return f"{self.column!r}{kind}{', leading zeros apart' if self.padded else ''}"


@dataclass(frozen=True, slots=True)
class Labelled:
    """What the table says of each image (its roles as columns), lines without image, notes."""

    cells: pd.DataFrame
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]


def label_images(home: Path, rows: pd.DataFrame, file: Path, roles: Columns) -> Labelled:
    """Find each image's line in the table `file`, with the surest key that names images.

    `rows` has the images' absolute `path` and the headers' facts. Raises HilumError where the table
    has no label or no key, none of its lines names an image, or two give one image two labels.
    """
    cells = read_cells(file)
    listed, flagged = part_flags.folded(blanked(cells), roles, str(file))
    listed, notes = one_hot.folded(listed, roles, str(file))
    notes = [*flagged, *notes]
    columns_by_role = find_columns(listed, roles, ("label",), str(file))
    for name in columns_by_role.values():
        notes += missing.note(cells[name], name) if name in cells else []
    keys = _keys(home, rows, listed, columns_by_role, file)
    key = _surest(keys, home, file)
    line = key.images.map(_lines(key, listed[columns_by_role["label"]], file))
    other_columns = {role: name for role, name in columns_by_role.items() if role != "path"}
    labels = listed[list(other_columns.values())].mask(listed == "").astype(object)
    labels = labels.reindex(line).set_axis(list(other_columns), axis=1).set_axis(rows.index)
    idle = [number + 2 for number in listed.index[~key.lines.isin(set(key.images.dropna()))]]
    all_notes = (_summary(key, labels, len(idle), file), *_conflicts(key, keys, line), *notes)
    return Labelled(labels, _left_out(idle, home, file), all_notes)


def _keys(
    home: Path,
    rows: pd.DataFrame,
    listed: pd.DataFrame,
    columns_by_role: dict[str, str],
    file: Path,
) -> list[Key]:
    """Every key that the table's columns can be, the surest first."""
    keys = []
    if "path" in columns_by_role:
        cells = _paths(home, rows["path"], file.parent, listed[columns_by_role["path"]])
        keys.append(Key("path", columns_by_role["path"], cells, rows["path"]))
    named = {
        kind: next((str(name) for name in listed.columns if plain_term(str(name)) in names), None)
        for kind, names in NAMES.items()
    }
    named["PatientID"] = columns_by_role.get("patient_id")
    for kind, column in named.items():
        if column is not None:
            cells = listed[column].astype(object)
            keys.append(Key(kind, column, cells.mask(cells == ""), _shown(rows, kind)))
    keys += [_unpadded(key) for key in keys if key.kind in PADDED]
    if not keys:
        raise HilumError(
            f"a table of labels must name its images by {KEYS}; got the columns "
            f"{', '.join(map(repr, listed.columns))}; rename one of them, or name it with "
            "--path-column or --patient-column."
        )
    return keys


def _shown(rows: pd.DataFrame, kind: str) -> pd.Series:
    """What each image has to show for a key; a file without header may be named by its UID."""
    values = rows[FACTS[kind]].astype(object)
    if kind == "SOPInstanceUID":
        values = values.fillna(rows["path"].map(lambda path: _bare_name(Path(path))))
    return values


def _unpadded(key: Key) -> Key:
    """The same without leading zeros; no image has a key where that makes two keys one."""
    bare = key.images.map(_bare, "ignore")
    torn = bare.map(key.images.groupby(bare).nunique(), "ignore") > 1
    return Key(key.kind, key.column, key.lines.map(_bare, "ignore"), bare.mask(torn), padded=True)


def _bare(text: str) -> str:
    return text.lstrip("0") or text[-1:]


def _paths(home: Path, paths: pd.Series, beside: Path, cells: pd.Series) -> pd.Series:
    """From each cell to the absolute path of the image that it means, missing where it means none.

    Meant from `home`, from the folder that holds it, from the table's folder, or absolute; else as
    `table_paths.locate` finds images by their names below `home`.
    """
    existing = {str(path) for path in paths}

    def resolve(cell: str) -> str | None:
        candidates = (
            table_paths.first_place(cell, base) for base in (home, home.parent, beside) if cell
        )
        return next((path for path in candidates if path in existing), None)

    resolved = cells.map(resolve).astype(object)
    unresolved = resolved.isna() & (cells != "")
    by_name = table_paths.locate(list(cells[unresolved]), home).files if unresolved.any() else []
    return resolved.where(
        ~unresolved, pd.Series(by_name, index=cells.index[unresolved], dtype=object)
    )


def _bare_name(path: Path) -> str:
    """Its name without the suffix of an image: the end of a UID is none, whatever pathlib says."""
    return path.stem if path.suffix.lower() in images.SUFFIXES else path.name


def _surest(keys: list[Key], home: Path, file: Path) -> Key:
    """The first key that names images, but for one that names a few by chance."""
    counts = [int(key.met.sum()) for key in keys]
    if not max(counts):
        columns = ", ".join(dict.fromkeys(key.shown for key in keys if not key.padded))
        raise HilumError(
            f"{file} must name images of {home} by {KEYS}; got {len(keys[0].lines):,} lines, whose "
            f"{columns} no image of the {len(keys[0].images):,} has; check that both are of one "
            "export, or name another column with --path-column or --patient-column."
        )
    return next(key for key, count in zip(keys, counts, strict=True) if count * RARE >= max(counts))


def _lines(key: Key, labels: pd.Series, file: Path) -> dict[str, int]:
    """Key -> the first line that has it and a label; HilumError where its lines differ in that."""
    table = pd.DataFrame({"key": key.lines, "label": labels})
    labelled = table[table["key"].notna() & (table["label"] != "")]
    pairs = labelled[labelled["key"].isin(set(key.images.dropna()))].drop_duplicates()
    torn = pairs["key"][pairs["key"].duplicated()]
    if len(torn):
        at = [str(line + 2) for line in pairs.index[pairs["key"] == torn.iloc[0]]]
        raise HilumError(
            f"{file} must give one label to each {key.column}; got several for {torn.iloc[0]!r} "
            f"(lines {', '.join(at[:EXAMPLES])}); decide for one, or name single images by path or "
            "SOPInstanceUID."
        )
    return {str(name): int(line) for line, name in pairs["key"].items()}


def _summary(key: Key, cells: pd.DataFrame, idle: int, file: Path) -> str:
    labelled = int(cells["label"].notna().sum())
    rest = len(cells) - labelled
    counts = [f"{rest:,} images have no label"] * (rest > 0)
    counts += [f"{idle:,} of its lines name no image"] * (idle > 0)
    return (
        f"{file.name} labels {labelled:,} of {len(cells):,} images, by its column {key.shown}"
        f"{'; ' if counts else ''}{', '.join(counts)}."
    )


def _conflicts(key: Key, keys: list[Key], line: pd.Series) -> list[str]:
    """What another key of the same line says of the image that the chosen one names."""
    notes = []
    for other in keys:
        if other.padded or other.column == key.column or not other.met.any():
            continue
        other_keys = other.lines.reindex(line).set_axis(line.index)
        both = other_keys.notna() & other.images.notna()
        torn = int((other_keys[both] != other.images[both]).sum())
        if torn:
            notes.append(
                f"The table's columns {key.shown} and {other.shown} mean different images for "
                f"{torn:,} of {int(both.sum()):,}; the first was followed: check the table."
            )
    return notes


def _left_out(idle: list[int], home: Path, file: Path) -> tuple[LeftOut, ...]:
    """The table's lines that name no image, by number: their keys may be people's."""
    if not idle:
        return ()
    dots = ", ..." if len(idle) > EXAMPLES else ""
    numbers = ", ".join(map(str, idle[:EXAMPLES]))
    what = f"{len(idle):,} line{'s' * (len(idle) > 1)} of {file.name} ({numbers}{dots})"
    return (LeftOut(what, f"no image of {home.name} has its key", len(idle)),)
