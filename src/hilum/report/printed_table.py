"""Tables as the page prints them: headings and rows of text."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from hilum.report.wording import class_name, number, title


@dataclass(frozen=True, slots=True)
class PrintedTable:
    """A table of texts, its words for those who cannot see it, and how it is laid out."""

    head: list[str]
    rows: list[list[str]]
    label: str
    left: int = 1  # columns that are text, not numbers
    kind: str = ""  # its class in the style sheet
    summary: str = ""  # it is folded away under these words


def printed_counts(
    table: pd.DataFrame, corner: str | None, label: str, left: int = 1, summary: str = ""
) -> PrintedTable:
    """Counts; the index becomes a first column under `corner`."""
    head = [title(str(name)) if name == "fold" else class_name(str(name)) for name in table]
    rows = [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    if corner is not None:
        head = [corner, *head]
        named = zip(table.index, rows, strict=True)
        rows = [[class_name(str(name)), *row] for name, row in named]
    return PrintedTable(head, rows, label, left, summary=summary)


def printed_texts(table: pd.DataFrame, label: str) -> PrintedTable:
    """A table whose every column is text."""
    rows = [[str(value) for value in row] for row in table.itertuples(index=False)]
    return PrintedTable([str(name) for name in table.columns], rows, label, 99, "texts")


def _cell(value: Any) -> str:
    return str(value) if isinstance(value, str) else number(int(value))
