"""The confusion matrix as an image: counts written on shades of the share of the row."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from hilum.report.figures.base import DrawnFigure
from hilum.report.palette import INK
from hilum.report.style import blank, style
from hilum.report.wording import class_name, wrapped

Array: TypeAlias = npt.NDArray[Any]  # (truth, prediction)
SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#cfe0f1", "#5b93c7", "#0b3d6b"])


def drawn_matrices(counts: pd.DataFrame, how: str) -> DrawnFigure:
    """Small matrices from counts in long form (matrix, truth, prediction, n)."""
    n, figure = counts["matrix"].nunique(), confusions(counts)
    return DrawnFigure(
        figure,
        counts[["matrix", "truth", "prediction", "n"]],
        f"{n} confusion {'matrix' if n == 1 else 'matrices'}. Counts in the CSV.",
        f"Confusion {'matrix' if n == 1 else 'matrices'}; rows are the truth, shades the share of "
        f"the row; {how}.",
        "full" if figure.get_figwidth() > 9 else "half",
    )


def confusions(counts: pd.DataFrame) -> Figure:
    """One small matrix per `matrix`, from counts in long form (matrix, truth, prediction, n)."""
    groups = [(str(name), rows) for name, rows in counts.groupby("matrix", sort=False)]
    size = counts["truth"].nunique()
    columns = min(len(groups), 4 if size == 2 else 3 if size == 3 else 2)
    lines = -(-len(groups) // columns)
    with style():
        figure = blank(9.2 * columns / (4 if size == 2 else 2 if size > 3 else 3), 2.6 * lines)
        grid = figure.subplots(lines, columns, squeeze=False)
        for axes, (name, rows) in zip(grid.flat, groups, strict=False):
            draw_matrix(axes, wide(rows))
            axes.set_title(wrapped(name, 24, 3), fontsize=9)
        for axes in grid.flat[len(groups) :]:
            axes.set_visible(False)
        figure.supxlabel("Prediction", fontsize=9)
        figure.supylabel("Truth", fontsize=9)
    return figure


def wide(rows: pd.DataFrame) -> pd.DataFrame:
    """Counts in long form (truth, prediction, n) as a matrix, in the order they come."""
    order = list(dict.fromkeys(rows["truth"]))
    table = rows.pivot_table(index="truth", columns="prediction", values="n", aggfunc="sum")
    return table.loc[order, order]


def draw_matrix(axes: Axes, counts: pd.DataFrame) -> None:
    """Counts (truth, prediction) on these axes."""
    names = [class_lines_of(name) for name in counts.index]
    size, shares = len(names), _row_shares(counts)
    axes.imshow(shares, cmap=SHADES, vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(size), names, rotation=90 if size > 10 else 0)
    axes.set_yticks(range(size), names)
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(visible=False)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    _write_counts(axes, counts.to_numpy(), shares)


def class_lines_of(name: object) -> str:
    """A class name on at most three short lines."""
    return wrapped(class_name(str(name)), 11, 3)


def _row_shares(counts: pd.DataFrame) -> Array:
    values = counts.to_numpy(dtype=float)
    return values / np.maximum(values.sum(axis=1, keepdims=True), 1)


def _write_counts(axes: Axes, counts: Array, shares: Array) -> None:
    few = len(counts) <= 10
    for (row, column), n in np.ndenumerate(counts):
        share = shares[row, column]
        ink = "white" if share > 0.45 else INK
        if few:
            axes.text(
                column,
                row - 0.1,
                f"{n:,}",
                ha="center",
                va="center",
                color=ink,
                fontsize=11,
                weight="bold",
            )
            axes.text(
                column, row + 0.24, f"{share:.1%}", ha="center", va="center", color=ink, fontsize=8
            )
        elif n:
            axes.text(column, row, f"{n}", ha="center", va="center", color=ink, fontsize=7)
