"""The confusion matrix as a figure."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from hilum.report.palette import INK
from hilum.report.style import blank, style
from hilum.report.wording import class_name, wrapped

Array: TypeAlias = npt.NDArray[Any]  # (truth, prediction)
SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#cfe0f1", "#5b93c7", "#0b3d6b"])


def confusion(counts: pd.DataFrame) -> Figure:
    """Counts of (truth, prediction), shaded by the share of the row's truth; both are written.

    `counts` is (truth, prediction).
    """
    size = len(counts)
    with style():
        figure = blank(4.5 if size <= 5 else 9.2, min(1.1 + 0.8 * size, 8.0))
        axes = figure.subplots()
        _matrix(axes, counts)
        axes.set(xlabel="Prediction", ylabel="Truth")
    return figure


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
            _matrix(axes, wide(rows))
            axes.set_title(wrapped(name, 24, 3), fontsize=9)
        for axes in grid.flat[len(groups) :]:
            axes.set_visible(False)
        figure.supxlabel("Prediction", fontsize=9)
        figure.supylabel("Truth", fontsize=9)
    return figure


def across(areas: pd.DataFrame) -> Figure:
    """AUROC (trained on, tested on), shaded from 0.5 to 1; a place without one stays empty."""
    rows, columns = areas.shape
    with style():
        figure = blank(min(3.0 + 1.1 * columns, 9.2), 1.3 + 0.7 * rows)
        axes = figure.subplots()
        axes.imshow(areas.to_numpy(float), cmap=SHADES, vmin=0.5, vmax=1, aspect="auto")
        axes.set_xticks(range(columns), [_class(name) for name in areas.columns])
        axes.set_yticks(range(rows), [_class(name) for name in areas.index])
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        for (row, column), area in np.ndenumerate(areas.to_numpy(float)):
            if not np.isnan(area):
                ink = "white" if area > 0.75 else INK
                axes.text(column, row, f"{area:.2f}", ha="center", va="center", color=ink)
        axes.set(xlabel="Tested on", ylabel="Trained on")
    return figure


def wide(rows: pd.DataFrame) -> pd.DataFrame:
    """Counts in long form (truth, prediction, n) as a matrix, in the order they come."""
    order = list(dict.fromkeys(rows["truth"]))
    table = rows.pivot_table(index="truth", columns="prediction", values="n", aggfunc="sum")
    return table.loc[order, order]


def _matrix(axes: Axes, counts: pd.DataFrame) -> None:
    names = [_class(name) for name in counts.index]
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


def _class(name: object) -> str:
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
