"""Loss and accuracy by epoch, or along a regularisation path, on one pair of axes."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from hilum.report import history
from hilum.report.palette import MUTED, OKABE_ITO
from hilum.report.style import plain_ticks
from hilum.report.wording import short_label

PARTS = {
    "train": ("-", OKABE_ITO["blue"]),
    "validation": ("--", OKABE_ITO["vermillion"]),
    "test": (":", OKABE_ITO["vermillion"]),  # watched where no image validates
}
SCORES = {"loss": "Cross-entropy (nats)", "accuracy": "Share right"}


def training_panel(axes: Axes, rows: pd.DataFrame, name: str) -> None:
    """`name` of one cell's trainings, a line per part, a dot where the loss is lowest."""
    path = bool(history.on_path(rows).all())
    along = "strength" if path else "step"
    for part in PARTS:
        _lines(axes, rows[rows["part"] == part].dropna(subset=[name]), name, along)
    if name == "loss":
        best = history.lowest(rows)
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
    runs = list(rows.groupby(history.trainings(rows)))
    for _, run in runs if len(runs) > 1 else []:
        axes.plot(run[along], run[name], color=colour, alpha=0.35, linewidth=0.8, linestyle=dash)
    mean = history.mean(rows, name, along)
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
            short_label(str(stage), 16),
            (step - 0.5, 1),
            (3, -2),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=8,
            color=MUTED,
            va="top",
        )
