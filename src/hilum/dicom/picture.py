"""What the Secondary Capture shows: film, heat, probabilities, verdict and notice, on black."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hilum.explain import render
from hilum.explain.render import COLOURS, Colour8
from hilum.inference.answer import Prediction
from hilum.preprocess.step import as_uint8
from hilum.types import CLASS_NAMES, NOTICE, Floats, Grey8, GreyImage, shown_probability

WIDTH, SIDE, MARGIN = 1280, 608, 24
LINE = 30  # pixels from one line of text to the next
SMALL, NORMAL, LARGE = 18, 21, 34
PAPER, INK, MUTED, WARNING = "#000000", "#ffffff", "#b8c0cc", "#ffb000"
BAR, BAR_PAPER = "#56b4e9", "#30363f"  # of a probability
BAR_WIDTH = 420
HEAT = "heat: what speaks for {}, most in yellow; it shows where the model looked, not a lesion"


@dataclass(frozen=True, slots=True)
class Panels:
    """The two pictures side by side; None where there is nothing to show, and why."""

    film: GreyImage | None  # (height, width)
    seen: Grey8 | None  # (height, width), as the network sees it
    share: Floats | None  # heat in [0, 1], as large as `seen`
    without_heat: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text."""

    words: str
    size: int = NORMAL
    ink: str = INK


def draw(panels: Panels, prediction: Prediction, verdict: str, maker: str) -> Colour8:
    """The whole picture (height, width, 3), red first; its height follows from the texts."""
    shown = panels.film is not None
    head = [Line(NOTICE.upper(), NORMAL, WARNING), *_headline(prediction)]
    below = _captions(panels, prediction) if shown else []
    foot = [*_wrapped(verdict, SMALL, INK), *_wrapped(maker, SMALL, MUTED)]
    rows = sorted(prediction.probabilities.items(), key=lambda row: -row[1])
    top = MARGIN + sum(_height(line) for line in head)
    after = top + (SIDE + MARGIN if shown else 0)
    bars = after + sum(_height(line) for line in below)
    last = bars + LINE * len(rows) + MARGIN // 2
    page = Image.new("RGB", (WIDTH, last + LINE * len(foot) + MARGIN), PAPER)
    pen = ImageDraw.Draw(page)
    _write(pen, MARGIN, head)
    if shown:
        _paste(page, top, panels)
        _write(pen, after - MARGIN // 2, below)
    for i, (name, p) in enumerate(rows):
        _bar(pen, bars + LINE * i, (name, p), MUTED if prediction.abstained else BAR)
    _write(pen, last, foot)
    return np.asarray(page)


def _headline(prediction: Prediction) -> list[Line]:
    if not prediction.abstained:
        name = CLASS_NAMES.get(prediction.label, prediction.label)
        p = shown_probability(prediction.probabilities[prediction.label])
        return [Line(f"Most probable: {name}, p {p}", LARGE)]
    return [Line("Not assessed", LARGE, WARNING), *_wrapped(prediction.reason, NORMAL, WARNING)]


def _captions(panels: Panels, prediction: Prediction) -> list[Line]:
    name = CLASS_NAMES.get(prediction.label, prediction.label)
    if panels.share is None:
        return _wrapped(f"Left: the image. No heat map: {panels.without_heat}", SMALL, MUTED)
    words = f"Left: the image. Right: what the network reads of it, and Grad-CAM {HEAT}."
    return _wrapped(words.format(name), SMALL, MUTED)


def _paste(page: Image.Image, top: int, panels: Panels) -> None:
    """Each panel in the middle of a square of its own."""
    pictures = [None if panels.film is None else render.grey(_fitted(as_uint8(panels.film)))]
    if panels.seen is not None:
        film = _fitted(panels.seen)
        heat = None if panels.share is None else _like(panels.share, film)
        pictures.append(
            render.grey(film)
            if heat is None
            else render.render_heat(film, heat, "overlay", next(iter(COLOURS)))
        )
    for i, picture in enumerate(pictures):
        if picture is not None:
            height, width = picture.shape[:2]
            left = MARGIN + i * (SIDE + MARGIN) + (SIDE - width) // 2
            page.paste(Image.fromarray(picture), (left, top + (SIDE - height) // 2))


def _fitted(film: Grey8) -> Grey8:
    """(height, width) -> the same with its longer side of SIDE pixels."""
    scale = SIDE / max(film.shape)
    size = max(1, round(film.shape[1] * scale)), max(1, round(film.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(film, size, interpolation=how), np.uint8)


def _like(share: Floats, film: Grey8) -> Floats:
    return np.asarray(cv2.resize(share, film.shape[::-1], interpolation=cv2.INTER_LINEAR))


def _bar(pen: ImageDraw.ImageDraw, top: int, row: tuple[str, float], ink: str) -> None:
    """Name, bar and number of one class."""
    name, p = row
    left, font = WIDTH // 3, _font(NORMAL)
    words = _cut(CLASS_NAMES.get(name, name), font, left - 2 * MARGIN)
    pen.text((MARGIN, top), words, INK, font)
    box = (left, top + 4, left + BAR_WIDTH, top + LINE - 6)
    pen.rectangle(box, BAR_PAPER)
    if p > 0:
        pen.rectangle((box[0], box[1], left + max(1, round(BAR_WIDTH * p)), box[3]), ink)
    pen.text((left + BAR_WIDTH + MARGIN, top), f"p {shown_probability(p)}", INK, font)


def _write(pen: ImageDraw.ImageDraw, top: int, lines: Sequence[Line]) -> None:
    for line in lines:
        pen.text((MARGIN, top), line.words, line.ink, _font(line.size))
        top += _height(line)


def _height(line: Line) -> int:
    return LINE if line.size < LARGE else LINE * 3 // 2


def _wrapped(text: str, size: int, ink: str) -> list[Line]:
    """A text in lines that fit the page; a word that is too long for one is cut."""
    font, room, lines = _font(size), WIDTH - 2 * MARGIN, [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(_cut(word, font, room))
    return [Line(words, size, ink) for words in lines if words]


def _cut(words: str, font: ImageFont.FreeTypeFont, room: int) -> str:
    while font.getlength(words) > room:
        words = words.rstrip("…")[:-1] + "…"
    return words


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib and has more scripts than most."""
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / "DejaVuSans.ttf"), size)
