"""The reliability curve: how often a prediction is right at each confidence."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hilum.metrics import curves
from hilum.report.figures.base import DrawnFigure, labelled
from hilum.report.palette import MUTED, OKABE_ITO
from hilum.report.run_folder import RunFolder
from hilum.report.style import blank, style, unit_axes
from hilum.report.wording import sample_size


def draw_reliability(run: RunFolder) -> DrawnFigure | None:
    predictions = labelled(run)
    if predictions is None:
        return None
    bins = curves.reliability_curve(predictions, run.classes)
    return DrawnFigure(
        reliability(bins),
        bins,
        "Reliability curve: share of right predictions per bin of confidence. Values in the CSV.",
        f"Calibration, {sample_size(len(predictions))}: how often a prediction is right at each "
        "confidence, with 95% intervals; below, images per bin. On the dashed line, confidence "
        "equals truth.",
    )


def reliability(bins: pd.DataFrame) -> Figure:
    """Share right per bin of confidence (confidence, accuracy, low, high, n, left, right).

    DeGroot & Fienberg 1983, doi:10.2307/2987588.
    """
    filled = bins[bins["n"] > 0]
    with style():
        figure = blank(4.5, 4.9)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1.15])
        unit_axes(upper, square=False)
        upper.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (2, 2)))
        errors = np.abs(filled[["low", "high"]].to_numpy() - filled[["accuracy"]].to_numpy()).T
        upper.errorbar(
            filled["confidence"],
            filled["accuracy"],
            errors,
            color=OKABE_ITO["blue"],
            marker="o",
            markersize=4.5,
            elinewidth=1.1,
            capsize=2,
        )
        upper.set_ylabel("Share that is right")
        # above the axes: inside them an error bar may cross any place
        upper.set_title(
            "above the dashes under-confident, below over-confident", fontsize=8, color=MUTED
        )
        lower.bar(
            bins["left"],
            bins["n"],
            bins["right"] - bins["left"],
            align="edge",
            color=OKABE_ITO["sky"],
            edgecolor="white",
        )
        lower.set(xlabel="Confidence (probability of the predicted class)", ylabel="Images")
    return figure
