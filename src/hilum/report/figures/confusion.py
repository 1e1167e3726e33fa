"""The confusion matrix of the reported model.

Stehman 1997, doi:10.1016/S0034-4257(97)00083-7.
"""

import pandas as pd
from matplotlib.figure import Figure

from hilum.metrics import curves
from hilum.report.figures.base import DrawnFigure, labelled
from hilum.report.figures.matrix import draw_matrix
from hilum.report.printed_table import printed_counts
from hilum.report.run_folder import RunFolder
from hilum.report.style import blank, style
from hilum.report.wording import sample_size


def draw_confusion(run: RunFolder) -> DrawnFigure | None:
    counts = confusion_counts(run)
    if counts is None:
        return None
    n, right = int(counts.to_numpy().sum()), int(sum(counts.iloc[i, i] for i in range(len(counts))))
    return DrawnFigure(
        confusion(counts),
        counts.rename_axis("truth").reset_index(),
        f"Confusion matrix: {right} of {n} predictions on the diagonal. Table below.",
        f"Confusion matrix, {sample_size(n)} predictions. Rows are the truth; the percentage and "
        "the shade are the share of the row.",
        table=printed_counts(
            counts,
            "Truth / prediction",
            "Confusion matrix, counts",
            summary="Confusion matrix as a table",
        ),
    )


def confusion_counts(run: RunFolder) -> pd.DataFrame | None:
    """Images by truth (rows) and prediction (columns) of the reported cell."""
    predictions = labelled(run)
    return None if predictions is None else curves.confusion_table(predictions, run.classes)


def confusion(counts: pd.DataFrame) -> Figure:
    """Counts of (truth, prediction), shaded by the share of the row's truth; both are written.

    `counts` is (truth, prediction).
    """
    size = len(counts)
    with style():
        figure = blank(4.5 if size <= 5 else 9.2, min(1.1 + 0.8 * size, 8.0))
        axes = figure.subplots()
        draw_matrix(axes, counts)
        axes.set(xlabel="Prediction", ylabel="Truth")
    return figure
