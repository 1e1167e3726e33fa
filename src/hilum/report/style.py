"""The common style of all figures, and how one is stored: a small PNG with its data next to it."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from PIL import Image

from hilum import files
from hilum.report import figure_csv
from hilum.report.palette import GRID, INK, MUTED

DOTS_PER_INCH = 200  # the page shows 100 per inch: twice that is sharp on dense screens
COLOURS = 96  # of the stored palette; antialiased lines stay smooth, files a third of the size
STYLE: Any = {  # matplotlib types each key as a literal
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "text.color": INK,
    "text.parse_math": False,  # a class name with dollar signs is a name, not a formula
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
}


@contextmanager
def style() -> Iterator[None]:
    """The figures' style within a `with` block; glyphs that the font lacks become boxes."""
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def blank(width: float, height: float, dots: int = DOTS_PER_INCH) -> Figure:
    """An empty figure, `width` x `height` inches (100 page pixels each), `dots` per inch."""
    return Figure(figsize=(width, height), dpi=dots, layout="constrained")


def unit_axes(axes: Axes, square: bool = True) -> None:
    """Both axes from 0 to 1, with a little room so that no line at the border is cut."""
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    if square:
        axes.set_aspect("equal")


def plain_ticks(axis: Axis) -> None:
    """Label the decades of a log axis as plain numbers: the default are formulas, never parsed."""
    axis.set_major_formatter(lambda value, _: f"{value:,.12g}")
    axis.set_minor_formatter(NullFormatter())


def error_lengths(rows: pd.DataFrame) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """(2, row) lengths of the error bars; none where an end is not recorded."""
    below, above = rows["value"] - rows["low"], rows["high"] - rows["value"]
    return np.nan_to_num(np.stack([below, above]).astype(float).clip(min=0))


def save_figure(
    figure: Figure, data: pd.DataFrame, folder: Path, name: str, colours: int = COLOURS
) -> Path:
    """Write `name`.png and `name`.csv with what it shows; return the PNG.

    A palette of so many colours; 0 keeps all of them, for films with tints laid on them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figure_csv.write_figure_csv(data, folder / f"{name}.csv")
    canvas: Any = FigureCanvasAgg(figure)
    with style():
        canvas.draw()
    full = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    shown = full.quantize(colours, dither=Image.Dither.NONE) if colours else full
    path = folder / f"{name}.png"
    with files.atomic_write(path, synced=False) as draft:
        shown.save(draft)  # the smallest files would be 6% smaller and take five times as long
    return path
