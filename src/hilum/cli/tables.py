"""One table, drawn for a terminal or as plain aligned text for a pipe."""

import re
from collections.abc import Sequence
from typing import TypeAlias

from rich import box
from rich.table import Table
from rich.text import Text

Cell: TypeAlias = str | int | Text
NUMBER = re.compile(r"[-+]?[\d.,]+( ?%)?([-/–][\d.,]+)?|–|")  # also "0.91-0.95", "47/50", nothing
NARROW = 24  # a column of cells no longer than that is never wrapped


def clean(text: str) -> str:
    """One line without control characters: file names may hold some, and terminals obey them."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def drawn(title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Table:
    """A rich table: numbers to the right, short columns whole, long ones share what is left."""
    cells = [[_text(cell) for cell in row] for row in rows]
    table = Table(
        title=Text(clean(title), "bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for i, name in enumerate(columns):
        texts = [row[i].plain for row in cells]
        table.add_column(
            Text(clean(name), "dim"),
            justify="right" if texts and _numeric(texts) else "left",
            no_wrap=max(map(len, texts), default=0) <= NARROW,
            overflow="fold",
        )
    for row in cells:
        table.add_row(*row)
    return table


def plain(title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """The same without colour, lines or wrapping: one line per row, two blanks between columns."""
    cells = [[_text(cell).plain for cell in row] for row in rows]
    lines = [[clean(name) for name in columns], *cells]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    right = [bool(cells) and _numeric([row[i] for row in cells]) for i in range(len(columns))]
    return "\n".join([clean(title), *(_aligned(line, widths, right) for line in lines)])


def _aligned(line: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    fitted = [
        text.rjust(width) if to_right else text.ljust(width)
        for text, width, to_right in zip(line, widths, right, strict=True)
    ]
    return "  ".join(fitted).rstrip()


def _text(cell: Cell) -> Text:
    """Literal text: brackets in a class name are no mark-up."""
    return cell if isinstance(cell, Text) else Text(clean(str(cell)))


def _numeric(texts: Sequence[str]) -> bool:
    return any(texts) and all(NUMBER.fullmatch(text) for text in texts)
