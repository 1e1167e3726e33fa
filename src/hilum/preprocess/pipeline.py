"""The declarative preparation: a list of named steps that travels with the weights."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from hilum import files
from hilum.preprocess import parameters
from hilum.preprocess.geometry import BorderCrop, CentreCrop, Letterbox, Resize, ResizeShorter
from hilum.preprocess.intensity import CLAHE_VERSION, Clahe, Equalise, PercentileWindow
from hilum.preprocess.lungs import masks as lungs
from hilum.preprocess.lungs.masks import FindsLungs
from hilum.preprocess.lungs.steps import (
    CropLungs,
    FilmAndLungs,
    HideLungs,
    KeepLungs,
    LungStep,
    with_finder,
)
from hilum.preprocess.marker_steps import CropBorders, FindMarkers, RemoveMarkers, TransplantMarkers
from hilum.preprocess.markers import READS, READS_VERSION
from hilum.preprocess.step import Size, Step, as_uint8
from hilum.types import Grey8, GreyImage, HilumError, nearest_name

# raise when any step's arithmetic changes: stored pixels and models then no longer match
VERSION = 1

# a network file's path, or "" for the one that comes with hilum -> what finds lungs with it; it is
# handed in from above, since preparation knows no networks
LungsOf: TypeAlias = Callable[[str], FindsLungs]

ROWS: tuple[type[Step], ...] = (
    BorderCrop,
    CentreCrop,
    Clahe,
    CropBorders,
    CropLungs,
    Equalise,
    FilmAndLungs,
    FindMarkers,
    HideLungs,
    KeepLungs,
    Letterbox,
    PercentileWindow,
    RemoveMarkers,
    Resize,
    ResizeShorter,
    TransplantMarkers,
)
STEPS = {row.name: row for row in ROWS}


@dataclass(frozen=True)
class Pipeline:
    """Steps in order; ends with a known size, gives uint8 (height, width)."""

    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        if self._size() is None:
            names = ", ".join(step.name for step in self.steps) or "no step"
            raise HilumError(
                f"preparation must end at a fixed size; got {names}; "
                "add letterbox, resize or centre_crop."
            )
        height, width = self.shape
        if self.panels > 1 and height != self.panels * width:
            raise HilumError(
                f"{self.panels} pictures one below the other must keep their places; "
                f"got a last step that gives {height} x {width}; cut and scale before "
                "film_and_lungs."
            )

    def __call__(self, pixels: GreyImage) -> Grey8:
        """(height, width) of any size -> uint8 (height, width) of `shape`."""
        for step in self.steps:
            pixels = step(pixels)
        return np.ascontiguousarray(as_uint8(pixels))

    def _size(self) -> Size | None:
        size: Size | None = None
        for step in self.steps:
            size = step.size(size)
        return size

    @property
    def shape(self) -> Size:
        """(height, width) of what comes out."""
        size = self._size()
        assert size is not None  # noqa: S101 - __post_init__ refuses a pipeline without
        return size

    @property
    def panels(self) -> int:
        """How many pictures of the film are one below the other in what comes out."""
        return max((getattr(step, "panels", 1) for step in self.steps), default=1)

    @property
    def decode_side(self) -> int | None:
        """The shorter side that the decoder must at least deliver, or None for full size."""
        side: int | None = None
        for step in reversed(self.steps):
            side = step.side_needed(side)
        return side

    @cached_property
    def digest(self) -> str:
        """Hash of the declared steps and of their version."""
        finders = [getattr(step, "finder", None) for step in self.steps]
        networks = [finder.digest for finder in finders if finder is not None]
        masks = [lungs.VERSION for step in self.steps if isinstance(step, LungStep)]
        ways = [READS_VERSION for step in self.steps if getattr(step, "method", "") in READS]
        even = [CLAHE_VERSION for step in self.steps if isinstance(step, Clahe)]
        decides = (self.as_list(), *networks, *masks, *ways, *even)
        return files.stable_digest("preparation", VERSION, *decides)

    def as_list(self) -> list[dict[str, Any]]:
        """The declarative block: one dictionary per step, every parameter spelt out."""
        return [{"step": step.name, **_parameters(step)} for step in self.steps]


def from_list(block: Sequence[Mapping[str, Any]], lungs_of: LungsOf | None = None) -> Pipeline:
    """Build a pipeline from its declarative block; unknown steps and parameters are refused.

    `lungs_of` is only called where a step finds the lungs of radiographs.
    """
    return Pipeline(tuple(_with_lung_finder(_step(row), lungs_of) for row in block))


def with_side(block: Sequence[Mapping[str, Any]], side: int) -> list[dict[str, Any]]:
    """The same block with every step that has a `side` set to it (the network's input size)."""
    sized = {name for name, kind in STEPS.items() if "side" in parameters.names(kind)}
    return [{**row, **({"side": side} if row.get("step") in sized else {})} for row in block]


def _step(row: Mapping[str, Any]) -> Step:
    name = str(row.get("step", ""))
    if name not in STEPS:
        hint = nearest_name(name, STEPS)
        raise HilumError(f"a preparation step must exist; got {name!r}; {hint}")
    kind, given = STEPS[name], {k: v for k, v in row.items() if k != "step"}
    parameters_of_step = parameters.names(kind)
    for key in given:
        if key not in parameters_of_step:
            hint = nearest_name(
                key, parameters_of_step, "" if parameters_of_step else "it takes none."
            )
            raise HilumError(f"step {name} has no parameter {key!r}; {hint}")
    return kind(**parameters.checked(kind, given))


def _with_lung_finder(step: Step, lungs_of: LungsOf | None) -> Step:
    """The step with what it needs from above."""
    if lungs_of is not None and isinstance(step, LungStep) and step.kind == "radiograph":
        complete: Step = with_finder(step, lungs_of(step.network))
        return complete
    return step


def _parameters(step: Step) -> dict[str, Any]:
    return {name: getattr(step, name) for name in parameters.names(type(step))}
