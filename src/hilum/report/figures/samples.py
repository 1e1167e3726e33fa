"""A contact sheet: rows of images with the finding above rows of images without."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hilum.report.contact_sheet import mosaic
from hilum.report.figures import gallery
from hilum.report.figures.base import DrawnFigure, positive_class
from hilum.report.run_folder import RunFolder
from hilum.report.style import blank, style
from hilum.report.wording import class_name, code
from hilum.types import Grey8

ROWS, COLUMNS = 2, 6  # of each kind
SIDE, GAP = 200, 8  # pixels: of an image's place, and white between places
ABSENT = 225  # grey of a place whose image is not at hand
GROUND = 17  # grey next to an image that is not square


@dataclass(frozen=True, slots=True)
class Block:
    """One kind of images and its heading; an image (height, width) that is not at hand is None."""

    heading: str
    pictures: Sequence[Grey8 | None]


def draw_samples(run: RunFolder) -> DrawnFigure | None:
    images = run.manifest if run.manifest is not None else run.chosen()
    if images is None or len(run.classes) < 2:
        return None
    images = images.dropna(subset=["label"]).drop_duplicates("sample_id")
    sought = positive_class(run.classes)
    others = [name for name in run.classes if name != sought]
    tables = [_rows_of_kind(images, kind, i) for i, kind in enumerate(([sought], others))]
    heads = [", ".join(map(class_name, kind)) for kind in ([sought], others)]
    blocks = [
        Block(head, [gallery.thumbnail(run, *one) for one in _names_and_paths(table)])
        for head, table in zip(heads, tables, strict=True)
    ]
    words = f"Sample images: {heads[0]} in the first two rows, {heads[1]} in the last two."
    rows = pd.concat(tables, ignore_index=True).drop(columns="path")
    return DrawnFigure(sheet_of_blocks(blocks), rows, words, words, "full", films=True)


def _rows_of_kind(images: pd.DataFrame, kind: list[str], block: int) -> pd.DataFrame:
    """Which image of these classes is in which place of the sheet."""
    mixed = gallery.mixed(images[images["label"].isin(kind)])
    first = mixed.head(ROWS * COLUMNS).reset_index(drop=True)
    at = places(len(first), ROWS * block)
    named = first[["label", "sample_id", "path"]]
    codes = [code("image", str(i)) for i in first["sample_id"]]
    return pd.concat([at, named], axis=1).assign(code=codes)


def _names_and_paths(table: pd.DataFrame) -> list[tuple[str, object]]:
    return list(table[["sample_id", "path"]].itertuples(index=False, name=None))


def sheet_of_blocks(blocks: Sequence[Block]) -> Figure:
    """Each kind's images, ROWS x COLUMNS, below each other."""
    with style():
        # thumbnails have no more detail; at 200 dots the file would be twice as large
        figure = blank(9.2, 3.4 * len(blocks), dots=130)
        for axes, block in zip(np.atleast_1d(figure.subplots(len(blocks), 1)), blocks, strict=True):
            axes.imshow(block_pixels(block.pictures), cmap="gray", vmin=0, vmax=255)
            axes.set_title(block.heading)
            axes.set_axis_off()
    return figure


def block_pixels(pictures: Sequence[Grey8 | None]) -> Grey8:
    """Images in rows of COLUMNS -> one white (height, width), each whole in a square place."""
    shown = [_square_place(picture) for picture in pictures[: ROWS * COLUMNS]]
    return mosaic(shown, (SIDE, SIDE), COLUMNS, ROWS, GAP)


def _square_place(picture: Grey8 | None) -> Grey8:
    """(height, width) -> (SIDE, SIDE), shape kept, centred."""
    if picture is None:
        return np.full((SIDE, SIDE), ABSENT, np.uint8)
    height, width = (max(1, round(n * SIDE / max(picture.shape))) for n in picture.shape)
    place = np.full((SIDE, SIDE), GROUND, np.uint8)
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    place[top : top + height, left : left + width] = small
    return place


def places(count: int, first_row: int) -> pd.DataFrame:
    """(row, column) of so many images on the sheet, from `first_row` on."""
    at = range(count)
    return pd.DataFrame(
        {"row": [first_row + i // COLUMNS for i in at], "column": [i % COLUMNS for i in at]}
    )
