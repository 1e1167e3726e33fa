"""How a heat map is laid on its film, and in which colours."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from hilum.types import Floats, Grey8, HilumError, nearest_name

Colour8: TypeAlias = npt.NDArray[np.uint8]  # (height, width, 3), red first
Row = TypeVar("Row")

OPAQUE = 0.6  # of the overlay where the heat is greatest: the film still shows through
HALF = 0.5  # of the greatest heat: drawn as a line, since tints look different on dark and bright
# perceptually even and readable without red and green (van der Walt & Smith 2015); jet is
# neither, and here only because study 003's figure 8 has it
COLOURS: dict[str, int] = {
    "plasma": cv2.COLORMAP_PLASMA,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "jet": cv2.COLORMAP_JET,
}


@dataclass(frozen=True, slots=True)
class Rendering:
    """One way to show a film (height, width) and its heat in [0, 1], coloured by a scale."""

    draw: Callable[[Grey8, Floats, int], Colour8]
    says: str
    warning: str = ""


def render_heat(film: Grey8, share: Floats, rendering: str, colours: str = "plasma") -> Colour8:
    """Film and heat in [0, 1], both (height, width) -> (height, width, 3).

    Raises HilumError for an unknown rendering or scale of colours.
    """
    row = find_row(RENDERINGS, rendering, "a rendering")
    return row.draw(film, share, find_row(COLOURS, colours, "a scale of colours"))


def find_row(table: Mapping[str, Row], name: str, what: str) -> Row:
    """A table's row by name; HilumError with the nearest name for another."""
    if name not in table:
        hint = nearest_name(name, table, "choose one.")
        raise HilumError(f"{what} is one of {', '.join(table)}; got {name!r}; {hint}")
    return table[name]


def relative(values: Floats) -> Floats:
    """Heat (height, width) as a share of its own maximum; an empty map stays empty."""
    most = float(values.max())
    return values / most if most > 0 else np.zeros_like(values)


def enlarged(evidence: Floats, shape: tuple[int, int]) -> Floats:
    """Evidence (row, column) -> heat (height, width) of `shape`; what speaks against is left out.

    Bilinear, as Selvaraju et al. 2017 do.
    """
    height, width = shape
    values = np.maximum(evidence, 0)
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR))


def coloured(share: Floats, scale: int) -> Colour8:
    """Heat in [0, 1] (height, width) -> colours (height, width, 3)."""
    levels = np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(levels, scale), cv2.COLOR_BGR2RGB).astype(np.uint8)


def grey(film: Grey8) -> Colour8:
    """(height, width) -> the same in three equal channels."""
    return np.repeat(film[:, :, None], 3, axis=2)


def _overlay(film: Grey8, share: Floats, scale: int) -> Colour8:
    """The film, covered the more the greater the heat, and a line around half of the most."""
    cover = OPAQUE * np.clip(share, 0, 1)[:, :, None]
    mixed = coloured(share, scale) * cover
    mixed += film[:, :, None] * (1 - cover)  # one channel: the film has three equal ones
    seen = np.rint(mixed, out=mixed).astype(np.uint8)
    lines, _ = cv2.findContours(
        (share >= HALF).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
    )
    ink = coloured(np.full((1, 1), HALF, np.float32), scale)[0, 0].tolist()
    cv2.drawContours(seen, lines, -1, ink, max(1, max(film.shape) // 256), cv2.LINE_AA)
    return seen


def _mask(film: Grey8, share: Floats, scale: int) -> Colour8:
    return coloured(share, scale)


def _multiply(film: Grey8, share: Floats, scale: int) -> Colour8:
    return grey(np.rint(film * np.clip(share, 0, 1)).astype(np.uint8))


RENDERINGS: dict[str, Rendering] = {
    "overlay": Rendering(
        _overlay,
        "shown over the film, transparent where there is none; the outline marks half the maximum",
    ),
    "mask": Rendering(_mask, "the heat alone"),
    "multiply": Rendering(
        _multiply,
        "the film multiplied by the heat",
        "Dark places have no heat, or are aerated lung, which is dark itself. Compare "
        "with the film.",
    ),
}
