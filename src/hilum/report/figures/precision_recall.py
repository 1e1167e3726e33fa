"""Precision-recall curves of every class against the rest."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from hilum.metrics import curves
from hilum.report.figures.base import DrawnFigure, labelled
from hilum.report.figures.class_curves import (
    areas_of,
    class_colours,
    class_legend,
    class_lines,
    listed_areas,
    square,
    with_both,
)
from hilum.report.run_folder import RunFolder
from hilum.report.style import style
from hilum.report.wording import sample_size


def draw_precision_recall(run: RunFolder) -> DrawnFigure | None:
    predictions = labelled(run)
    shown = [] if predictions is None else with_both(predictions, run.classes)
    if predictions is None or not shown:
        return None
    points = pd.concat([curves.pr_points(predictions, name) for name in shown])
    areas = areas_of(run, ("auprc", "average_precision"))
    shares = {name: float((predictions["label"] == name).mean()) for name in shown}
    return DrawnFigure(
        precision_recall(points, areas, shares),
        points,
        "Precision-recall curves. " + listed_areas("AUPRC", areas, shown),
        f"Precision and recall, each class against the rest, {sample_size(len(predictions))}. "
        "Dotted: the share of the class, which is the precision of guessing.",
    )


def precision_recall(
    points: pd.DataFrame, areas: Mapping[str, float], shares: Mapping[str, float]
) -> Figure:
    """Precision-recall curves (class, recall, precision); a thin line marks each class's share.

    Davis & Goadrich 2006, doi:10.1145/1143844.1143874.
    """
    with style():
        figure, axes = square()
        for name, colour in class_colours(points).items():
            axes.axhline(shares[name], color=colour, linewidth=0.9, linestyle=(0, (1, 2)))
        class_lines(axes, points, ("recall", "precision"), areas)
        axes.set(xlabel="Recall (sensitivity)", ylabel="Precision (PPV)")
        class_legend(axes, "AUPRC", "lower left")
    return figure
