"""How the probability of one class is spread in each true group of images."""

import pandas as pd
from matplotlib.figure import Figure

from hilum.report.figures import operating_points
from hilum.report.figures.base import DrawnFigure, one_seed, positive_class, seed_note
from hilum.report.palette import series
from hilum.report.run_folder import RunFolder
from hilum.report.style import blank, plain_ticks, style
from hilum.report.wording import class_name, sample_size, short_label


def draw_group_histograms(run: RunFolder) -> DrawnFigure | None:
    predictions = one_seed(run)
    if predictions is None or len(run.classes) < 2:
        return None
    sought = positive_class(run.classes)
    groups = operating_points.groups(predictions, run.manifest)
    bins = operating_points.histogram(predictions, sought, groups)
    return DrawnFigure(
        group_histograms(bins),
        bins,
        f"Histograms of the predicted probability of {class_name(sought)} by true group.",
        f"Predicted probability of {class_name(sought)} in each group of images, "
        f"{sample_size(len(predictions))}; no bar is clipped.{seed_note(run)}",
        "full",
    )


def group_histograms(bins: pd.DataFrame) -> Figure:
    """Images by predicted probability (group, left, right, n), one panel per group.

    Counts are on a log axis, so that a single image is seen next to thousands and none is clipped.
    """
    names = [str(name) for name in bins["group"].unique()]
    columns = 2 if len(names) in (2, 4) else min(len(names), 3)
    lines = -(-len(names) // columns)
    most = max(int(bins["n"].max()), 1)
    with style():
        figure = blank(9.2, 0.4 + 2.6 * lines)
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for axes, (name, colour) in zip(grid.flat, series(names).items(), strict=False):
            own_bins = bins[bins["group"] == name]
            width = own_bins["right"] - own_bins["left"]
            axes.bar(
                own_bins["left"],
                own_bins["n"],
                width,
                align="edge",
                color=colour,
                edgecolor="white",
            )
            axes.set_title(f"{short_label(class_name(name), 30)}, n = {own_bins['n'].sum():,}")
            axes.set(yscale="log", ylim=(0.7, 1.5 * most), xlim=(0, 1))
            plain_ticks(axes.yaxis)
        for axes in grid.flat[len(names) :]:
            axes.set_visible(False)
        figure.supxlabel("Predicted probability", fontsize=9)
        figure.supylabel("Images (log scale)", fontsize=9)
    return figure
