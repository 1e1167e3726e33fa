"""The rows of a table of answers, made when they are asked for: a million of them are large."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.experiment.collected import Collected
from hilum.inference.model import probability_columns
from hilum.inference.new_source import NewSource

PIECE = 1 << 12  # rows that are made at a time
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class AnswerRows:
    """`path, label, p_<class>..., abstain, reason, seen, new_source` of each file."""

    paths: Sequence[Path]
    classes: list[str]
    answers: Collected
    source: NewSource
    accepted: bool  # a source that is new

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def read(self) -> npt.NDArray[np.bool_]:
        """(file,) Whether it could be read."""
        return self.answers.read

    @property
    def abstained(self) -> npt.NDArray[np.bool_]:
        """(file,) Whether it could be read and is abstained from."""
        if self.source.apart and not self.accepted:
            return self.read
        return self.read & np.array([reason != "" for reason in self.answers.reasons], bool)

    @cached_property
    def _seen(self) -> npt.NDArray[np.object_]:
        """(file,) Images that could not be read are not known."""
        seen = np.full(len(self), "", object)
        seen[self.read] = self.answers.recognised.kinds
        return seen

    def pieces(self) -> Iterator[pd.DataFrame]:
        """All rows in order, some at a time."""
        for start in range(0, len(self), PIECE):
            yield self.take(np.arange(start, min(start + PIECE, len(self))))

    def take(self, places: Places) -> pd.DataFrame:
        """The rows at these places."""
        answers, read = self.answers, self.read[places]
        names = [str(self.paths[place]) for place in places.tolist()]
        reasons = [answers.reasons[place] for place in places.tolist()]
        table = answer_table(names, self.classes, answers.probabilities[places], read, reasons)
        table = table.assign(
            seen=self._seen[places], new_source=np.where(read, self.source.state, "")
        )
        if self.source.apart and not self.accepted:
            table.loc[read, "abstain"] = True
            table.loc[read & (table["reason"] == ""), "reason"] = self.source.reason
        return table


def answer_table(
    names: list[str],
    classes: list[str],
    probabilities: npt.NDArray[np.float64],
    read: npt.NDArray[np.bool_],
    reasons: list[str],
) -> pd.DataFrame:
    """Columns path, label, p_<class>, abstain, reason of (image, class) and (image,)."""
    labels = np.full(len(names), "", object)
    labels[read] = np.array(classes, object)[probabilities[read].argmax(1)]
    return pd.DataFrame(
        {
            "path": names,
            "label": labels.tolist(),
            **dict(zip(probability_columns(classes), probabilities.T, strict=True)),
            "abstain": [reason != "" for reason in reasons],
            "reason": reasons,
        }
    )
