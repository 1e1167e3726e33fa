"""Films as they are and with the lungs' box blacked out, and what the model says of both.

The experiment: Maguolo and Nanni 2021, doi:10.1016/j.inffus.2021.04.008.
"""

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from hilum.report.contact_sheet import show_film
from hilum.report.figures.base import DrawnFigure
from hilum.report.run_folder import RunFolder
from hilum.report.style import blank, style
from hilum.report.wording import class_name, code, probability_words
from hilum.types import Grey8, Stack8

FILE = "blacked_out.npz"
EACH = 1.53  # inches: six films fill the page
HARDLY = ", hardly changed"
SAME = 0.05  # of probability: below it the answer has hardly changed
MOST = 0.75  # of the dark films: the box itself is taken for the class that so many get
COLUMNS = ("label", "said", "whole", "dark", "dark_said", "dark_p")


@dataclass(frozen=True, slots=True)
class Blacked:
    """Prepared films (film, row, column), the boxes taken out of them, and the answers."""

    films: Stack8
    boxes: npt.NDArray[np.int64]  # (film, panel, 4): rows from, to, columns from, to
    table: pd.DataFrame  # code, label, said, whole, dark (the same class's), dark_said, dark_p

    def dark(self, number: int) -> Grey8:
        """One film without what its boxes hold."""
        film = self.films[number].copy()
        for top, bottom, left, right in self.boxes[number].reshape(-1, 4):
            film[top:bottom, left:right] = 0
        return film


def draw_lungs_blacked_out(run: RunFolder) -> DrawnFigure | None:
    shown = read_films(run.folder)
    if shown is None:
        return None
    return DrawnFigure(
        films_figure(shown),
        shown.table,
        "Films above, the same films with the lungs blacked out below, each with the model's "
        "answer and its probability. Values in the CSV.",
        f"Test films, and below each the same film with the lungs blacked out. {_unchanged(shown)} "
        "Above: the truth. Under each film: the model's answer to it, and its probability. "
        f"{_meaning(shown.table)} The films are of typical certainty, not picked for the effect.",
        "full",
        colours=0,
        films=True,
    )


def read_films(folder: Path) -> Blacked | None:
    """What a run's folder keeps of C-01's films; None where there is nothing that can be read."""
    try:
        with np.load(folder / FILE, allow_pickle=False) as kept:
            table = pd.DataFrame({name: kept[name] for name in COLUMNS})
            table.insert(0, "code", [code("image", str(name)) for name in kept["sample_id"]])
            return Blacked(kept["films"], kept["boxes"], table) if len(table) else None
    except (OSError, ValueError, KeyError, BadZipFile):
        return None


def _unchanged(shown: Blacked) -> str:
    kept, all_ = int(_hardly_changed(shown.table).sum()), len(shown.table)
    return (
        f"In {kept} of these {all_} the answer stays and its probability changes by less than "
        f"{SAME:.2f}."
    )


def _hardly_changed(table: pd.DataFrame) -> "pd.Series[bool]":
    return (table["said"] == table["dark_said"]) & ((table["whole"] - table["dark"]).abs() < SAME)


def _meaning(table: pd.DataFrame) -> str:
    """What the answers to dark films say; little, where the box itself is one class's mark."""
    counts = table["dark_said"].value_counts()
    name, n = str(counts.index[0]), int(counts.iloc[0])
    if n >= MOST * len(table) and n > (table["said"] == name).sum():
        return (
            f"Without the lungs {n} of {len(table)} are called {class_name(name)}: the black box "
            "itself is taken for that class. C-01's probe, fitted on dark films, decides."
        )
    return "Where that hardly changes without the lungs, the answer did not come from them."


def films_figure(shown: Blacked) -> Figure:
    """Above the films as they are, below the same with the lungs taken out."""
    count = len(shown.table)
    same = list(_hardly_changed(shown.table))
    with style():
        figure = blank(EACH * count, 2 * EACH + 0.75)
        axes = figure.subplots(2, count, squeeze=False)
        for i, row in enumerate(shown.table.itertuples()):
            show_film(
                axes[0, i],
                shown.films[i],
                f"is {class_name(str(row.label))}",
                _answer(str(row.said), row.whole),
            )
            show_film(
                axes[1, i],
                shown.dark(i),
                "",
                f"{_answer(str(row.dark_said), row.dark_p)}{HARDLY if same[i] else ''}",
            )
    return figure


def _answer(name: str, p: float) -> str:
    return f"{class_name(name)}\n{probability_words(p, 2)}"
