"""The matrix of sources trained on and tested on: each number where it belongs."""

from pathlib import Path

import pandas as pd

from hilum.report.figures import registry
from hilum.report.run_folder import RunFolder

ROWS = [
    ("A", "A", 0.9),
    ("A", "B", 0.6),
    ("B", "A", 0.7),
    ("B", "B", 0.8),
    ("all others", "A", 0.71),
]


def test_every_area_stands_in_its_row_and_column() -> None:
    table = pd.DataFrame(ROWS, columns=["train", "test", "auroc"])
    found = registry.FIGURES["across"].draw(RunFolder(Path(), {}, across=table))
    assert found is not None
    axes = found.figure.axes[0]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    columns = [label.get_text() for label in axes.get_xticklabels()]
    written = {
        (
            rows[round(text.get_position()[1])],
            columns[round(text.get_position()[0])],
        ): text.get_text()
        for text in axes.texts
    }
    assert written == {
        (train.replace(" ", "\n") if len(train) > 11 else train, test): f"{area:.2f}"
        for train, test, area in ROWS
    }


def test_without_the_matrix_there_is_no_figure() -> None:
    assert registry.FIGURES["across"].draw(RunFolder(Path(), {})) is None
