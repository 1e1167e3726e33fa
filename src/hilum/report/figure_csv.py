"""CSV that a spreadsheet opens as data: no cell of ours runs as a formula."""

import re
from pathlib import Path

import pandas as pd

PATHS = ("path", "mask_path")
STARTS = ("=", "+", "-", "@", "\t", "\r")  # OWASP, CSV injection


def bare(path: object) -> object:
    """The last part of an absolute path; anything else as it is."""
    absolute = isinstance(path, str) and (path.startswith(("/", "\\\\")) or path[1:2] == ":")
    return re.split(r"[/\\]", str(path))[-1] if absolute else path


def neutral(value: object) -> object:
    """The value, with a leading apostrophe where it is a string that a spreadsheet would run."""
    if not isinstance(value, str):
        return value
    line = value.replace("\r", " ")  # pandas leaves it unquoted, so that it would end the row
    return f"'{line}" if value.startswith(STARTS) else line


def write_figure_csv(table: pd.DataFrame, path: Path) -> Path:
    """Write a table without its index; strings and headings that look like formulas are quoted.

    Of absolute paths the last part stays: figures and their data are passed on with the page.
    """
    table = table.assign(**{name: table[name].map(bare) for name in PATHS if name in table})
    safe = pd.DataFrame({i: table.iloc[:, i].map(neutral) for i in range(table.shape[1])})
    safe.to_csv(path, index=False, header=[str(neutral(str(name))) for name in table.columns])
    return path
