"""How the probability of each class is spread over its own images and over all others."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hilum.metrics import curves
from hilum.report.figures.base import DrawnFigure, labelled
from hilum.report.figures.class_curves import class_colours
from hilum.report.palette import GRID, MUTED
from hilum.report.run_folder import RunFolder
from hilum.report.style import blank, style
from hilum.report.wording import class_name, sample_size, short_label


def draw_histograms(run: RunFolder) -> DrawnFigure | None:
    predictions = labelled(run)
    if predictions is None:
        return None
    bins = pd.concat([curves.score_histogram(predictions, name) for name in run.classes])
    names = ", ".join(class_name(name) for name in run.classes)
    return DrawnFigure(
        score_histograms(bins),
        bins,
        f"Histograms of the predicted probability of {names}, own images against all others.",
        "How each class's probability is spread over its own images (coloured) and over all others "
        f"(grey), {sample_size(len(predictions))}. The less they overlap, the better the model "
        "separates them.",
        "full",
    )


def score_histograms(bins: pd.DataFrame) -> Figure:
    """Per class: how its probability is spread over its own images and over all others.

    `bins` has class, left, right, truth ("own" or "other") and n; both are drawn as shares, because
    the two groups differ in size.
    """
    colours = class_colours(bins)
    columns = min(len(colours), 4)
    lines = -(-len(colours) // columns)
    with style():
        figure = blank(9.2 if columns > 2 else 4.6 * columns, 0.4 + 2.1 * lines)
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for axes, (name, colour) in zip(grid.flat, colours.items(), strict=False):
            _histogram(axes, bins[bins["class"] == name], colour)
            axes.set_title(short_label(class_name(name), 26))
        for axes in grid.flat[len(colours) :]:
            axes.set_visible(False)
        figure.supxlabel("Predicted probability of the class", fontsize=9)
        figure.supylabel("Share of images", fontsize=9)
    return figure


def _histogram(axes: Axes, bins: pd.DataFrame, colour: str) -> None:
    for truth, fill in (("other", GRID), ("own", colour)):
        own_bins = bins[bins["truth"] == truth]
        share = own_bins["n"] / max(own_bins["n"].sum(), 1)
        edges = [*own_bins["left"], own_bins["right"].iloc[-1]]
        axes.stairs(share, edges, fill=True, color=fill, alpha=0.75 if truth == "own" else 1)
        axes.stairs(
            share,
            edges,
            color=colour if truth == "own" else MUTED,
            linewidth=1.1,
            label=f"{truth}, n = {own_bins['n'].sum():,}",
        )
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.legend(loc="upper center", fontsize=7.5, handlelength=1.2)
