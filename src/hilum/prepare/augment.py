"""Augmentation: sampled, then applied, then recorded.

Every image's parameters come from hash(seed, epoch, sample_id), so they depend neither on the
order of the images nor on how many threads apply them.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.types import Grey8, Stack8

Uniforms: TypeAlias = npt.NDArray[np.float64]  # (image, draw) in [0, 1)


@dataclass(frozen=True, slots=True)
class Ranges:
    """How far each parameter may move; zeros leave the image alone."""

    rotation: float = 0.0  # degrees either way
    zoom: float = 0.0  # each axis by a factor in [1 - zoom, 1 + zoom]
    shear: float = 0.0  # degrees either way
    shift: float = 0.0  # fraction of the side, either way, both axes
    flip: float = 0.0  # probability of a left-right mirror (puts the heart on the right)
    vertical_flip: float = 0.0  # probability; unanatomical, for published modes only
    value: float = 0.0  # brightness factor in [1 - value, 1 + value], as HSV value jitter
    contrast: float = 0.0  # about the image's mean, factor in [1 - contrast, 1 + contrast]


DRAWS = (
    "rotation",
    "zoom_x",
    "zoom_y",
    "shear",
    "shift_x",
    "shift_y",
    "flip",
    "vertical_flip",
    "value",
    "contrast",
)


def sample(ranges: Ranges, sample_ids: Sequence[str], seed: int, epoch: int) -> pd.DataFrame:
    """Plain parameters, one row per image in the order of `sample_ids`, columns DRAWS."""
    u = dict(zip(DRAWS, uniforms(sample_ids, len(DRAWS), seed, epoch).T, strict=True))
    symmetric = {name: 2 * draw - 1 for name, draw in u.items()}
    return pd.DataFrame(
        {
            "rotation": symmetric["rotation"] * ranges.rotation,
            "zoom_x": 1 + symmetric["zoom_x"] * ranges.zoom,
            "zoom_y": 1 + symmetric["zoom_y"] * ranges.zoom,
            "shear": symmetric["shear"] * ranges.shear,
            "shift_x": symmetric["shift_x"] * ranges.shift,
            "shift_y": symmetric["shift_y"] * ranges.shift,
            "flip": u["flip"] < ranges.flip,
            "vertical_flip": u["vertical_flip"] < ranges.vertical_flip,
            "value": 1 + symmetric["value"] * ranges.value,
            "contrast": 1 + symmetric["contrast"] * ranges.contrast,
        },
        index=pd.Index(sample_ids, name="sample_id"),
    )


def apply(stack: Stack8, parameters: pd.DataFrame, workers: int = 2) -> Stack8:
    """(image, height, width) -> the same shape, row i changed by row i of `parameters`."""
    rows = list(parameters[list(DRAWS)].itertuples(index=False, name=None))
    out = np.empty_like(stack)

    # OpenCV frees the interpreter lock; its warp is several times faster than a batched grid sample
    def one(i: int) -> None:
        out[i] = _changed(stack[i], rows[i])

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, range(len(stack))))
    return out


def uniforms(sample_ids: Sequence[str], draws: int, seed: int, epoch: int) -> Uniforms:
    """(image, draw) uniform numbers from hash(seed, epoch, sample_id) by SplitMix64.

    Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195.
    """
    salt = f"{seed}/{epoch}/".encode()
    keys = [blake2b(salt + name.encode(), digest_size=8).digest() for name in sample_ids]
    start = np.frombuffer(b"".join(keys), np.uint64).reshape(-1, 1)
    with np.errstate(over="ignore"):
        step = np.uint64(0x9E3779B97F4A7C15) * np.arange(1, draws + 1, dtype=np.uint64)
        z = start + step
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)) * 2.0**-53


def is_identity(ranges: Ranges) -> bool:
    """Whether these ranges change nothing."""
    return all(getattr(ranges, field.name) == 0 for field in fields(ranges))


def _changed(image: Grey8, row: tuple[float, ...]) -> Grey8:
    p = dict(zip(DRAWS, row, strict=True))
    matrix = _affine(p, image.shape)
    height, width = image.shape
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    out = cv2.warpAffine(
        image, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    if p["value"] == 1 and p["contrast"] == 1:
        return out
    gain = p["value"] * p["contrast"]
    offset = p["value"] * (1 - p["contrast"]) * float(out.mean())
    levels = np.rint(np.clip(np.arange(256) * gain + offset, 0, 255)).astype(np.uint8)
    return cv2.LUT(out, levels)


def _affine(p: dict[str, float], shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Output-to-input map about the image's centre: rotate, shear, zoom, mirror, shift."""
    angle, shear = np.deg2rad([p["rotation"], p["shear"]])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    lean = np.array([[1.0, -np.sin(shear)], [0.0, np.cos(shear)]])
    mirror = np.array([-1.0 if p["flip"] else 1.0, -1.0 if p["vertical_flip"] else 1.0])
    linear = turn @ lean @ np.diag(mirror / [p["zoom_x"], p["zoom_y"]])
    size = np.array([shape[1], shape[0]], float)
    centre = (size - 1) / 2
    shift = centre - linear @ (centre + size * [p["shift_x"], p["shift_y"]])
    return np.column_stack([linear, shift])
