"""The figures: each takes the table that it shows and returns a Figure, drawn without pyplot."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hilum.report.palette import GRID, LINES, MUTED, OKABE_ITO, SERIES, series
from hilum.report.style import blank, style, unit_axes
from hilum.report.wording import class_name, label


def roc(points: pd.DataFrame, areas: Mapping[str, float]) -> Figure:
    """ROC curves (class, false_positive_rate, true_positive_rate); the diagonal is chance.

    Fawcett 2006, doi:10.1016/j.patrec.2005.10.010.
    """
    with style():
        figure, axes = _square()
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
        _class_lines(axes, points, ("false_positive_rate", "true_positive_rate"), areas)
        axes.set(xlabel="1 − specificity", ylabel="Sensitivity")
        _legend(axes, "AUROC", "lower right")
    return figure


def precision_recall(
    points: pd.DataFrame, areas: Mapping[str, float], shares: Mapping[str, float]
) -> Figure:
    """Precision-recall curves (class, recall, precision); a thin line marks each class's share.

    Davis & Goadrich 2006, doi:10.1145/1143844.1143874.
    """
    with style():
        figure, axes = _square()
        for name, colour in _colours(points).items():
            axes.axhline(shares[name], color=colour, linewidth=0.9, linestyle=(0, (1, 2)))
        _class_lines(axes, points, ("recall", "precision"), areas)
        axes.set(xlabel="Recall (sensitivity)", ylabel="Precision (PPV)")
        _legend(axes, "AUPRC", "lower left")
    return figure


def _square() -> tuple[Figure, Axes]:
    figure = blank(4.5, 4.3)
    axes = figure.subplots()
    unit_axes(axes)
    return figure, axes


def _colours(points: pd.DataFrame) -> dict[str, str]:
    return series([str(name) for name in points["class"].unique()])


def _class_lines(
    axes: Axes, points: pd.DataFrame, columns: tuple[str, str], areas: Mapping[str, float]
) -> None:
    for i, (name, colour) in enumerate(_colours(points).items()):
        mine = points[points["class"] == name]
        area = f"  {areas[name]:.3f}" if name in areas else ""
        axes.plot(
            mine[columns[0]],
            mine[columns[1]],
            color=colour,
            linestyle=LINES[i // len(SERIES) % len(LINES)],
            label=label(class_name(name)) + area,
        )


def _legend(axes: Axes, title: str, place: Literal["lower right", "lower left"]) -> None:
    if len(axes.get_legend_handles_labels()[0]) <= 12:
        axes.legend(
            title=title,
            loc=place,
            alignment="left",
            handlelength=1.6,
            frameon=True,
            framealpha=0.92,
            edgecolor="none",
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


def score_histograms(bins: pd.DataFrame) -> Figure:
    """Per class: how its probability is spread over its own images and over all others.

    `bins` has class, left, right, truth ("own" or "other") and n; both are drawn as shares, because
    the two groups differ in size.
    """
    colours = _colours(bins)
    columns = min(len(colours), 4)
    lines = -(-len(colours) // columns)
    with style():
        figure = blank(9.2 if columns > 2 else 4.6 * columns, 0.4 + 2.1 * lines)
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for axes, (name, colour) in zip(grid.flat, colours.items(), strict=False):
            _histogram(axes, bins[bins["class"] == name], colour)
            axes.set_title(label(class_name(name), 26))
        for axes in grid.flat[len(colours) :]:
            axes.set_visible(False)
        figure.supxlabel("Predicted probability of the class", fontsize=9)
        figure.supylabel("Share of images", fontsize=9)
    return figure


def _histogram(axes: Axes, bins: pd.DataFrame, colour: str) -> None:
    for truth, fill in (("other", GRID), ("own", colour)):
        mine = bins[bins["truth"] == truth]
        share = mine["n"] / max(mine["n"].sum(), 1)
        edges = [*mine["left"], mine["right"].iloc[-1]]
        axes.stairs(share, edges, fill=True, color=fill, alpha=0.75 if truth == "own" else 1)
        axes.stairs(
            share,
            edges,
            color=colour if truth == "own" else MUTED,
            linewidth=1.1,
            label=f"{truth}, n = {mine['n'].sum():,}",
        )
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.legend(loc="upper center", fontsize=7.5, handlelength=1.2)


def sources(counts: pd.DataFrame) -> Figure:
    """Images of each class (rows) by source (columns) as stacked bars."""
    names = [label(class_name(str(name))) for name in counts.index]
    colours = series([str(name) for name in counts.columns])
    with style():
        figure = blank(9.2, 0.9 + 0.42 * len(names) + 0.2 * (len(colours) > 4))
        axes = figure.subplots()
        left = np.zeros(len(names))
        for i, (name, colour) in enumerate(colours.items()):
            n = counts.iloc[:, i].to_numpy()
            axes.barh(
                names,
                n,
                left=left,
                color=colour,
                edgecolor="white",
                height=0.66,
                label=label(name, 30),
            )
            left = left + n
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("Images")
        figure.legend(*_first(axes, 12), loc="outside upper left", ncols=4, handlelength=1)
    return figure


def _first(axes: Axes, n: int) -> tuple[list[Artist], list[str]]:
    handles, labels = axes.get_legend_handles_labels()
    return handles[:n], labels[:n]
