"""Precision, recall, F1 and accuracy of every model side by side."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hilum.report import grid_tables
from hilum.report.figures.base import DrawnFigure
from hilum.report.grid_tables import BARS
from hilum.report.palette import MUTED, SERIES
from hilum.report.run_folder import RunFolder
from hilum.report.style import blank, error_lengths, style
from hilum.report.wording import class_name, count, number, short_label, wrapped


def draw_bars(run: RunFolder) -> DrawnFigure | None:
    table = grid_tables.bars(run.scores, run.classes)
    if table.empty or table["value"].isna().all():
        return None
    return DrawnFigure(
        bars(table),
        table,
        f"Bars: precision, recall, F1, micro F1 and accuracy of {table['cell'].nunique()} models.",
        "Precision, recall and F1 of each class, micro F1 and accuracy over all, with 95% "
        "intervals. With one label per image the last two are the same figure.",
        "full",
        range_notes(table),
    )


def range_notes(table: pd.DataFrame) -> tuple[str, ...]:
    """How far the models lie apart (El Azhari, study 000, calls this range a variance)."""
    spread = grid_tables.spread(table)
    if spread is None:
        return ()
    low, high, models = spread
    return (
        f"Range of accuracy over {count(models, 'model')}: {number(high - low)}, from "
        f"{number(low)} to {number(high)} (highest minus lowest; not a variance).",
    )


def bars(table: pd.DataFrame) -> Figure:
    """Precision, recall, F1, micro F1 and accuracy of each model: a panel per arm and class."""
    panels = list(table.groupby(["arm", "class"], sort=False))
    columns = min(table["class"].nunique(), 2)
    lines = -(-len(panels) // columns)
    with style():
        figure = blank(9.2, 0.4 + 2.7 * lines)
        grid = figure.subplots(lines, columns, sharey=True, squeeze=False)
        for axes, ((arm, class_), rows) in zip(grid.flat, panels, strict=False):
            _bars(axes, rows)
            words = [class_name(str(class_)), *([str(arm)] if arm else [])]
            axes.set_title(short_label(", ".join(words), 44))
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        shown = grid[0, 0].get_legend_handles_labels()
        figure.legend(*shown, loc="outside upper center", ncols=len(BARS), handlelength=1)
    return figure


def _bars(axes: Axes, rows: pd.DataFrame) -> None:
    models = list(dict.fromkeys(rows["model"]))
    width = 0.82 / len(BARS)
    for i, (metric, words) in enumerate(BARS.items()):
        own_rows = rows[rows["metric"] == metric].set_index("model").reindex(models)
        at = np.arange(len(models)) + (i - (len(BARS) - 1) / 2) * width
        axes.bar(
            at, own_rows["value"].fillna(0), width, yerr=error_lengths(own_rows), color=SERIES[i],
            label=words, edgecolor="white", linewidth=0.5,
            error_kw={"elinewidth": 0.8, "ecolor": MUTED},
        )  # fmt: skip
    axes.set(ylim=(0, 1.05))
    axes.grid(visible=False, axis="x")
    turned = len(models) > 3
    axes.set_xticks(
        range(len(models)),
        [short_label(str(name), 30) if turned else wrapped(str(name), 22, 3) for name in models],
        rotation=25 if turned else 0,
        fontsize=8,
        ha="right" if turned else "center",
        rotation_mode="anchor",
    )
