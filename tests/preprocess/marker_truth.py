"""Boxes drawn by hand on real films, and the rule by which found boxes are compared with them.

tests/data/markers.csv: path below the folder of datasets, half (`tuning` or `held-out`), box in
pixels of that file, kind. A film without a mark has one row with an empty box. `border` is an
unexposed strip or page around the film, judged apart; `ignore` is what cannot be told (a disc
that may be a gown's snap, a line cut off by the edge, dashes between lines of print): finding it
is neither right nor wrong. Electrodes, tubes, pacemakers, jewellery and clips are no marks: finding
one is wrong.

Rule: a mark is found where found boxes cover at least half of its box. A found box is right where
at least half of it lies in marks' boxes, each widened by 4 pixels of a film whose longer side is
448. Found boxes that lie mostly in what is to be ignored do not count.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.phantom import stickers
from hilum.preprocess import markers
from hilum.preprocess.markers import MarkerBox, Method
from hilum.types import Grey8

TABLE = Path(__file__).resolve().parents[1] / "data" / "markers.csv"
MARGIN = 4 / 448  # of the longer side
HALF = 0.5
OTHER = ("border", "ignore")

Frame = tuple[int, int, int, int]  # left, top, width, height
Plane = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Film:
    """One film's truth."""

    path: str
    half: str
    frames: dict[str, list[Frame]]

    def of(self, kinds: Iterable[str]) -> list[Frame]:
        return [frame for kind in kinds for frame in self.frames.get(kind, [])]

    @property
    def marks(self) -> list[Frame]:
        return self.of(kind for kind in self.frames if kind not in OTHER)


@dataclass
class Tally:
    """Marks found of all, found boxes right of all, missed and wrong ones by film."""

    found: int = 0
    marks: int = 0
    right: int = 0
    boxes: int = 0
    missed: list[tuple[str, Frame]] = field(default_factory=list)
    wrong: list[tuple[str, Frame]] = field(default_factory=list)

    @property
    def precision(self) -> float:
        return self.right / self.boxes if self.boxes else 1.0

    @property
    def recall(self) -> float:
        return self.found / self.marks if self.marks else 1.0

    def add(self, film: Film, boxes: Sequence[Frame], shape: tuple[int, int]) -> None:
        """Compare the boxes found on a film of `shape` (height, width) with its truth."""
        seen = paint(boxes, shape)
        for frame in film.marks:
            self.marks += 1
            hit = share(seen, frame) >= HALF
            self.found += hit
            if not hit:
                self.missed.append((film.path, frame))
        margin = round(MARGIN * max(shape))
        true, ignored = paint(film.marks, shape, margin), paint(film.of(["ignore"]), shape, margin)
        for frame in boxes:
            right = share(true, frame) >= HALF
            if not right and share(ignored | true, frame) >= HALF:
                continue
            self.boxes += 1
            self.right += right
            if not right:
                self.wrong.append((film.path, frame))


def paint(frames: Iterable[Frame], shape: tuple[int, int], margin: int = 0) -> Plane:
    """(height, width): what lies in any of the frames, each widened by `margin` pixels."""
    plane = np.zeros(shape, np.bool_)
    for left, top, width, height in frames:
        plane[
            max(0, top - margin) : top + height + margin,
            max(0, left - margin) : left + width + margin,
        ] = True
    return plane


def share(plane: Plane, frame: Frame) -> float:
    """Share of a frame's area that is painted."""
    left, top, width, height = frame
    inside = plane[top : top + height, left : left + width]
    return float(inside.mean()) if inside.size else 0.0


def films() -> list[Film]:
    """Every film of the table, in its order."""
    table = pd.read_csv(TABLE)
    out = []
    for path, rows in table.groupby("path", sort=False):
        frames: dict[str, list[Frame]] = {}
        for row in rows.dropna(subset=["kind"]).itertuples():
            box = (int(row.left), int(row.top), int(row.width), int(row.height))
            frames.setdefault(str(row.kind), []).append(box)
        out.append(Film(str(path), str(rows["half"].iloc[0]), frames))
    return out


def frames(boxes: tuple[MarkerBox, ...]) -> list[Frame]:
    return [(box.left, box.top, box.width, box.height) for box in boxes]


def planted(bare: Sequence[Grey8], method: Method = "shape") -> dict[str, Tally]:
    """Bare films get a mark of each kind; what was found, by kind, and of all marks together."""
    every = {kind: Tally() for kind in (*stickers.KINDS, "all")}
    for number, film in enumerate(bare):
        truth: dict[str, list[Frame]] = {}
        for kind in stickers.KINDS:
            film, mask = stickers.plant(film, kind, np.random.default_rng([number, len(truth)]))
            left, top, wide, high = cv2.boundingRect(mask.astype(np.uint8))
            truth[kind] = [(left, top, wide, high)]
        found = frames(markers.find_markers(film, method).boxes)
        every["all"].add(Film(f"phantom {number}", "", truth), found, film.shape)
        for kind, places in truth.items():
            every[kind].add(Film(f"phantom {number}", "", {kind: places}), found, film.shape)
    return every
