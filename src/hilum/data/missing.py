"""Words that people and programs write where a value is missing: NA, nan, unknown, a dash."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

import pandas as pd

WORDS = {
    "",  # nothing but dashes, dots and question marks
    "na", "nan", "null", "nil", "none", "nat", "undefined",  # R, pandas, SQL, JSON, Python
    "div0", "name", "num", "ref", "value",  # Excel's errors, only after "#"
    "unknown", "unk", "missing", "blank", "empty", "unspecified", "unavailable", "unlabeled",
    "unlabelled", "unannotated", "todo", "tobedone", "tbd",
    "notavailable", "notapplicable", "notknown", "notspecified", "notstated", "notgiven",
    "notprovided", "notrecorded", "notreported", "notlabeled", "notlabelled", "novalue", "nodata",
    "unbekannt", "keineangabe", "ka", "inconnu", "inconnue", "desconocido", "desconocida",
    "sconosciuto", "sconosciuta", "onbekend", "неизвестно", "未知", "不明", "不详",
}  # fmt: skip
_EXCEL = {"div0", "name", "num", "ref", "value"}
_DOTTED = {"ka"}  # "k.A.", keine Angabe; "KA" is a code
_BRACKETS = re.compile(r"<(.*)>|\((.*)\)|\[(.*)\]|\{(.*)\}", re.DOTALL)
_FILLERS = re.compile(r"[\s_./\\#'\"?\u2010-\u2015\u2026\u2212\u200b\ufeff-]+")
_EXAMPLES = 5


def is_missing(text: str) -> bool:
    """Whether `text` says that there is no value: "NA", "n.a.", "#N/A", "unknown", "?", "-"."""
    normalised = unicodedata.normalize("NFKC", text).casefold().strip()
    if inner := _BRACKETS.fullmatch(normalised):
        normalised = next(text for text in inner.groups() if text is not None)
    letters = _FILLERS.sub("", normalised.rstrip("!") if normalised.startswith("#") else normalised)
    if letters in _EXCEL:
        return normalised.startswith("#")
    if letters in _DOTTED:
        return "." in normalised
    return letters in WORDS or normalised == "\\n"  # MySQL's null


def words(cells: Iterable[str]) -> set[str]:
    """Those of the different cells of one column that stand for a missing value.

    A minus sign is a value where the column has a plus sign too.
    """
    different = {cell.strip() for cell in cells}
    signs = {"-", "−", "–"} if any(set(cell) == {"+"} for cell in different) else set()
    return {cell for cell in different if cell not in signs and is_missing(cell)}


def blanked(column: pd.Series) -> pd.Series:
    """A column of text, absent values allowed, with None where a word says that there is none."""
    text = column.astype(object)
    absent = words(str(cell) for cell in text.dropna().unique())
    return text.where(text.notna() & ~text.astype(str).str.strip().isin(absent), None)


def note(column: pd.Series, name: str) -> list[str]:
    """A sentence on the words of a table's column that count as missing; none where it has none."""
    absent = words(column.unique()) - {""}
    counts = Counter(cell for cell in column if cell in absent)
    if not counts:
        return []
    listed = ", ".join(repr(word) for word, _ in counts.most_common(_EXAMPLES))
    return [f"Column {name!r}: {listed} ({counts.total():,} rows) count as missing."]
