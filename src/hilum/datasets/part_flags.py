"""Columns such as `is_test` with 1 or 0 in each row: a split of one's own, as one column."""

import pandas as pd

from hilum.datasets import columns
from hilum.datasets.columns import Columns
from hilum.datasets.vocabulary import PARTS, part_name, plain_term
from hilum.types import HilumError

YES = {"1", "1.0", "true", "t", "yes", "y", "x"}
NO = {"0", "0.0", "false", "f", "no", "n"}
COLUMN = "official_part"  # a usual name of a column of splits


def folded(table: pd.DataFrame, roles: Columns, where: str) -> tuple[pd.DataFrame, list[str]]:
    """`table` with its columns of flags as one column of splits, where it has none; and notes.

    A row that no flag claims is of the part that has no flag: test if only `is_train`, else
    train. A column `test` alone may be the result of one: it is left, with a note. Raises
    HilumError for a row that two flags claim.
    """
    columns_by_role = columns.find_columns(table, roles, (), where)
    flags = {
        str(name): part
        for name in table.columns
        if name not in columns_by_role.values() and (part := _flagged(table[name], str(name)))
    }
    if not flags or {"official_part", "fold"} & set(columns_by_role):
        return table, []
    if not _sure(flags):
        return table, [_doubt(next(iter(flags)))]
    marks = _marks(table, flags, where)
    rest = next(part for part in ("train", "test", "validation", "") if part not in marks)
    part = marks.idxmax(axis=1).where(marks.any(axis=1), rest)
    blank = (table[list(flags)] == "").any(axis=1)
    note = (
        f"The split is read from {', '.join(map(repr, flags))}; other rows are {rest or 'blank'}."
    )
    split = {COLUMN: part.mask(blank & ~marks.any(axis=1), "")}
    return table.drop(columns=list(flags)).assign(**split), [note]


def _flagged(cells: pd.Series, name: str) -> str | None:
    """The part that a column's name means, where its cells say yes or no."""
    words = set(cells.str.casefold().unique()) - {""}
    word = plain_term(name).removeprefix("is").removeprefix("in")
    return part_name(word) if words and words <= YES | NO else None


def _sure(flags: dict[str, str]) -> bool:
    """Whether names say "is" or "in", or a column of training images is among several."""
    explicit = any(plain_term(name) not in PARTS for name in flags)
    return explicit or (len(flags) > 1 and "train" in flags.values())


def _doubt(name: str) -> str:
    return (
        f"The column {name!r} is not read as a split: it may be anything else that is yes or no; "
        f"call it 'is_{name}' if it says which images are of that part."
    )


def _marks(table: pd.DataFrame, flags: dict[str, str], where: str) -> pd.DataFrame:
    """Row by part, whether a flag claims it."""
    yes = table[list(flags)].apply(lambda cells: cells.str.casefold().isin(YES))
    marks = yes.T.groupby(flags).any().T
    torn = int((marks.sum(axis=1) > 1).sum())
    if torn:
        raise HilumError(
            f"{where} must put every image into one part; got {torn:,} rows that several of the "
            f"columns {', '.join(map(repr, flags))} claim; decide for one."
        )
    return marks
