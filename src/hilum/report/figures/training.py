"""Loss and accuracy of the reported model by epoch, or along a regularisation path."""

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from hilum.report import history
from hilum.report.figures.base import DrawnFigure
from hilum.report.figures.training_panels import SCORES, training_panel
from hilum.report.run_folder import RunFolder
from hilum.report.style import blank, style
from hilum.report.wording import count


def draw_training(run: RunFolder) -> DrawnFigure | None:
    if run.history is None:
        return None
    rows = run.history[run.history["cell"] == run.cell]
    rows = history.with_steps(run.history if rows.empty else rows)
    path = history.on_path(rows)
    runs, part = len(rows[["fold", "seed"]].drop_duplicates()), history.watched(rows)
    many = " A thin line per fold and seed, the mean strong." if runs > 1 else ""
    return DrawnFigure(
        training(rows),
        rows,
        f"Loss and accuracy of {count(runs, 'training')}, training and {part} part.",
        f"{count(runs, 'training').capitalize()} of the model.{many} Dots: the lowest {part} "
        f"loss.{_of_path(rows[path])}",
        "full",
        history.overfit_notes(rows, {run.cell: "this model"}),
    )


def _of_path(rows: pd.DataFrame) -> str:
    """How to read a regularisation path, and where validation is best on it."""
    if rows.empty:
        return ""
    best = history.lowest(rows)["strength"]
    strength = (
        f"{best.min():.2g}" if best.nunique() == 1 else f"{best.min():.2g} to {best.max():.2g}"
    )
    return (
        " The linear head is solved exactly at each strength of the L2 penalty, without epochs; "
        f"validation is best at {strength}."
    )


def training(epochs: pd.DataFrame) -> Figure:
    """Loss and accuracy of one cell (HISTORY_COLUMNS, step, perhaps strength).

    A thin line per fold and seed, their mean strong, a dot where a training's watched loss is
    lowest; a regularisation path and training by epochs each get a row of their own.
    """
    kinds = [rows for _, rows in epochs.groupby(~history.on_path(epochs))]
    with style():
        figure = blank(9.2, 3.2 * len(kinds))
        grid = figure.subplots(len(kinds), 2, squeeze=False)
        for row, rows in zip(grid, kinds, strict=True):
            for axes, name in zip(row, SCORES, strict=True):
                training_panel(axes, rows, name)
                axes.set(title=name.capitalize(), ylabel=SCORES[name])
        shown: dict[str, Artist] = {}
        for axes in grid[:, 1]:
            handles, words = axes.get_legend_handles_labels()
            shown |= dict(zip(words, handles, strict=True))
        if shown:  # outside: inside it may lie on the line that it names
            figure.legend([*shown.values()], [*shown], loc="outside upper right", ncols=len(shown))
    return figure
