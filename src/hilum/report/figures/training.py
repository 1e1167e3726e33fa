"""Figures of training: loss and accuracy by epoch or along a regularisation path."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hilum.report import history as course
from hilum.report.palette import MUTED, OKABE_ITO
from hilum.report.style import blank, plain_ticks, style
from hilum.report.wording import label, wrapped

PARTS = {
    "train": ("-", OKABE_ITO["blue"]),
    "validation": ("--", OKABE_ITO["vermillion"]),
    "test": (":", OKABE_ITO["vermillion"]),  # watched where no image validates
}
SCORES = {"loss": "Cross-entropy (nats)", "accuracy": "Share right"}


def training(history: pd.DataFrame) -> Figure:
    """Loss and accuracy of one cell (HISTORY_COLUMNS, step, perhaps strength).

    A thin line per fold and seed, their mean strong, a dot where a training's watched loss is
    lowest; a regularisation path and training by epochs each get a row of their own.
    """
    kinds = [rows for _, rows in history.groupby(~course.on_path(history))]
    with style():
        figure = blank(9.2, 3.2 * len(kinds))
        grid = figure.subplots(len(kinds), 2, squeeze=False)
        for row, rows in zip(grid, kinds, strict=True):
            for axes, name in zip(row, SCORES, strict=True):
                _panel(axes, rows, name)
                axes.set(title=name.capitalize(), ylabel=SCORES[name])
        shown: dict[str, Artist] = {}
        for axes in grid[:, 1]:
            handles, words = axes.get_legend_handles_labels()
            shown |= dict(zip(words, handles, strict=True))
        if shown:  # outside: inside it may lie on the line that it names
            figure.legend([*shown.values()], [*shown], loc="outside upper right", ncols=len(shown))
    return figure


def curves(history: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """Loss and accuracy of every cell side by side; `names` are the cells' short names.

    Accuracies share their scale, losses do not.
    """
    cells = [(str(cell), rows) for cell, rows in history.groupby("cell", sort=False)]
    wide = 1 if len(cells) <= 4 else 2
    with style():
        lines = -(-len(cells) // wide)
        figure = blank(9.2, 0.3 + (2.3 if wide == 1 else 1.9) * lines)
        grid = figure.subplots(lines, 2 * wide, squeeze=False).reshape(-1, 2)
        for pair, (cell, rows) in zip(grid, cells, strict=False):
            for axes, name in zip(pair, SCORES, strict=True):
                _panel(axes, rows, name)
                axes.set_ylabel(name.capitalize())
            if len(cells) > 1:
                pair[0].set_title(wrapped(names.get(cell, cell), 36 if wide > 1 else 70))
            pair[1].set_ylim(*_limits(history["accuracy"]))
        for axes in grid[len(cells) :].flat:
            axes.set_visible(False)
        shown = grid[0, 1].get_legend_handles_labels()
        figure.legend(*shown, loc="outside upper right", ncols=2)
    return figure


def _limits(values: "pd.Series[float]") -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    room = max(0.04 * (high - low), 0.005)
    return low - room, high + room


def _panel(axes: Axes, rows: pd.DataFrame, name: str) -> None:
    path = bool(course.on_path(rows).all())
    along = "strength" if path else "step"
    for part in PARTS:
        _lines(axes, rows[rows["part"] == part].dropna(subset=[name]), name, along)
    if name == "loss":
        best = course.lowest(rows)
        axes.plot(best[along], best["loss"], ".", color=PARTS["validation"][1], markersize=5)
    if not path:
        _stage_borders(axes, rows)
        axes.set_xlabel("Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        return
    axes.set_xscale("log")
    plain_ticks(axes.xaxis)
    axes.invert_xaxis()
    axes.set_xlabel("L2 strength (strong to weak)")


def _lines(axes: Axes, rows: pd.DataFrame, name: str, along: str) -> None:
    if rows.empty:
        return
    part = str(rows["part"].iloc[0])
    dash, colour = PARTS[part]
    runs = list(rows.groupby(course.trainings(rows)))
    for _, run in runs if len(runs) > 1 else []:
        axes.plot(run[along], run[name], color=colour, alpha=0.35, linewidth=0.8, linestyle=dash)
    mean = course.mean(rows, name, along)
    words = f"{part}, mean" if len(runs) > 1 else part
    (line,) = axes.plot(mean.index, mean, color=colour, linestyle=dash, markersize=4, label=words)
    if len(mean) == 1:
        line.set_marker("o")


def _stage_borders(axes: Axes, rows: pd.DataFrame) -> None:
    starts = rows.groupby("stage", sort=False)["step"].min()
    if len(starts) < 2:
        return
    for stage, step in starts.items():
        axes.axvline(step - 0.5, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
        axes.annotate(
            label(str(stage), 16),
            (step - 0.5, 1),
            (3, -2),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=8,
            color=MUTED,
            va="top",
        )
