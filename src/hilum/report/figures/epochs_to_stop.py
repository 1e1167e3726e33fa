"""Epochs until a stop rule held, of every model.

Stop rules: Prechelt 1998, doi:10.1007/3-540-49430-8_3.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hilum.report import grid_tables, history
from hilum.report.figures.base import DrawnFigure
from hilum.report.palette import OKABE_ITO
from hilum.report.printed_table import printed_texts
from hilum.report.run_folder import RunFolder
from hilum.report.style import blank, style
from hilum.report.wording import count, wrapped

NEVER = "never"
TITLE = "Epochs until the stop rule"


def draw_epochs_to_stop(run: RunFolder) -> DrawnFigure | None:
    if run.history is None:
        return None
    rule, origin = history.stop_rule(run.recipe)
    table = history.stops(history.with_steps(run.history), rule)
    if table.empty:
        return None
    names = grid_tables.short_names(list(table["cell"].unique()))
    table.insert(0, "model", table["cell"].map(names))
    words = table.groupby("model", sort=False)[["epochs", "ran"]].apply(stop_words)
    listed = table["epochs"].astype("object").where(table["epochs"].notna(), NEVER)
    return DrawnFigure(
        epochs_to_stop(table),
        table.assign(epochs=listed),
        f"Epochs until the stop rule held, of {count(len(words), 'model')}. Table below.",
        f"Epochs until validation accuracy was at least {rule.accuracy:g} and validation loss "
        f"below {rule.loss:g} at the end of the same epoch ({origin}). Bars: medians; dots: "
        "trainings.",
        "full",
        table=printed_texts(words.rename("Epochs").rename_axis("Model").reset_index(), TITLE),
    )


def epochs_to_stop(stops: pd.DataFrame) -> Figure:
    """Epochs until the stop rule held (model, fold, seed, epochs, ran): the median as a bar.

    A dot per training; where some or all never reached it, the words say so.
    """
    names = list(dict.fromkeys(stops["model"]))
    with style():
        figure = blank(9.2, 0.8 + 0.36 * len(names))
        axes = figure.subplots()
        for i, name in enumerate(names):
            _stop_bar(axes, i, stops[stops["model"] == name])
        axes.set_yticks(range(len(names)), [wrapped(str(name), 40) for name in names])
        axes.set(ylim=(len(names) - 0.4, -0.6), xlabel="Epochs until the rule held")
        reached = stops["epochs"].dropna()
        axes.set_xlim(0, 1.35 * max(float(reached.max()) if len(reached) else 1.0, 1.0))
        axes.grid(visible=False, axis="y")
    return figure


def _stop_bar(axes: Axes, i: int, rows: pd.DataFrame) -> None:
    reached = rows["epochs"].dropna().astype(float)
    end = float(reached.max()) if len(reached) else 0.0
    if len(reached):
        axes.barh(i, reached.median(), height=0.62, color=OKABE_ITO["sky"])
    if len(reached) > 1:
        axes.plot(reached, np.full(len(reached), i), ".", color=OKABE_ITO["blue"], markersize=5)
    axes.annotate(
        stop_words(rows), (end, i), (6, 0), textcoords="offset points", va="center", fontsize=8.5
    )


def stop_words(rows: pd.DataFrame) -> str:
    """ "8", "never (in 100 epochs)", or the median with how many never reached it."""
    reached = rows["epochs"].dropna().astype(float)
    ran = int(rows["ran"].max())
    if reached.empty:
        return f"{NEVER} (in {ran:,} epoch{'' if ran == 1 else 's'})"
    words = f"{reached.median():g}"
    missed = len(rows) - len(reached)
    return words if not missed else f"{words}; {missed} of {len(rows)} {NEVER}"
