"""AUROC by the source trained on and the source tested on.

The question: Zech et al. 2018, doi:10.1371/journal.pmed.1002683.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hilum.report.figures.base import DrawnFigure
from hilum.report.figures.matrix import SHADES, class_lines_of
from hilum.report.palette import INK
from hilum.report.run_folder import RunFolder
from hilum.report.style import blank, style


def draw_across(run: RunFolder) -> DrawnFigure | None:
    if run.across is None or run.across.empty:
        return None
    order = list(dict.fromkeys(run.across["train"]))
    areas = run.across.pivot_table(index="train", columns="test", values="auroc", sort=False)
    return DrawnFigure(
        across(areas.loc[order]),
        run.across,
        "Matrix of AUROC by the source trained on and the source tested on. Values in the CSV.",
        "AUROC of a linear probe on the network's features, by the source that it was trained on "
        "and the one that it was tested on, over the classes that both have; where both are one, "
        "out of fold and by patient. "
        "What drops off the diagonal does not travel to other sources.",
    )


def across(areas: pd.DataFrame) -> Figure:
    """AUROC (trained on, tested on), shaded from 0.5 to 1; a place without one stays empty."""
    rows, columns = areas.shape
    with style():
        figure = blank(min(3.0 + 1.1 * columns, 9.2), 1.3 + 0.7 * rows)
        axes = figure.subplots()
        axes.imshow(areas.to_numpy(float), cmap=SHADES, vmin=0.5, vmax=1, aspect="auto")
        axes.set_xticks(range(columns), [class_lines_of(name) for name in areas.columns])
        axes.set_yticks(range(rows), [class_lines_of(name) for name in areas.index])
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        for (row, column), area in np.ndenumerate(areas.to_numpy(float)):
            if not np.isnan(area):
                ink = "white" if area > 0.75 else INK
                axes.text(column, row, f"{area:.2f}", ha="center", va="center", color=ink)
        axes.set(xlabel="Tested on", ylabel="Trained on")
    return figure
