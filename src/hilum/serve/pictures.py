"""Pictures for the page, drawn here so that every browser shows the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from hilum.explain.render import COLOURS, OPAQUE, coloured
from hilum.preprocess.lungs.masks import MEASURED, LungMask
from hilum.types import Floats, Grey8, HilumError

Outline: TypeAlias = list[tuple[float, float]]
MOST_SIDE = 2048  # pixels of the longer side of a picture
RLE = (cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)  # quick, and small for films
SMOOTH = 0.002  # of the outline's length: how far a straight line may stray from it
GREYS = {
    "as stored": "greys as the file stores them",
    "percentiles": "the file has no window: its darkest and brightest 0.5% are shown black and "
    "white; another viewer may show the full range",
    "table": "the file's own grey table (VOI LUT)",
}


@dataclass(frozen=True, slots=True)
class FilmPicture:
    """A film as the page shows it: PNG, by which rule grey was made, and where the lungs lie."""

    png: bytes
    width: int  # pixels
    height: int
    greys: str
    lungs: list[Outline]  # closed lines of (x, y), both from 0 to 1
    lungs_reason: str  # why no lungs are outlined, or ""


def picture(pixels: Grey8, greys: str, lungs: tuple[list[Outline], str]) -> FilmPicture:
    """Grey levels (height, width), and the `outlines` of the lungs there, drawn."""
    height, width = pixels.shape
    return FilmPicture(png(pixels), width, height, greys, *lungs)


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """(height, width), or with red, green, blue (and alpha) last, as a PNG file."""
    order = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    if pixels.ndim == 3:
        pixels = np.asarray(cv2.cvtColor(pixels, order[pixels.shape[2]]), np.uint8)
    done, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1, *RLE])
    if not done:
        raise HilumError(f"expected a picture to draw, got pixels of shape {pixels.shape}.")
    return data.tobytes()


def smaller(pixels: Grey8) -> Grey8:
    """(height, width) at most MOST_SIDE pixels long, aspect ratio kept."""
    height, width = pixels.shape
    scale = MOST_SIDE / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def heat_layer(share: Floats) -> bytes:
    """Heat in [0, 1] (height, width) as a PNG that is clear where there is none."""
    alpha = np.rint(255 * OPAQUE * np.clip(share, 0, 1)).astype(np.uint8)
    return png(np.dstack([coloured(share, COLOURS["plasma"]), alpha]))


def outlines(lungs: LungMask) -> tuple[list[Outline], str]:
    """Closed lines (x, y), both from 0 to 1, around each lung; none and why for a doubtful mask."""
    if not lungs.good:
        # this film is larger than the network's, so that a measured figure is not the gate's
        return [], f"lungs not outlined: {MEASURED.sub('', lungs.status)}"
    height, width = lungs.mask.shape
    lines, _ = cv2.findContours(
        lungs.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    return [_outline(line, height, width) for line in lines if len(line) > 2], ""


def _outline(line: npt.NDArray[np.int32], height: int, width: int) -> Outline:
    less = cv2.approxPolyDP(line, SMOOTH * cv2.arcLength(line, closed=True), closed=True)[:, 0]
    return [(round((x + 0.5) / width, 5), round((y + 0.5) / height, 5)) for x, y in less.tolist()]


def grey_rule(facts: Mapping[str, Any]) -> str:
    """By which rule the film's grey levels were made, for the reader of a picture."""
    rule = str(facts.get("greys", ""))
    if rule:
        return GREYS.get(rule, f"the file's own window or grey table ({rule})")
    if facts.get("white") is not None:
        return f"white is the stored value {facts['white']}"
    return GREYS["as stored"]
