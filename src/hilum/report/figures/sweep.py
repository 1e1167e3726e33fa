"""A score along an axis of the grid."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hilum.report import grid_tables
from hilum.report.figures.base import DrawnFigure
from hilum.report.palette import LINES, SERIES
from hilum.report.printed_table import printed_texts
from hilum.report.run_folder import RunFolder
from hilum.report.style import blank, error_lengths, style
from hilum.report.wording import interval, number, score_name, short_label

TITLE = "Along an axis of the grid"


def draw_sweep(run: RunFolder) -> DrawnFigure | None:
    table = grid_tables.sweep_table(run.scores)
    if table.empty:
        return None
    shown = pd.DataFrame({str(table["axis"].iloc[0]): table["x"].astype(str)})
    if table["series"].nunique() > 1:
        shown["Series"] = table["series"]
    shown["Accuracy"] = [number(value) for value in table["value"]]
    shown["95% interval"] = [interval(row) or "–" for row in table.to_dict("records")]
    return DrawnFigure(
        sweep(table),
        table,
        f"Accuracy against {table['axis'].iloc[0]}. Table below.",
        f"Accuracy on test images against {table['axis'].iloc[0]}, with 95% intervals"
        " (points moved sideways a little so that they do not hide each other).",
        "full",
        table=printed_texts(shown, TITLE),
    )


def sweep(table: pd.DataFrame) -> Figure:
    """A score with its interval along an axis of the grid (axis, x, series, value, low, high)."""
    names = list(dict.fromkeys(table["series"]))
    numeric = pd.api.types.is_numeric_dtype(table["x"])
    ticks = list(dict.fromkeys(table["x"]))
    place = {x: float(x) if numeric else float(i) for i, x in enumerate(ticks)}
    gap = min(np.diff(sorted(place.values())), default=1.0)
    with style():
        figure = blank(9.2, 3.8)
        axes = figure.subplots()
        for i, name in enumerate(names):
            rows = table[table["series"] == name]
            shift = 0.12 * gap * (i - (len(names) - 1) / 2) / max(len(names) - 1, 1)
            axes.errorbar(
                rows["x"].map(place) + shift, rows["value"], error_lengths(rows), capsize=2,
                color=SERIES[i % len(SERIES)], linestyle=LINES[i // len(SERIES) % len(LINES)],
                marker="o", markersize=5, elinewidth=1.1, label=short_label(str(name) or "all", 40),
            )  # fmt: skip
        axes.set_xticks(list(place.values()), [short_label(str(x), 22) for x in ticks])
        axes.set_xlim(min(place.values()) - 0.3 * gap, max(place.values()) + 0.3 * gap)
        axes.set(xlabel=str(table["axis"].iloc[0]), ylabel=score_name(str(table["metric"].iloc[0])))
        if len(names) > 1:
            figure.legend(loc="outside upper left", ncols=min(len(names), 3))
    return figure
