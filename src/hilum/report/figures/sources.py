"""Images of each class by source.

Why it matters: DeGrave et al. 2021, doi:10.1038/s42256-021-00338-7.
"""

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hilum.report.figures.base import DrawnFigure
from hilum.report.palette import series
from hilum.report.printed_table import printed_counts
from hilum.report.run_folder import RunFolder
from hilum.report.sections import labels_by_source
from hilum.report.style import blank, style
from hilum.report.wording import class_name, sample_size, short_label


def draw_sources(run: RunFolder) -> DrawnFigure | None:
    counts = labels_by_source(run)
    if counts is None or counts.empty or len(counts.columns) < 2:
        return None  # a bar of one colour says no more than a count
    n = int(counts.to_numpy().sum())
    return DrawnFigure(
        sources(counts),
        counts.reset_index(),
        "Stacked bars: images of each class by source. Table below.",
        f"Images of each class by source, {sample_size(n)}. Where a colour belongs to one class "
        "only, the source alone gives the label away.",
        "full",
        table=printed_counts(counts, "Class", "Images of each class by source"),
    )


def sources(counts: pd.DataFrame) -> Figure:
    """Images of each class (rows) by source (columns) as stacked bars."""
    names = [short_label(class_name(str(name))) for name in counts.index]
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
                label=short_label(name, 30),
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
