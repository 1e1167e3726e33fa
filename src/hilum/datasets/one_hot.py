"""A table whose classes are columns of ones and zeros, as SIIM, ISIC and MuReD publish theirs."""

import pandas as pd

from hilum.datasets import columns
from hilum.datasets.columns import Columns
from hilum.types import HilumError

MARKED = {"1", "1.0", "true", "yes", "x"}
UNMARKED = {"0", "0.0", "false", "no", ""}
UNCERTAIN = {"-1", "-1.0", "uncertain"}  # as in tables made after CheXpert's
COLUMN = "label"
_SHOWN = 5


def folded(table: pd.DataFrame, roles: Columns, where: str) -> tuple[pd.DataFrame, list[str]]:
    """`table` with a column of labels, where it has none but one column a class; and a note.

    Exactly one of these columns must be marked in each row that has any mark; a row without a
    value in all of them, or with an uncertain one, has no label. Raises HilumError, naming the
    choice, for other rows.
    """
    if "label" in columns.find_columns(table, roles, (), where):
        return table, []
    marks = _marks(table, roles, where)
    if not _is_several(marks):
        return table, []
    count = marks.sum(axis=1)
    cells = table[list(marks.columns)]
    doubtful = _small(cells).isin(UNCERTAIN).any(axis=1)
    _refuse_several(table, marks, count, (cells != "").any(axis=1) & ~doubtful, where)
    label = marks.idxmax(axis=1).where((count == 1) & ~doubtful, "")
    names = ", ".join(repr(name) for name in marks.columns[:_SHOWN])
    dots = ", ..." if marks.shape[1] > _SHOWN else ""
    note = f"Classes are the columns {names}{dots}: one of them is marked in each row."
    return table.assign(**{COLUMN: label}), [note, *_doubt(int(doubtful.sum()))]


def _doubt(rows: int) -> list[str]:
    if not rows:
        return []
    return [f"Rows with an uncertain mark (-1) have no label: {rows:,}."]


def has_marks(table: pd.DataFrame, roles: Columns, where: str) -> bool:
    """Whether two columns or more hold nothing but marks."""
    return _is_several(_marks(table, roles, where))


def _is_several(marks: pd.DataFrame) -> bool:
    return int(marks.any().sum()) > 1


def _marks(table: pd.DataFrame, roles: Columns, where: str) -> pd.DataFrame:
    """The columns of marks, true where marked, but for those that have another role."""
    in_use = set(columns.find_columns(table, roles, (), where).values())
    small = _small(table)
    allowed = MARKED | UNMARKED | UNCERTAIN
    chosen = [
        name
        for name in table.columns
        if name not in in_use and set(small[name]) <= allowed and (small[name] != "").any()
    ]
    return small[chosen].isin(MARKED)


def _small(table: pd.DataFrame) -> pd.DataFrame:
    return table.apply(lambda column: column.str.lower())


def _refuse_several(
    table: pd.DataFrame, marks: pd.DataFrame, count: pd.Series, stated: pd.Series, where: str
) -> None:
    wrong = stated & (count != 1)
    if not wrong.any():
        return
    line = int(wrong.idxmax())
    named = [str(name) for name in marks.columns[marks.loc[line]]]
    got = f"{', '.join(map(repr, named[:_SHOWN]))} together" if named else "none of them"
    listed = ", ".join(repr(str(name)) for name in marks.columns[:_SHOWN])
    raise HilumError(
        f"{where} must have a column of labels, or one column a class with exactly one "
        f"of them marked in each row; got {got} in line {line + 2} and others like it "
        f"in {int(wrong.sum()):,} of {len(table):,} rows; name one of {listed} with "
        "--label-column to separate its 1 from its 0, or add a column 'label' with the "
        "one class of each image."
    )
