"""The answers to a batch, collected: what they take in memory, and that pieces change nothing."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
import pytest

from hilum.experiment import answer_rows, collected
from hilum.experiment.answer_rows import AnswerRows
from hilum.experiment.answering import Answered
from hilum.files import PathList, cells
from hilum.inference.model import TrainedModel
from hilum.inference.new_source import NewSource
from hilum.inference.training_record import HASH, Films

if TYPE_CHECKING:
    from peak_memory import PeakMemory

CLASSES = ["covid19", "normal"]
MODEL = cast(
    TrainedModel,
    SimpleNamespace(facts=SimpleNamespace(classes=CLASSES, seen=["7" * 64]), built_on=None),
)


def parts(count: int, size: int = 128) -> Iterator[Answered]:
    """Answers as a model gives them; the second file of each part cannot be read."""
    random = np.random.default_rng(0)
    for start in range(0, count, size):
        here = min(size, count - start)
        read = np.arange(here) != 1
        p = np.where(read[:, None], random.dirichlet([1, 1], here), np.nan)
        known = int(read.sum())
        keys = tuple(f"{start + at:064x}" for at in range(known))
        films = Films(
            ("7" * 64, *keys[1:]) if start == size else keys,
            random.integers(0, 256, (known, HASH), dtype=np.uint8),
            (None,) * known,
            (None,) * known,
        )
        reasons = ["" if one else "no film" for one in read]
        yield Answered(p, read, reasons, films, [random.normal(size=(known, 3))])


def table_of(count: int) -> AnswerRows:
    answers = collected.collect(MODEL, parts(count), count)
    paths = PathList(f"films/{at:06}.png" for at in range(count))
    return AnswerRows(paths, CLASSES, answers, NewSource("yes", 9, 0.01), accepted=False)


def test_a_film_takes_few_bytes_until_its_row_is_written(
    tmp_path: Path, peak_memory: "PeakMemory"
) -> None:
    """A row, a Print and a Path took 1,600 bytes."""
    cells.write_csv_pieces(table_of(1000).pieces(), tmp_path / "small.csv")  # what is imported
    count = 100_000
    with peak_memory() as grown:
        rows = table_of(count)
        cells.write_csv_pieces(rows.pieces(), tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_bytes().count(b"\n") == count + 1
    assert grown() / count < 600  # some 250; more where the allocator holds freed pieces


def test_pieces_change_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = table_of(500)
    table = pd.concat([*whole.pieces()], ignore_index=True)
    cells.write_csv(table, tmp_path / "whole.csv")
    monkeypatch.setattr(answer_rows, "PIECE", 7)
    monkeypatch.setattr(collected, "TOGETHER", 100)
    rows = table_of(500)
    cells.write_csv_pieces(rows.pieces(), tmp_path / "pieces.csv")
    assert (tmp_path / "pieces.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert table["seen"].tolist() == ["same file" if at == 128 else "" for at in range(500)]
    assert rows.take(np.array([3, 129])).equals(table.iloc[[3, 129]].reset_index(drop=True))
    assert (rows.read.sum(), rows.abstained.sum()) == (496, 496)
    np.testing.assert_array_equal(rows.answers.points, whole.answers.points)
    assert rows.answers.points.shape == (496, 3)
