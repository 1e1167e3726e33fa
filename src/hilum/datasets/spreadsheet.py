"""The first sheet of an Excel workbook as rows of text: enough for publishers' metadata files."""

import struct
import zipfile
from pathlib import Path

import pandas as pd
from python_calamine import CalamineError

from hilum.types import HilumError

_LARGEST = 64 << 20  # bytes of an unpacked workbook; the publishers' sheets are below 4 MB
_FAULTS = (  # RuntimeError: NotImplementedError of a zip version that does not exist
    OSError, ValueError, RuntimeError, EOFError, struct.error, zipfile.BadZipFile, CalamineError,
)  # fmt: skip


def read_sheet(path: Path) -> pd.DataFrame:
    """The first worksheet as text, its first row as column names, "" where a cell is empty.

    Raises HilumError for a file that is no workbook (.xlsx), or has no table.
    """
    try:
        with zipfile.ZipFile(path) as book:
            size = sum(part.file_size for part in book.infolist())
        table = pd.DataFrame()
        if size <= _LARGEST:
            table = pd.read_excel(path, engine="calamine", dtype=str, keep_default_na=False)
    except _FAULTS:
        table = pd.DataFrame()
    if not len(table.columns):
        raise HilumError(f"{path} must be an Excel workbook (.xlsx) with a table; fetch it again.")
    return table.rename(columns=str.strip).map(str.strip)
