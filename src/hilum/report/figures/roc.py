"""ROC curves of every class against the rest."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from hilum.metrics import curves
from hilum.report.figures.base import DrawnFigure, labelled
from hilum.report.figures.class_curves import (
    areas_of,
    class_legend,
    class_lines,
    listed_areas,
    square,
    with_both,
)
from hilum.report.palette import MUTED
from hilum.report.run_folder import RunFolder
from hilum.report.style import style
from hilum.report.wording import sample_size


def draw_roc(run: RunFolder) -> DrawnFigure | None:
    predictions = labelled(run)
    if predictions is None:
        return None
    shown = with_both(predictions, run.classes)
    if not shown:
        return None
    points = pd.concat([curves.roc_points(predictions, name) for name in shown])
    areas = areas_of(run, ("auroc", "auc"))
    return DrawnFigure(
        roc(points, areas),
        points,
        "ROC curves. " + listed_areas("AUROC", areas, shown),
        f"ROC curves, each class against the rest, {sample_size(len(predictions))}. "
        "Dashes: chance.",
    )


def roc(points: pd.DataFrame, areas: Mapping[str, float]) -> Figure:
    """ROC curves (class, false_positive_rate, true_positive_rate); the diagonal is chance.

    Fawcett 2006, doi:10.1016/j.patrec.2005.10.010.
    """
    with style():
        figure, axes = square()
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (2, 2)))
        axes.annotate(
            "chance",
            (0.5, 0.5),
            (4, -4),
            textcoords="offset points",
            color=MUTED,
            fontsize=8,
            rotation=45,
            va="top",
        )
        class_lines(axes, points, ("false_positive_rate", "true_positive_rate"), areas)
        axes.set(xlabel="1 − specificity", ylabel="Sensitivity")
        class_legend(axes, "AUROC", "lower right")
    return figure
