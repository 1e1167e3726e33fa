"""Sensitivity, specificity and predictive values where one class is called from a threshold on.

Altman and Bland 1994, doi:10.1136/bmj.308.6943.1552 and doi:10.1136/bmj.309.6947.102.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hilum.report.figures import operating_points
from hilum.report.figures.base import DrawnFigure, one_seed, positive_class, seed_note
from hilum.report.palette import LINES, OKABE_ITO, SERIES
from hilum.report.printed_table import printed_texts
from hilum.report.run_folder import RunFolder
from hilum.report.style import blank, error_lengths, style
from hilum.report.wording import class_name, sample_size, score_name

TITLE = "Thresholds"


def draw_thresholds(run: RunFolder) -> DrawnFigure | None:
    predictions = one_seed(run)
    if predictions is None or len(run.classes) < 2:
        return None
    sought = positive_class(run.classes)
    points = operating_points.points(predictions, sought)
    return DrawnFigure(
        thresholds(points),
        points,
        "Sensitivity, specificity and predictive values at each threshold. Table below.",
        f"{class_name(sought)} is called from each threshold on, {sample_size(len(predictions))}. "
        f"Bars: Wilson's 95% intervals, images taken as independent.{seed_note(run)} The "
        "thresholds are given, not chosen on these images.",
        "full",
        table=printed_texts(operating_points.printable(points), TITLE),
    )


def thresholds(points: pd.DataFrame) -> Figure:
    """Sensitivity and specificity with their intervals at each threshold; PPV by prevalence."""
    with style():
        figure = blank(9.2, 3.6)
        left, right = figure.subplots(1, 2)
        for name, colour, mark in (
            ("sensitivity", "vermillion", "o"),
            ("specificity", "blue", "s"),
        ):
            _intervals(left, points.assign(value=points[name]), name, OKABE_ITO[colour], mark)
        left.set(
            title="Of those with and without", ylabel="Share that is called rightly", ylim=(0, 1.03)
        )
        shares = [name for name in points if str(name).startswith("ppv_at_")]
        here = f"{points['prevalence'].iloc[0]:.1%}, as here"
        named = [("ppv", here), *((name, f"{float(str(name)[7:]):.0%}") for name in shares)]
        for i, (name, words) in enumerate(named):
            at = str(name).removeprefix("ppv")
            rows = points.assign(
                value=points[name], low=points[f"ppv_low{at}"], high=points[f"ppv_high{at}"]
            )
            right.errorbar(
                points["threshold"], points[name], error_lengths(rows), marker="o", color=SERIES[i],
                markersize=4, linestyle=LINES[i % len(LINES)], label=words, elinewidth=0.9,
                capsize=2,
            )  # fmt: skip
        right.set(title="Of those called positive", ylabel="PPV", ylim=(-0.02, 1.03))
        right.legend(title="where this share has it", fontsize=8, alignment="left")
        for axes in (left, right):
            axes.set_xlabel(
                f"Threshold on the probability of {class_name(points['class'].iloc[0])}"
            )
            axes.set_xticks(points["threshold"])
        left.legend(loc="lower right")
    return figure


def _intervals(axes: Axes, rows: pd.DataFrame, name: str, colour: str, mark: str) -> None:
    ends = error_lengths(rows.rename(columns={f"{name}_low": "low", f"{name}_high": "high"}))
    axes.errorbar(
        rows["threshold"], rows["value"], ends, color=colour, marker=mark, markersize=4.5,
        elinewidth=1.1, capsize=2, label=score_name(name),
    )  # fmt: skip
