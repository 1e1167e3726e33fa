"""Augmentation: sampled, then applied, then recorded.

Every image's parameters come from hash(seed, epoch, sample_id), so they depend neither on the
order of the images nor on how many threads apply them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from hashlib import blake2b
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.augment.apply import COLUMNS
from hilum.augment.apply import apply as apply
from hilum.types import HilumError

Uniforms: TypeAlias = npt.NDArray[np.float64]  # (image, draw) in [0, 1)
Draws: TypeAlias = dict[str, Uniforms]  # (image,) by name

TRIES = 10  # of torchvision's RandomResizedCrop before it takes the centre
BOUNDS: dict[str, tuple[float, float]] = {
    "zoom": (0, 0.99),
    "shear": (0, 89),
    "keras_zoom": (0, 0.99),
    "aspect": (0, 0.99),
    "flip": (0, 1),
    "vertical_flip": (0, 1),
    "rotation_probability": (0, 1),
    "crop_scale": (1e-4, 1),
    "crop_aspect": (0.01, 100),
    "placed_scale": (0.01, 100),
    "value_limit": (0, 255),
    "fill": (-1, 255),
}
EXCLUSIVE = (
    ("zoom", "keras_zoom"),
    ("crop_scale", "aspect"),
    ("crop_scale", "placed_scale"),
    ("crop_aspect", "aspect"),
    ("crop_aspect", "placed_scale"),
)


@dataclass(frozen=True, slots=True)
class AugmentationRanges:
    """How far each parameter may move; the defaults leave an image (height, width) alone.

    Grey images have neither hue nor saturation, so nothing here moves those. A `value` of 1 or more
    can make the image black unless `value_limit` holds it, as study 003's published 1.5 does.
    Raises HilumError for a value out of its bounds and for two ways to zoom or to cut at once.
    """

    rotation: float = 0.0  # degrees either way
    zoom: float = 0.0  # each axis by a factor in [1 - zoom, 1 + zoom]
    shear: float = 0.0  # degrees either way
    shift: float = 0.0  # fraction of the side, either way, both axes
    flip: float = 0.0  # probability of a left-right mirror (puts the heart on the right)
    vertical_flip: float = 0.0  # probability; unanatomical, for published modes only
    value: float = 0.0  # brightness factor in [1 - value, 1 + value], as HSV value jitter
    contrast: float = 0.0  # about the image's mean, factor in [1 - contrast, 1 + contrast]
    rotation_probability: float = 1.0  # that an image is rotated at all
    keras_zoom: float = 0.0  # Keras' zoom_range: each axis shows a factor in [1 - z, 1 + z] of it
    crop_scale: tuple[float, float] = (1.0, 1.0)  # share of the area cut out and enlarged
    crop_aspect: tuple[float, float] = (1.0, 1.0)  # that crop's width / height
    aspect: float = 0.0  # width / height times U(1 - a, 1 + a) / U(1 - a, 1 + a)
    placed_scale: tuple[float, float] = (1.0, 1.0)  # film's longer side / frame's, put anywhere
    value_limit: float = 0.0  # clamps that factor to [1 - limit, 1 + limit]; 0: no clamp
    fill: int = -1  # grey level outside the film; -1: its nearest pixel (Keras' "nearest")

    def __post_init__(self) -> None:
        for name, (low, high) in BOUNDS.items():
            value = getattr(self, name)
            least, most = value if isinstance(value, tuple) else (value, value)
            if not low <= least <= most <= high:
                raise HilumError(
                    f"augment.{name} must lie in [{low}, {high}], smaller number first; "
                    f"got {value!r}; change it."
                )
        moved = {one.name for one in fields(self) if getattr(self, one.name) != one.default}
        for pair in EXCLUSIVE:
            if moved.issuperset(pair):
                values = " and ".join(f"{name} = {getattr(self, name)!r}" for name in pair)
                raise HilumError(
                    f"augment takes one of {' or '.join(pair)}; got {values}; drop one."
                )


# each name's place numbers its random stream: append, never insert, or all old draws change
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
    "rotates",
    "wider",
    "narrower",
    "placed_scale",
    "placed_left",
    "placed_top",
    "crop_left",
    "crop_top",
    *(f"crop_scale_{i}" for i in range(TRIES)),
    *(f"crop_aspect_{i}" for i in range(TRIES)),
)


def sample(
    ranges: AugmentationRanges, sample_ids: Sequence[str], seed: int, epoch: int
) -> pd.DataFrame:
    """Plain parameters (image, column of COLUMNS), rows in the order of `sample_ids`."""
    u = dict(zip(DRAWS, uniforms(sample_ids, len(DRAWS), seed, epoch).T, strict=True))
    parameters = {**_draw_moves(ranges, u), **_draw_light(ranges, u), **_box(ranges, u)}
    table = pd.DataFrame(parameters, index=pd.Index(sample_ids, name="sample_id"))
    mirrors = {name: u[name] < getattr(ranges, name) for name in ("flip", "vertical_flip")}
    return table.assign(**mirrors, fill=ranges.fill)[list(COLUMNS)]


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


def is_identity(ranges: AugmentationRanges) -> bool:
    """Whether these ranges change nothing."""
    return (
        replace(ranges, rotation_probability=1.0, value_limit=0.0, fill=-1) == AugmentationRanges()
    )


def _draw_moves(ranges: AugmentationRanges, u: Draws) -> Draws:
    """Rotation, zoom, shear and shift."""
    rotates = u["rotates"] < ranges.rotation_probability
    zoom = {
        name: (1 + _to_signed(u[name]) * ranges.zoom)
        / (1 + _to_signed(u[name]) * ranges.keras_zoom)
        for name in ("zoom_x", "zoom_y")
    }
    return {
        "rotation": _to_signed(u["rotation"]) * ranges.rotation * rotates,
        **zoom,
        "shear": _to_signed(u["shear"]) * ranges.shear,
        "shift_x": _to_signed(u["shift_x"]) * ranges.shift,
        "shift_y": _to_signed(u["shift_y"]) * ranges.shift,
    }


def _draw_light(ranges: AugmentationRanges, u: Draws) -> Draws:
    """Factors on grey levels."""
    value = 1 + _to_signed(u["value"]) * ranges.value
    if ranges.value_limit:
        value = value.clip(1 - ranges.value_limit, 1 + ranges.value_limit)
    return {"value": value, "contrast": 1 + _to_signed(u["contrast"]) * ranges.contrast}


def _box(ranges: AugmentationRanges, u: Draws) -> Draws:
    """The part of the film that fills the frame: a crop of it, or the frame around a small film."""
    places = ranges.aspect != 0 or ranges.placed_scale != (1.0, 1.0)
    box = _draw_placement(ranges, u) if places else _crop(ranges, u)
    return dict(zip(("box_left", "box_top", "box_width", "box_height"), box, strict=True))


def _crop(ranges: AugmentationRanges, u: Draws) -> tuple[Uniforms, Uniforms, Uniforms, Uniforms]:
    """(left, top, width, height) as torchvision's RandomResizedCrop draws them for a square film.

    After Szegedy et al. 2015, arXiv:1409.4842, section 6.
    Area uniform, aspect log-uniform; the first of ten tries that fits the film, else its centre.
    """
    low, high = ranges.crop_scale
    wide = np.log(ranges.crop_aspect)
    area = low + (high - low) * np.stack([u[f"crop_scale_{i}"] for i in range(TRIES)])
    draws = np.stack([u[f"crop_aspect_{i}"] for i in range(TRIES)])  # (try, image)
    aspect = np.exp(wide[0] + (wide[1] - wide[0]) * draws)
    width, height = np.sqrt(area * aspect), np.sqrt(area / aspect)
    fits = (width <= 1) & (height <= 1)
    first, images, any_fits = fits.argmax(0), np.arange(fits.shape[1]), fits.any(0)
    narrowest, widest = ranges.crop_aspect
    width = np.where(any_fits, width[first, images], min(1, widest))
    height = np.where(any_fits, height[first, images], min(1, 1 / narrowest))
    left, top = (np.where(any_fits, u[name], 0.5) for name in ("crop_left", "crop_top"))
    return left * (1 - width), top * (1 - height), width, height


def _draw_placement(
    ranges: AugmentationRanges, u: Draws
) -> tuple[Uniforms, Uniforms, Uniforms, Uniforms]:
    """(left, top, width, height) of the frame around a film that is scaled, stretched and placed.

    The longer side becomes `placed_scale` of the frame's; a film smaller than the frame lands
    anywhere in it, a larger one is seen through it anywhere. This is the letterbox of the code that
    Zhang & Liu describe (study 003), whose film is here the whole prepared square, bars included.
    """
    low, high = ranges.placed_scale
    wider, narrower = (1 + _to_signed(u[name]) * ranges.aspect for name in ("wider", "narrower"))
    longer, shape = low + (high - low) * u["placed_scale"], wider / narrower
    width, height = longer * np.minimum(shape, 1), longer / np.maximum(shape, 1)
    left, top = u["placed_left"] * (1 - width), u["placed_top"] * (1 - height)
    return -left / width, -top / height, 1 / width, 1 / height


def _to_signed(u: Uniforms) -> Uniforms:
    """[0, 1) -> [-1, 1)."""
    return 2 * u - 1
