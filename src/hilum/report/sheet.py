"""The contact sheet of a study: rows of images with the finding above rows of images without."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from hilum.report.canvas import blank, style
from hilum.report.palette import MUTED
from hilum.types import Grey8

ROWS, COLUMNS = 2, 6  # of each kind


def sheet(rows: pd.DataFrame, pictures: Sequence[Grey8 | None]) -> Figure:
    """Images (row, column, kind) in their places, each (height, width); None leaves a frame."""
    lines, columns = int(rows["row"].max()) + 1, int(rows["column"].max()) + 1
    with style():
        figure = blank(9.2, 0.2 + 9.2 / max(columns, COLUMNS) * lines)
        grid = figure.subplots(lines, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for row, picture in zip(rows.to_dict("records"), pictures, strict=True):
            axes = grid[row["row"], row["column"]]
            if picture is None:
                axes.text(0.5, 0.5, "not at hand", ha="center", color=MUTED, fontsize=8)
                continue
            axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
        for line in rows.drop_duplicates("kind").to_dict("records"):
            grid[line["row"], 0].set_title(str(line["kind"]), fontsize=9.5)
    return figure


def places(count: int, first_row: int) -> pd.DataFrame:
    """(row, column) of so many images, from `first_row` on."""
    at = range(count)
    return pd.DataFrame(
        {"row": [first_row + i // COLUMNS for i in at], "column": [i % COLUMNS for i in at]}
    )
