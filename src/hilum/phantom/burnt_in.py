"""Burnt-in letters, small print and arrows: what a lazy network reads in place of the lungs.

Networks that read them: Zech et al. 2018, doi:10.1371/journal.pmed.1002683.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from hilum.phantom.hospitals import Marker
from hilum.types import Grey8, Mask

HERSHEY_HEIGHT = 21.0  # pixels of a capital letter of OpenCV's fonts at scale 1


@dataclass(frozen=True, slots=True)
class Stamp:
    """A marker as drawn: coverage (height, width) 0 to 255, its grey level, its words."""

    ink: Grey8
    level: int
    text: str


def stamp(marker: Marker, size: int, rng: np.random.Generator) -> Stamp:
    """Draw a hospital's marker on an empty square film of `size` pixels."""
    ink = np.zeros((size, size), np.uint8)
    at = np.array(marker.corner) * size + rng.normal(0, 0.012 * size, 2)
    letter = str(rng.choice(marker.letters))
    high = marker.height * size
    _write(ink, letter, at, high, marker.font)
    words = [letter]
    for row, line in enumerate(_lines(marker, rng)):
        below = np.add(at, (0.0, high * (1.15 + 0.8 * row)))
        _write(ink, line, below, 0.5 * high, marker.font)
        words.append(line)
    if marker.arrow and rng.random() < 0.5:
        _arrow(ink, np.add(at, (1.2 * high, 0.0)), high)
        words.append("↑")
    angle = float(rng.normal(0, marker.tilt)) if marker.tilt else 0.0
    turn = cv2.getRotationMatrix2D((float(at[0]), float(at[1])), angle, 1.0)
    ink = np.asarray(cv2.warpAffine(ink, turn, (size, size)), np.uint8)
    return Stamp(ink, int(rng.integers(marker.level[0], marker.level[1] + 1)), " ".join(words))


def burn(film: Grey8, drawn: Stamp) -> tuple[Grey8, Mask]:
    """The film (height, width) with the stamp on it, and where it changed: mask (height, width)."""
    share = drawn.ink.astype(np.float32) / 255
    mixed = film + share * (drawn.level - film.astype(np.float32))
    return np.rint(mixed).astype(np.uint8), drawn.ink > 0


def _lines(marker: Marker, rng: np.random.Generator) -> list[str]:
    if "%" not in marker.lines:
        return [str(rng.choice(marker.lines))]
    date = f"{rng.integers(1, 13):02d}/{rng.integers(1, 29):02d}/20"
    return [date if line == "%" else line for line in marker.lines]


def _write(ink: Grey8, text: str, at: npt.NDArray[np.float64], high: float, font: int) -> None:
    scale = high / HERSHEY_HEIGHT
    thick = max(round(high / 7), 1)
    (wide, _), _ = cv2.getTextSize(text, font, scale, thick)
    left = float(np.clip(at[0] - wide / 2, 0.012 * len(ink), len(ink) * 0.988 - wide))
    origin = (round(left), round(float(at[1]) + high / 2))
    cv2.putText(ink, text, origin, font, scale, (255,), thick, cv2.LINE_AA)


def _arrow(ink: Grey8, at: npt.NDArray[np.float64], high: float) -> None:
    foot = (round(float(at[0])), round(float(at[1] + high / 2)))
    head = (foot[0], round(float(at[1] - high / 2)))
    cv2.arrowedLine(ink, foot, head, (255,), max(round(high / 9), 1), cv2.LINE_AA, 0, 0.4)
