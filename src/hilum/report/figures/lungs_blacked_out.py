"""Films as they are and with the lungs' box blacked out, and what the model says of both."""

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
from hilum.report.wording import class_name, code
from hilum.types import Grey8, Stack8

FILE = "blacked_out.npz"
EACH = 1.53  # inches: six films fill the page


@dataclass(frozen=True, slots=True)
class Blacked:
    """Prepared films (film, row, column), the boxes taken out of them, and the answers."""

    films: Stack8
    boxes: npt.NDArray[np.int64]  # (film, panel, 4): rows from, to, columns from, to
    table: pd.DataFrame  # code, label, said, whole, dark: the same class's probability twice

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
        "Films above, the same films with the lungs blacked out below, each with the probability "
        "of one class. Values in the CSV.",
        "What audit C-01 shows the model: test films of middling certainty, and the same without "
        "the lungs. Below each stands the class that the model gives to the whole film, with its "
        "probability. Where it hardly falls, the answer did not come from the lungs.",
        "full",
        colours=0,
    )


def read_films(folder: Path) -> Blacked | None:
    """What a run's folder keeps of C-01's films; None where there is nothing that can be read."""
    try:
        with np.load(folder / FILE, allow_pickle=False) as kept:
            table = pd.DataFrame({name: kept[name] for name in ("label", "said", "whole", "dark")})
            table.insert(0, "code", [code("image", str(name)) for name in kept["sample_id"]])
            return Blacked(kept["films"], kept["boxes"], table) if len(table) else None
    except (OSError, ValueError, KeyError, BadZipFile):
        return None


def films_figure(shown: Blacked) -> Figure:
    """Above the films as they are, below the same with the lungs taken out."""
    count = len(shown.table)
    with style():
        figure = blank(EACH * count, 2 * EACH + 0.85)
        axes = figure.subplots(2, count, squeeze=False)
        for i, row in enumerate(shown.table.itertuples()):
            predicted = class_name(str(row.said))
            show_film(
                axes[0, i],
                shown.films[i],
                f"is {class_name(str(row.label))}",
                f"{predicted}\np = {row.whole:.2f}",
            )
            show_film(axes[1, i], shown.dark(i), "", f"{predicted}\np = {row.dark:.2f}")
    return figure
