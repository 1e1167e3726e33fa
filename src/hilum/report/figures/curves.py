"""Training curves of every model side by side."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from hilum.report import grid_tables, history
from hilum.report.figures.base import DrawnFigure
from hilum.report.figures.training_panels import SCORES, training_panel
from hilum.report.run_folder import RunFolder
from hilum.report.style import blank, style
from hilum.report.wording import count, wrapped


def draw_curves(run: RunFolder) -> DrawnFigure | None:
    if run.history is None:
        return None
    rows = history.with_steps(run.history)
    names = grid_tables.short_names(list(rows["cell"].unique()))
    cells = len(names)
    several = rows.groupby("cell")[["fold", "seed"]].value_counts().size > cells
    thin = " Thin lines: folds and seeds; strong: their mean." if several else ""
    part = history.watched(rows)
    return DrawnFigure(
        curves(rows, names),
        rows,
        f"Training and {part} loss and accuracy of {count(cells, 'model')}. Values in the CSV.",
        f"Loss and accuracy of {count(cells, 'model')}, training (blue) and {part} (broken)."
        f"{thin} Dots: lowest {part} loss. Scales of the losses differ.",
        "full",
        history.overfit_notes(rows, names),
    )


def curves(epochs: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """Loss and accuracy of every cell side by side; `names` are the cells' short names.

    Accuracies share their scale, losses do not.
    """
    cells = [(str(cell), rows) for cell, rows in epochs.groupby("cell", sort=False)]
    wide = 1 if len(cells) <= 4 else 2
    with style():
        lines = -(-len(cells) // wide)
        figure = blank(9.2, 0.3 + (2.3 if wide == 1 else 1.9) * lines)
        grid = figure.subplots(lines, 2 * wide, squeeze=False).reshape(-1, 2)
        for pair, (cell, rows) in zip(grid, cells, strict=False):
            for axes, name in zip(pair, SCORES, strict=True):
                training_panel(axes, rows, name)
                axes.set_ylabel(name.capitalize())
            if len(cells) > 1:
                pair[0].set_title(wrapped(names.get(cell, cell), 36 if wide > 1 else 70))
            pair[1].set_ylim(*_limits(epochs["accuracy"]))
        for axes in grid[len(cells) :].flat:
            axes.set_visible(False)
        shown = grid[0, 1].get_legend_handles_labels()
        figure.legend(*shown, loc="outside upper right", ncols=2)
    return figure


def _limits(values: "pd.Series[float]") -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    room = max(0.04 * (high - low), 0.005)
    return low - room, high + room
