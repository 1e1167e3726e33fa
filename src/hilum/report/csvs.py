"""CSV that a spreadsheet opens as data: no cell of ours runs as a formula."""

from pathlib import Path

import pandas as pd

STARTS = ("=", "+", "-", "@", "\t", "\r")  # OWASP, CSV injection


def neutral(value: object) -> object:
    """The value, with a leading apostrophe where it is a string that a spreadsheet would run."""
    if not isinstance(value, str):
        return value
    line = value.replace("\r", " ")  # pandas leaves it unquoted, so that it would end the row
    return f"'{line}" if value.startswith(STARTS) else line


def write(table: pd.DataFrame, path: Path) -> Path:
    """Write a table without its index; strings and headings that look like formulas are quoted."""
    safe = pd.DataFrame({i: table.iloc[:, i].map(neutral) for i in range(table.shape[1])})
    safe.to_csv(path, index=False, header=[str(neutral(str(name))) for name in table.columns])
    return path
