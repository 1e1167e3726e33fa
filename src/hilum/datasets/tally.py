"""The count of what a reader leaves out: one entry per reason, with a few examples."""

from collections.abc import Iterable

import pandas as pd

from hilum.types import LeftOut

EXAMPLES = 3


class Tally:
    """Collects names under reasons while a reader works; `left_out` makes the records."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], list[str]] = {}

    def skip(self, reason: str, names: Iterable[str], unit: str = "row") -> None:
        """Count `names` ("row"s of a table or "file"s) under one reason; nothing if empty."""
        listed = list(names)
        if listed:
            self._names.setdefault((unit, reason), []).extend(listed)

    def keep(self, table: pd.DataFrame, kept: "pd.Series[bool]", reason: str) -> pd.DataFrame:
        """The rows that are expected; the others are counted under `reason` by their `name`."""
        self.skip(reason, table.loc[~kept, "name"].astype(str))
        return table[kept]

    def left_out(self) -> tuple[LeftOut, ...]:
        """One record per reason: how many, and the first few by name."""
        return tuple(
            LeftOut(_phrase(unit, names), reason, len(names), tuple(names))
            for (unit, reason), names in self._names.items()
        )


def _phrase(unit: str, names: list[str]) -> str:
    counted = f"{len(names):,} {unit}{'' if len(names) == 1 else 's'}"
    dots = ", ..." if len(names) > EXAMPLES else ""
    return f"{counted} ({', '.join(names[:EXAMPLES])}{dots})"
