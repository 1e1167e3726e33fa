"""The confusion matrix of every model."""

import pandas as pd

from hilum.metrics import curves
from hilum.report import grid_tables
from hilum.report.figures.base import DrawnFigure
from hilum.report.figures.matrix import drawn_matrices
from hilum.report.run_folder import RunFolder


def draw_confusions(run: RunFolder) -> DrawnFigure | None:
    if run.predictions is None or not run.classes:
        return None
    predictions = run.predictions[run.predictions["label"].isin(run.classes)]
    names = grid_tables.short_names(list(predictions["cell"].unique()))
    parts = []
    for cell, rows in predictions.groupby("cell", sort=False):
        counts = curves.confusion_table(rows, run.classes)
        long = counts.stack().rename("n").reset_index()
        parts.append(long.assign(matrix=names[str(cell)]))
    if not parts:
        return None
    return drawn_matrices(
        pd.concat(parts, ignore_index=True), "the most probable class is predicted"
    )
