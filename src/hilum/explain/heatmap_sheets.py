"""Images of a film next to its heat map with a colour bar, and sheets of many."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from hilum import files
from hilum.explain import render as overlays
from hilum.explain.render import COLOURS, RENDERINGS, Colour8
from hilum.files import ours
from hilum.types import NOTICE, Floats, Grey8

SIDE, SMALL = 512, 224  # pixels of a panel's longer side: alone, and on a sheet
MARGIN, GAP, BAR = 16, 8, 18
INK, MUTED, PAPER = "#1c2330", "#566070", "#ffffff"
RIGHT, WRONG = "#0072B2", "#D55E00"  # Okabe & Ito's blue and vermillion
COLUMNS, ROWS = 3, 12  # pairs of pictures on a sheet


@dataclass(frozen=True, slots=True)
class HeatmapTile:
    """One film as the network sees it, its heat as a share of its maximum, and what to write."""

    film: Grey8  # (height, width)
    share: Floats  # (height, width), all 0 without evidence for the class
    lines: tuple[str, ...]
    right: bool | None = None  # None where the truth is not known


@dataclass(frozen=True, slots=True)
class HeatmapStyle:
    """How heat is drawn."""

    render: str = "overlay"
    colours: str = "plasma"

    def check(self) -> None:
        """Raise HilumError for an unknown rendering or scale of colours."""
        overlays.find_row(RENDERINGS, self.render, "a rendering")
        overlays.find_row(COLOURS, self.colours, "a scale of colours")


def single(tile: HeatmapTile, style: HeatmapStyle, method: str, verdict: str = "") -> Colour8:
    """Film, heat map and colour bar side by side, with words above and below.

    `verdict` says how the model was judged.
    """
    pair = _pair(tile, style, SIDE)
    width = MARGIN + pair.shape[1] + (0 if _plain(style) else 96) + MARGIN
    below = _notes(style, (method, verdict), 14, width - 2 * MARGIN)
    top = MARGIN + 24 * len(tile.lines) + GAP
    page = Image.new("RGB", (width, top + pair.shape[0] + GAP + 20 * len(below) + MARGIN), PAPER)
    draw = ImageDraw.Draw(page)
    for i, line in enumerate(tile.lines):
        ink = INK if i else _ink(tile)
        _write(draw, (MARGIN, MARGIN + 24 * i), line, 18, ink, width - 2 * MARGIN)
    page.paste(Image.fromarray(pair), (MARGIN, top))
    if not _plain(style):
        _bar(page, (MARGIN + pair.shape[1] + 2 * GAP, top), pair.shape[0], style)
    for i, line in enumerate(below):
        at = (MARGIN, top + pair.shape[0] + GAP + 20 * i)
        _write(draw, at, line, 14, MUTED, width - 2 * MARGIN)
    return np.asarray(page)


def draw_sheet(
    tiles: Sequence[HeatmapTile],
    style: HeatmapStyle,
    method: str,
    columns: int = COLUMNS,
    verdict: str = "",
) -> Colour8:
    """Many films in rows, each next to its heat map, words below; colour bar and notes last.

    All tiles get the room of the largest.
    """
    pairs = [_pair(tile, style, SMALL) for tile in tiles]
    height, width = (max(pair.shape[i] for pair in pairs) for i in (0, 1))
    lines = max(len(tile.lines) for tile in tiles)
    step = (width + MARGIN, height + 20 * lines + MARGIN)
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    across = MARGIN + step[0] * columns
    notes = _notes(style, (method, verdict), 16, across - 2 * MARGIN)
    foot = 21 * len(notes) + (0 if _plain(style) else 48)
    size = (across, MARGIN + step[1] * rows + foot + MARGIN)
    page = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(page)
    for i, (tile, pair) in enumerate(zip(tiles, pairs, strict=True)):
        left, top = MARGIN + i % columns * step[0], MARGIN + i // columns * step[1]
        page.paste(Image.fromarray(pair), (left, top))
        for k, line in enumerate(tile.lines):
            at = (left, top + height + 3 + 20 * k)
            _write(draw, at, line, 16, INK if k else _ink(tile), width)
    top = MARGIN + step[1] * rows
    if not _plain(style):
        _scale(page, (MARGIN, top), style)
        top += 48
    for i, line in enumerate(notes):
        _write(draw, (MARGIN, top + 21 * i), line, 16, MUTED, across - 2 * MARGIN)
    return np.asarray(page)


def save_page(page: Colour8, path: Path) -> None:
    """Write a picture (height, width, 3) as PNG, marked as hilum's own."""
    mark = PngInfo()
    mark.add_text(*ours.PICTURE)
    with files.atomic_write(path, synced=False) as draft:
        Image.fromarray(page).save(draft, compress_level=3, pnginfo=mark)


def _plain(style: HeatmapStyle) -> bool:
    return style.render == "multiply"  # a grey picture has no scale of colours


def _notes(style: HeatmapStyle, words: tuple[str, str], size: int, room: int) -> list[str]:
    row, (method, verdict) = RENDERINGS[style.render], words
    first = f"Left: the film as the network sees it. Right: {method}, {row.says}."
    warnings = [f"Warning: {row.warning}"] if row.warning else []
    notes = (first, *warnings, *([verdict] if verdict else []), NOTICE)
    return [line for note in notes for line in _wrap(note, size, room)]


def _wrap(text: str, size: int, room: int) -> list[str]:
    """The words on as many lines as it takes so that none is wider than `room` pixels."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _font(size).getlength(longer) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _pair(tile: HeatmapTile, style: HeatmapStyle, side: int) -> Colour8:
    """(height, width, 3): the film and its heat map, each picture of it made to fit `side`."""
    height, width = tile.film.shape
    pictures = max(1, height // width)  # one below the other
    scale = side / max(height / pictures, width)
    size = tuple(max(1, round(n * scale)) for n in tile.film.shape[::-1])
    film = cv2.resize(
        tile.film, size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    )
    share = np.asarray(cv2.resize(tile.share, size, interpolation=cv2.INTER_LINEAR), np.float32)
    seen = overlays.render_heat(np.asarray(film, np.uint8), share, style.render, style.colours)
    white = np.full((size[1], GAP, 3), 255, np.uint8)
    return np.concatenate([overlays.grey(np.asarray(film, np.uint8)), white, seen], axis=1)


def _bar(page: Image.Image, at: tuple[int, int], height: int, style: HeatmapStyle) -> None:
    """An upright colour bar from 1 down to 0."""
    ramp = np.linspace(1, 0, height, dtype=np.float32)[:, None].repeat(BAR, 1)
    page.paste(Image.fromarray(_on_grey_film(ramp, style)), at)
    draw = ImageDraw.Draw(page)
    for text, y in (("most", 0), ("half", height // 2 - 8), ("none", height - 17)):
        _write(draw, (at[0] + BAR + 6, at[1] + y), text, 14, INK, 80)


def _scale(page: Image.Image, at: tuple[int, int], style: HeatmapStyle) -> None:
    """A lying colour bar from 0 to 1 with its meaning."""
    ramp = np.linspace(0, 1, 240, dtype=np.float32)[None].repeat(14, 0)
    page.paste(Image.fromarray(_on_grey_film(ramp, style)), at)
    draw = ImageDraw.Draw(page)
    text = "heat: none (left) to this image's maximum (right)"
    _write(draw, (at[0], at[1] + 18), text, 16, INK, page.width)


def _on_grey_film(ramp: Floats, style: HeatmapStyle) -> Colour8:
    """A scale (height, width) as it looks over a mid-grey film -> (height, width, 3)."""
    return overlays.render_heat(
        np.full(ramp.shape, 128, np.uint8), ramp, style.render, style.colours
    )


def _ink(tile: HeatmapTile) -> str:
    return INK if tile.right is None else RIGHT if tile.right else WRONG


def _write(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, ink: str, room: int
) -> None:
    """One line in DejaVu Sans, shortened in the middle to fit `room` pixels."""
    font = _font(size)
    clean = "".join(c if c.isprintable() else " " for c in text)
    while font.getlength(clean) > room and len(clean) > 8:
        half = (len(clean) - 2) // 2
        clean = f"{clean[:half].rstrip('…')}…{clean[-half:].lstrip('…')}"
    draw.text(at, clean, fill=ink, font=font)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    path = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size)
