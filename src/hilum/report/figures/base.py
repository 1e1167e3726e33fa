"""What every figure of the report is made of, and the predictions that several of them show."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import pandas as pd
from matplotlib.figure import Figure

from hilum.report.printed_table import PrintedTable
from hilum.report.run_folder import RunFolder
from hilum.report.style import COLOURS

# the sections of the page that show figures, by their anchors
Section: TypeAlias = Literal[
    "verdict", "data", "split", "scores", "curves", "training", "study", "errors", "audits", "model"
]
SECTIONS: tuple[Section, ...] = get_args(Section)
CONTROLS = ("normal", "non_covid")
SOUGHT = "covid19"


@dataclass(frozen=True, slots=True)
class DrawnFigure:
    """A figure before it is stored, with the table that it shows."""

    figure: Figure
    data: pd.DataFrame
    alt: str
    caption: str
    width: str = "half"
    notes: tuple[str, ...] = ()  # sentences to print below the caption
    table: PrintedTable | None = None  # to print below, where a reader needs the numbers
    colours: int = COLOURS  # of the stored palette; 0: all
    films: bool = False  # it shows images, whose greys no theme may invert


@dataclass(frozen=True, slots=True)
class ReportFigure:
    """A row of FIGURES: what a figure is called, where it stands, and how it is made."""

    name: str  # of its files in `figures/`
    title: str
    section: Section
    draw: Callable[[RunFolder], DrawnFigure | None]  # None where the run's files do not allow it
    needs: str  # what it cannot be drawn without
    asked_as: str = ""  # its name in a recipe's `figures`; "" for a figure of every report


def labelled(run: RunFolder) -> pd.DataFrame | None:
    """Predictions of images with a known label, or None where a curve cannot be drawn."""
    predictions = run.chosen()
    if predictions is None or not run.classes:
        return None
    rows = predictions[predictions["label"].isin(run.classes)]
    return None if rows.empty else rows.reset_index(drop=True)


def one_seed(run: RunFolder) -> pd.DataFrame | None:
    """Predictions of one seed of the reported cell: counts of several would count images twice."""
    predictions = labelled(run)
    if predictions is None:
        return None
    seed = run.section("model").get("seed")
    seeds = list(predictions["seed"].unique())
    own_rows = predictions[predictions["seed"] == (seed if seed in seeds else seeds[0])]
    return own_rows.reset_index(drop=True)


def seed_note(run: RunFolder) -> str:
    """Of several seeds, which one a figure shows; "" where there is one."""
    predictions = labelled(run)
    seeds = 0 if predictions is None else predictions["seed"].nunique()
    return f" One of {seeds} seeds, that of the stored model." if seeds > 1 else ""


def positive_class(classes: list[str]) -> str:
    """The class that a test looks for: COVID-19 where there is one, else the last but controls."""
    others = [name for name in classes if name not in CONTROLS] or classes
    return SOUGHT if SOUGHT in classes else others[-1]
