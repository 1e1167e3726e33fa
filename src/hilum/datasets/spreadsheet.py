"""The first sheet of an Excel workbook as rows of text: enough for publishers' metadata files."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd

from hilum.types import HilumError

_LARGEST = 64 << 20  # bytes of one unpacked part; the publishers' sheets are below 4 MB
_UNREADABLE = (
    OSError,
    LookupError,
    ValueError,
    RuntimeError,  # a locked workbook
    zipfile.BadZipFile,
    ElementTree.ParseError,
)
_STRINGS, _SHEET = "xl/sharedStrings.xml", "xl/worksheets/sheet1.xml"


def read_sheet(path: Path) -> pd.DataFrame:
    """The first worksheet as text, its first row as column names, "" where a cell is empty.

    Reads inline and shared strings and numbers (ECMA-376 part 1, 18.3). Raises HilumError for a
    file that is no workbook.
    """
    try:
        with zipfile.ZipFile(path) as book:
            strings = _strings(book) if _STRINGS in book.namelist() else []
            rows = [_cells(row, strings) for row in _elements(book, _SHEET, "row")]
    except _UNREADABLE:
        rows = []
    if not rows:
        raise HilumError(f"{path} must be an Excel workbook (.xlsx) with a table; fetch it again.")
    names = {column: name.strip() for column, name in rows[0].items()}
    return pd.DataFrame(
        [[row.get(column, "").strip() for column in names] for row in rows[1:]],
        columns=list(names.values()),
        dtype=str,
    )


def _elements(book: zipfile.ZipFile, part: str, tag: str) -> Iterator[ElementTree.Element]:
    if book.getinfo(part).file_size > _LARGEST:
        raise ValueError(part)
    tree = ElementTree.fromstring(book.read(part))  # noqa: S314 - expat limits entity expansion
    return tree.iterfind(f".//{{*}}{tag}")


def _strings(book: zipfile.ZipFile) -> list[str]:
    return [_text(item) for item in _elements(book, _STRINGS, "si")]


def _text(element: ElementTree.Element) -> str:
    return "".join(piece.text or "" for piece in element.iterfind(".//{*}t"))


def _cells(row: ElementTree.Element, strings: list[str]) -> dict[str, str]:
    """Column letters -> text of one row."""
    return {
        re.sub(r"\d", "", cell.get("r", "")): _value(cell, strings) for cell in row.iterfind("{*}c")
    }


def _value(cell: ElementTree.Element, strings: list[str]) -> str:
    if cell.get("t") == "inlineStr":
        return _text(cell)
    raw = cell.findtext("{*}v") or ""
    return strings[int(raw)] if cell.get("t") == "s" and raw else raw
