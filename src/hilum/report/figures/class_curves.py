"""What ROC and precision-recall curves share: square axes, a line per class, areas.

How the two relate: Davis and Goadrich 2006, doi:10.1145/1143844.1143874.
"""

from collections.abc import Mapping
from typing import Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hilum.report.palette import LINES, SERIES, series
from hilum.report.run_folder import RunFolder
from hilum.report.score_tables import chosen_scores
from hilum.report.style import blank, unit_axes
from hilum.report.wording import class_name, short_label


def square() -> tuple[Figure, Axes]:
    """A figure with one pair of axes from 0 to 1."""
    figure = blank(4.5, 4.3)
    axes = figure.subplots()
    unit_axes(axes)
    return figure, axes


def class_colours(points: pd.DataFrame) -> dict[str, str]:
    """The colour of each class in `points`."""
    return series([str(name) for name in points["class"].unique()])


def class_lines(
    axes: Axes, points: pd.DataFrame, columns: tuple[str, str], areas: Mapping[str, float]
) -> None:
    """One line per class over two columns of `points`, its area in the legend."""
    for i, (name, colour) in enumerate(class_colours(points).items()):
        own_points = points[points["class"] == name]
        area = f"  {areas[name]:.3f}" if name in areas else ""
        axes.plot(
            own_points[columns[0]],
            own_points[columns[1]],
            color=colour,
            linestyle=LINES[i // len(SERIES) % len(LINES)],
            label=short_label(class_name(name)) + area,
        )


def class_legend(axes: Axes, title: str, place: Literal["lower right", "lower left"]) -> None:
    """The legend, unless there are too many classes to read."""
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


def with_both(predictions: pd.DataFrame, classes: list[str]) -> list[str]:
    """Classes that some images have and some have not: only these have curves."""
    present = predictions["label"].nunique() > 1
    return [name for name in classes if present and (predictions["label"] == name).any()]


def areas_of(run: RunFolder, names: tuple[str, ...]) -> dict[str, float]:
    """The recorded areas by class, of a score under any of its names."""
    rows = [
        row
        for row in chosen_scores(run)
        if row.get("name") in names and row.get("value") is not None
    ]
    return {str(row.get("class")): float(row["value"]) for row in rows}


def listed_areas(what: str, areas: dict[str, float], shown: list[str]) -> str:
    """Areas as words for those who cannot see the curves."""
    listed = [f"{class_name(name)} {areas[name]:.3f}" for name in shown if name in areas]
    return f"{what}: {', '.join(listed)}." if listed else "Values in the CSV."
