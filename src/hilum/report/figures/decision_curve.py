"""The decision curve: net benefit of calling one class, by threshold.

Vickers and Elkin 2006, doi:10.1177/0272989X06295361.
"""

import pandas as pd
from matplotlib.figure import Figure

from hilum.report.figures import operating_points
from hilum.report.figures.base import DrawnFigure, one_seed, positive_class, seed_note
from hilum.report.palette import LINES, SERIES
from hilum.report.run_folder import RunFolder
from hilum.report.style import blank, style
from hilum.report.wording import class_name, sample_size


def draw_decision_curve(run: RunFolder) -> DrawnFigure | None:
    predictions = one_seed(run)
    if predictions is None or len(run.classes) < 2:
        return None
    sought = positive_class(run.classes)
    curve = operating_points.decision_curve_table(predictions, sought)
    return DrawnFigure(
        decision_curve(curve, sought),
        curve,
        f"Net benefit of calling {class_name(sought)} against the threshold. Values in the CSV.",
        "Net benefit (Vickers & Elkin 2006): cases found less false alarms, weighed by the odds of "
        f"the threshold, per image, {sample_size(len(predictions))}.{seed_note(run)} A model is of "
        "use where it lies above both calling everyone and calling no one.",
    )


def decision_curve(curve: pd.DataFrame, class_: str) -> Figure:
    """Net benefit of the model, of calling everyone and of calling no one, by threshold."""
    words = {"model": "the model", "all": "everyone is called", "none": "no one is called"}
    with style():
        figure = blank(4.6, 3.4)
        axes = figure.subplots()
        for i, (name, word) in enumerate(words.items()):
            axes.plot(
                curve["threshold"], curve[name], linestyle=LINES[i], color=SERIES[i], label=word
            )
        top = max(0.01, float(curve[list(words)].max().max()))
        axes.set(
            xlabel=f"Threshold on the probability of {class_name(class_)}",
            ylabel="Net benefit per image", xlim=(0, 1), ylim=(-0.3 * top, 1.1 * top),
        )  # fmt: skip
        axes.legend(fontsize=8)
    return figure
