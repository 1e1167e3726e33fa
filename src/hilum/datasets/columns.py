"""A user's CSV as text, whatever wrote it, and which of its columns is what."""

import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pandas as pd

from hilum.data import missing
from hilum.datasets.vocabulary import PARTS, part_name, plain_term
from hilum.types import HilumError, nearest_name

SUFFIXES = (".csv", ".tsv", ".txt")
USUAL = {
    "path": (
        "path", "imagepath", "filepath", "file", "filename", "image", "imagename", "imagefile",
        "imageindex", "imageid", "img", "imgpath", "relativepath", "filepaths", "imagepaths", "id",
        "dicomid",
    ),
    "label": ("label", "class", "classname", "finding", "findings", "diagnosis", "target",
              "findinglabels", "category", "labels"),
    "patient_id": ("patientid", "patient", "subjectid", "subject", "patientnumber", "personid"),
    "source": ("source", "site", "hospital", "institution", "centre", "center", "collection"),
    "view": ("view", "viewposition", "projection", "appa", "frontallateral"),
    "modality": ("modality",),
    "age": ("age", "patientage", "ageyears"),
    "sex": ("sex", "gender", "patientsex", "patientgender"),
    "official_part": ("split", "part", "officialpart", "partition", "subset", "datasplit",
                      "traintestsplit", "splitname"),
    "fold": ("fold", "folds", "kfold", "cvfold", "foldid", "foldnumber"),
    "licence": ("licence", "license"),
    "mask_path": ("maskpath", "mask", "lungmask"),
}  # fmt: skip
OPTIONS = {
    "path": "--path-column",
    "label": "--label-column",
    "patient_id": "--patient-column",
    "source": "--source-column",
}  # of the command line: what to say where a usual name does not tell


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column of a table is what, where its name does not tell; None: look for the usual."""

    path: str | None = None
    label: str | None = None
    patient_id: str | None = None
    source: str | None = None
    view: str | None = None
    modality: str | None = None
    age: str | None = None
    sex: str | None = None
    official_part: str | None = None
    fold: str | None = None
    licence: str | None = None
    mask_path: str | None = None


def columns_from_roles(roles: Mapping[str, str]) -> Columns:
    """Columns by role, as in {"label": "Diagnosis"}; HilumError names the nearest role."""
    known_roles = [field.name for field in fields(Columns)]
    for role in roles:
        if role not in known_roles:
            hint = nearest_name(role, known_roles, "choose one of these.")
            raise HilumError(
                f"a table's columns are named by {', '.join(known_roles)}; got {role!r}; {hint}"
            )
    return Columns(**roles)


def read_text(path: Path) -> pd.DataFrame:
    """`read_cells` with "" also where a word such as NA says that there is no value."""
    return blanked(read_cells(path))


def blanked(cells: pd.DataFrame) -> pd.DataFrame:
    """A table of text with "" for each word that stands for a missing value (`missing.WORDS`)."""
    return cells.apply(lambda column: column.mask(column.isin(missing.words(column.unique())), ""))


def read_cells(path: Path) -> pd.DataFrame:
    """All cells as stripped text, "" where empty; separator and encoding are found out.

    Takes commas, semicolons, tabs or bars; UTF-8 with or without byte order mark, UTF-16, or
    Windows-1252. Raises HilumError for a file that is no such table.
    """
    try:
        table = _parse(path)
    except (OSError, ValueError, pd.errors.ParserWarning) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise HilumError(
            f"{path} must be a table of comma-separated values with a line of column names; "
            f"got: {reason}; save it again as CSV UTF-8."
        ) from error
    table.columns = table.columns.str.strip()
    return table.fillna("").apply(lambda column: column.str.strip())


def _parse(path: Path) -> pd.DataFrame:
    encoding = _encoding(path)
    separator, lines_above = _separator(path, encoding)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # more cells than column names
        return pd.read_csv(
            path,
            sep=separator,
            skiprows=lines_above,
            dtype=str,
            keep_default_na=False,
            encoding=encoding,
            index_col=False,
            skipinitialspace=True,
        )


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _separator(path: Path, encoding: str) -> tuple[str, int]:
    """What is between cells, and how many lines above the names: Excel's "sep=;" is one."""
    with path.open(encoding=encoding, newline=None) as lines:
        first = lines.readline()
    if declared := re.fullmatch(r'"?sep=([,;\t|])"?', first.strip("\r\n")):
        return declared[1], 1
    return max(",;\t|", key=first.count), 0


def find_columns(
    table: pd.DataFrame, roles: Columns | None, required: Iterable[str], where: str
) -> dict[str, str]:
    """Role -> column of `table`, for roles that were given or that a usual name shows.

    None for a table to which the user's options do not reach.
    Raises HilumError for a given column that does not exist and for a role in `required` that is
    nowhere to be found; both list the columns there are.
    """
    by_plain: dict[str, str] = {}
    for name in table.columns:
        by_plain.setdefault(plain_term(str(name)), str(name))
    chosen = {role: name for role, name in asdict(roles or Columns()).items() if name is not None}
    columns = {role: _exact(table, name, where) for role, name in chosen.items()}
    for role, names in USUAL.items():
        usual = next((by_plain[name] for name in names if name in by_plain), None)
        in_use = usual in columns.values() and not (
            role == "patient_id" and usual == columns.get("path")
        )
        if role not in columns and usual is not None and not in_use:
            columns[role] = usual  # RSNA's patientId names the patient and the image alike
    _settle_split(table, columns, chosen)
    for role in required:
        if role not in columns:
            raise HilumError(
                f"{where} must have a column for the {role}, such as {USUAL[role][0]!r}; got "
                f"{_listed(table)}; rename the right one{_or_option(role) if roles else ''}."
            )
    return columns


def _settle_split(table: pd.DataFrame, columns: dict[str, str], chosen: Mapping[str, str]) -> None:
    """A column of splits is known by its words too, and one called "part" by them alone."""
    named = columns.get("official_part")
    loose = named is not None and "official_part" not in chosen and plain_term(named) == "part"
    if loose and not any(map(part_name, table[named].unique())):  # of the body, for instance
        del columns["official_part"]
    if not {"official_part", "fold"} & set(columns):
        others = [str(name) for name in table.columns if name not in columns.values()]
        split = next((name for name in others if _says_parts(table[name])), None)
        columns |= {"official_part": split} if split is not None else {}


def _says_parts(cells: pd.Series) -> bool:
    """Whether train and another part are among its few words; training refuses further words."""
    words = {str(cell) for cell in cells.unique()} - {""}
    parts = {part_name(word) for word in words} if len(words) <= len(PARTS) else {None}
    return "train" in parts and len(parts - {None}) > 1


def _or_option(role: str) -> str:
    return f" or name it with {OPTIONS[role]}" if role in OPTIONS else ""


def _exact(table: pd.DataFrame, name: str, where: str) -> str:
    by_small = {str(column).casefold(): str(column) for column in table.columns}
    if name in table.columns:
        return name
    if name.casefold() in by_small:
        return by_small[name.casefold()]
    hint = nearest_name(name, by_small.values(), "choose one of these.")
    raise HilumError(
        f"{where} must have the column {name!r}; got the columns {_listed(table)}; {hint}"
    )


def _listed(table: pd.DataFrame) -> str:
    return ", ".join(repr(str(name)) for name in table.columns) or "no column at all"


def harmless(cells: pd.Series) -> pd.Series:
    """Cells that a spreadsheet would take for a formula, made text by a leading quote.

    As https://owasp.org/www-community/attacks/CSV_Injection advises: hilum writes these words
    into tables.
    """
    cells = cells.astype(object)  # a column without any value may be one of floats
    risky = cells.str.match(r"[=+\-@\t\r]")
    return cells.where(~risky.fillna(False).astype(bool), "'" + cells)  # noqa: FBT003
