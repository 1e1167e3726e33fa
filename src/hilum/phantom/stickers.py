"""Marks of every kind that real films have, anywhere on the film, at places that are known."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from hilum.types import Grey8, Mask

LETTERS = ("L", "R", "A", "B", "D", "2")
WORDS = ("PORTABLE", "AP ERECT", "SUPINE", "MOBILE", "17:45", "CHEST PA")
HEIGHT = (0.03, 0.065)  # of a letter, share of the film
BLACK, WHITE = (5, 25), (225, 253)  # ranges of grey
LEGIBLE, TRIES = 40, 20
CAPITAL = 21.0  # pixels of a capital letter of OpenCV's fonts at scale 1


@dataclass(frozen=True, slots=True)
class StickerTile:
    """A mark as it is pasted: grey levels and whether each pixel belongs to it."""

    grey: Grey8
    ink: Mask


def plant(film: Grey8, kind: str, rng: np.random.Generator) -> tuple[Grey8, Mask]:
    """The film (height, width) with one more mark of a kind, and the mark's pixels.

    It lies where it can be read: its ink LEGIBLE grey levels from what is beneath, as far as TRIES
    places show one.
    """
    tile = KINDS[kind](len(film), rng)
    high, wide = tile.ink.shape
    for _ in range(TRIES):
        top, left = (
            int(rng.integers(2, side - size - 2))
            for side, size in zip(film.shape, (high, wide), strict=True)
        )
        place = np.s_[top : top + high, left : left + wide]
        beneath = film[place][tile.ink].astype(np.float32)
        if abs(float(np.mean(tile.grey[tile.ink] - beneath))) >= LEGIBLE:
            break
    out, mask = film.copy(), np.zeros(film.shape, np.bool_)
    mask[place] = tile.ink
    out[mask] = tile.grey[tile.ink]
    return out, mask


def _grey(among: tuple[int, int], rng: np.random.Generator) -> int:
    return int(rng.integers(among[0], among[1] + 1))


def _letters(text: str, high: float, font: int = cv2.FONT_HERSHEY_SIMPLEX) -> Grey8:
    """Coverage 0 to 255 of a line of text, cut to its box."""
    scale, thick = high / CAPITAL, max(round(high / 7), 1)
    (wide, tall), base = cv2.getTextSize(text, font, scale, thick)
    plane = np.zeros((tall + base + 4 * thick, wide + 4 * thick), np.uint8)
    cv2.putText(plane, text, (2 * thick, tall + thick), font, scale, (255,), thick, cv2.LINE_AA)
    left, top, wide, tall = cv2.boundingRect(plane)
    return plane[top : top + tall, left : left + wide]


def _size(side: int, rng: np.random.Generator) -> float:
    return float(rng.uniform(*HEIGHT)) * side


def _letter(side: int, rng: np.random.Generator) -> StickerTile:
    ink = _letters(str(rng.choice(LETTERS)), _size(side, rng), cv2.FONT_HERSHEY_DUPLEX) > 127
    return StickerTile(np.full(ink.shape, _grey(WHITE, rng), np.uint8), ink)


def _text(side: int, rng: np.random.Generator) -> StickerTile:
    ink = _letters(str(rng.choice(WORDS)), 0.6 * _size(side, rng)) > 127
    return StickerTile(np.full(ink.shape, _grey(WHITE, rng), np.uint8), ink)


def _arrow(side: int, rng: np.random.Generator) -> StickerTile:
    length = round(1.3 * _size(side, rng))
    plane = np.zeros((length, length), np.uint8)
    ends = ((2, length // 2), (length - 3, length // 2))
    thick = max(length // 8, 1)
    cv2.arrowedLine(plane, *ends, (255,), thick, cv2.LINE_8, 0, 0.4)
    ink = np.rot90(plane, int(rng.integers(4))) > 127
    return StickerTile(np.full(ink.shape, _grey(WHITE, rng), np.uint8), ink)


def _plate(field: tuple[int, int], letter: tuple[int, int]) -> Callable[..., StickerTile]:
    def tile(side: int, rng: np.random.Generator) -> StickerTile:
        cover = _letters(str(rng.choice(LETTERS)), _size(side, rng), cv2.FONT_HERSHEY_DUPLEX)
        cover = np.pad(cover, max(len(cover) // 3, 3))
        share = cover.astype(np.float32) / 255
        low, high = _grey(field, rng), _grey(letter, rng)
        grey = np.rint(low + share * (high - low)).astype(np.uint8)
        return StickerTile(grey, np.ones(grey.shape, np.bool_))

    return tile


def _ring(side: int, rng: np.random.Generator) -> StickerTile:
    cover = _letters(str(rng.choice(LETTERS)), 0.7 * _size(side, rng))
    reach = int(0.75 * max(cover.shape)) + 3
    plane, ink = (np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8) for _ in range(2))
    top, left = (reach - length // 2 for length in cover.shape)
    plane[top : top + cover.shape[0], left : left + cover.shape[1]] = cover
    cv2.circle(ink, (reach, reach), reach, (1,), cv2.FILLED)
    cv2.circle(plane, (reach, reach), reach - 1, (255,), 1, cv2.LINE_AA)
    level = _grey(WHITE, rng)
    return StickerTile(np.rint(plane.astype(np.float32) / 255 * level).astype(np.uint8), ink > 0)


KINDS: dict[str, Callable[[int, np.random.Generator], StickerTile]] = {
    "letter": _letter,
    "text": _text,
    "arrow": _arrow,
    "white_sticker": _plate(WHITE, BLACK),
    "black_sticker": _plate(BLACK, WHITE),
    "ring": _ring,
}
