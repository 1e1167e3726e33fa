"""Cells of a CSV that a spreadsheet opens as data: none of ours runs as a formula.

https://owasp.org/www-community/attacks/CSV_Injection
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a server has no tables
    import pandas as pd

STARTS = ("=", "+", "-", "@", "\t", "\r")  # OWASP, CSV injection
QUOTE = "'"  # a spreadsheet shows what follows as text


def neutral(value: object) -> object:
    """The value, with a leading apostrophe where it is a string that a spreadsheet would run."""
    if not isinstance(value, str):
        return value
    line = value.replace("\r", " ")  # pandas leaves it unquoted, so that it would end the row
    return f"{QUOTE}{line}" if value.startswith(STARTS) else line


def plain(value: object) -> object:
    """What `neutral` was given."""
    quoted = isinstance(value, str) and value.startswith(QUOTE) and value[1:].startswith(STARTS)
    return str(value)[1:] if quoted else value


def neutral_table(table: "pd.DataFrame") -> "pd.DataFrame":
    """The same table with every text cell neutral."""
    return _changed(table, neutral)


def plain_table(table: "pd.DataFrame") -> "pd.DataFrame":
    """The table that `neutral_table` was given."""
    return _changed(table, plain)


def _changed(table: "pd.DataFrame", change: Callable[[object], object]) -> "pd.DataFrame":
    """Every text cell changed; a column without such a cell is left as it is."""
    for name in table.select_dtypes(exclude=["number", "bool"]).columns:
        cells = {cell: change(cell) for cell in table[name].dropna().unique()}
        different = {cell: to for cell, to in cells.items() if cell != to}
        if different:
            table = table.assign(**{name: table[name].replace(different)})
    return table


def write_csv(table: "pd.DataFrame", path: Path, float_format: str | None = "%.8f") -> None:
    """Write a table without its index to `path`, every text cell neutral.

    A `float_format` of None writes the shortest digits that give the number back.
    """
    write_csv_pieces([table], path, float_format)


def write_csv_pieces(
    tables: "Iterable[pd.DataFrame]", path: Path, float_format: str | None = "%.8f"
) -> None:
    """The same of tables with the same columns, one under another."""
    with path.open("w", encoding="utf-8", newline="") as file:
        for number, table in enumerate(tables):
            neutral_table(table).to_csv(
                file, index=False, float_format=float_format, header=number == 0
            )
