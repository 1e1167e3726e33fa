"""Films next to each other: as pixels of one picture, or on axes with words above and below."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from hilum.types import Grey8


def mosaic(
    places: Sequence[npt.NDArray[np.uint8]],
    shape: tuple[int, ...],
    columns: int,
    rows: int = 1,
    gap: int = 0,
) -> npt.NDArray[np.uint8]:
    """Pictures of one `shape`, (height, width) or (height, width, 3), in rows on white.

    At least `rows` rows; `gap` pixels lie between two places.
    """
    rows = max(rows, -(-len(places) // columns))
    height, width, *channels = shape
    down, across = height + gap, width + gap
    sheet = np.full((rows * down - gap, columns * across - gap, *channels), 255, np.uint8)
    for i, place in enumerate(places):
        top, left = i // columns * down, i % columns * across
        sheet[top : top + height, left : left + width] = place
    return sheet


def show_film(axes: Axes, film: Grey8, above: str, below: str) -> None:
    """One film (height, width) without ticks or frame, and its words."""
    axes.imshow(film, cmap="gray", vmin=0, vmax=255)
    axes.set_title(above, fontsize=8, fontweight="normal")
    axes.set_xlabel(below, fontsize=8)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
