"""Steps that keep, hide or crop to the lungs of a radiograph or of a CT slice."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np

from hilum.preprocess import parameters
from hilum.preprocess.geometry import Letterbox, Resize
from hilum.preprocess.intensity import Equalise
from hilum.preprocess.lungs import ct
from hilum.preprocess.lungs.masks import FindsLungs, LungMask, box, dilated
from hilum.preprocess.step import Movement, Size, level
from hilum.types import GreyImage, HilumError

Kind: TypeAlias = Literal["radiograph", "ct"]
Failed: TypeAlias = Literal["leave_out", "whole"]
FINDER = {"parameter": False}  # of a field: set by the program, never named in a recipe


@runtime_checkable
class LungStep(Protocol):
    """What the steps below share: they find lungs, and then do something with them."""

    kind: Kind
    network: str
    finder: FindsLungs | None

    def lungs(self, pixels: GreyImage) -> LungMask:
        """(height, width) -> the lungs at that size."""

    def applied(self, pixels: GreyImage, lungs: LungMask) -> GreyImage:
        """(height, width) -> the step with lungs that were found before; HilumError for a mask that
        failed.
        """


@dataclass(frozen=True, slots=True)
class _Finds:
    """Finding, and what becomes of an image whose mask fails its check."""

    kind: Kind = "radiograph"
    network: str = ""  # a file of weights from the recipe `lungs`; empty: the one hilum comes with
    failed: Failed = "leave_out"
    finder: FindsLungs | None = field(default=None, repr=False, compare=False, metadata=FINDER)

    def lungs(self, pixels: GreyImage) -> LungMask:
        """(height, width) -> the lungs at that size."""
        if self.kind == "ct":
            return ct.lungs(pixels)
        if self.finder is None:
            raise HilumError(
                "a lung step needs a lung segmenter; got none; build the preparation "
                "with preprocess.from_list(steps, segmenter.load_segmenter)."
            )
        return self.finder(pixels)

    def refused(self, lungs: LungMask) -> bool:
        """Whether the image stays as it is; raises HilumError where it must be left out."""
        if not lungs.good and self.failed == "leave_out":
            raise HilumError(
                f"expected a chest image whose lungs can be outlined; got {lungs.status}; look at "
                'it, or set failed = "whole" to keep such images unmasked.'
            )
        return not lungs.good

    def side_needed(self, after: int | None) -> int | None:
        """Enough for the later steps and for the network."""
        if after is None or self.kind == "ct" or self.finder is None:
            return None
        return max(after, self.finder.side)


@dataclass(frozen=True, slots=True)
class KeepLungs(_Finds):
    """Everything but the lungs becomes `fill`, as study 003 shows it (Fig. 6).

    A mask that is too tight cuts consolidated lung away: `dilate` widens it by that share of the
    shorter side, `hull` takes the convex hull of each lung.
    """

    dilate: float = parameters.between(0.02, 0, 0.5)
    hull: bool = False
    fill: int = parameters.between(0, 0, 255)
    name: ClassVar[str] = "keep_lungs"
    moves_pixels: ClassVar[Movement] = "never"

    def __call__(self, pixels: GreyImage) -> GreyImage:
        """(height, width) -> the same size; raises HilumError where the mask fails its check."""
        return self.applied(pixels, self.lungs(pixels))

    def applied(self, pixels: GreyImage, lungs: LungMask) -> GreyImage:
        """(height, width) -> the step with lungs that were found before."""
        if self.refused(lungs):
            return pixels
        inside = dilated(lungs.mask, self.dilate, self.hull)
        return np.where(inside, pixels, np.asarray(level(pixels, self.fill), pixels.dtype))

    def size(self, before: Size | None) -> Size | None:
        """As before."""
        return before


@dataclass(frozen=True, slots=True)
class HideLungs(_Finds):
    """The lungs become `fill`: what a classifier still knows then, it does not know from them.

    `box` hides their box, so that not even the outline is left (Maguolo & Nanni 2021,
    doi:10.1016/j.inffus.2021.04.008, who hid a rectangle).
    """

    dilate: float = parameters.between(0.02, 0, 0.5)
    hull: bool = True
    box: bool = False
    fill: int = parameters.between(0, 0, 255)
    name: ClassVar[str] = "hide_lungs"
    moves_pixels: ClassVar[Movement] = "never"

    def __call__(self, pixels: GreyImage) -> GreyImage:
        """(height, width) -> the same size; raises HilumError where the mask fails its check."""
        return self.applied(pixels, self.lungs(pixels))

    def applied(self, pixels: GreyImage, lungs: LungMask) -> GreyImage:
        """(height, width) -> the step with lungs that were found before."""
        if self.refused(lungs):
            return pixels
        out = pixels.copy()
        hidden: Any = dilated(lungs.mask, self.dilate, self.hull)
        if self.box:
            hidden = box(lungs.mask, self.dilate)
        out[hidden] = level(pixels, self.fill)
        return out

    def size(self, before: Size | None) -> Size | None:
        """As before."""
        return before


@dataclass(frozen=True, slots=True)
class CropLungs(_Finds):
    """The box around both lungs, `margin` of the shorter side wider each way."""

    margin: float = parameters.between(0.03, 0, 1)
    name: ClassVar[str] = "crop_lungs"
    moves_pixels: ClassVar[Movement] = "by content"

    def __call__(self, pixels: GreyImage) -> GreyImage:
        """(height, width) -> the box; raises HilumError where the mask fails its check."""
        return self.applied(pixels, self.lungs(pixels))

    def applied(self, pixels: GreyImage, lungs: LungMask) -> GreyImage:
        """(height, width) -> the step with lungs that were found before."""
        return pixels if self.refused(lungs) else pixels[box(lungs.mask, self.margin)]

    def size(self, before: Size | None) -> Size | None:
        """Depends on the image."""
        return None

    def side_needed(self, after: int | None) -> int | None:
        """Everything: how much the box will hold is not known before."""
        return None


@dataclass(frozen=True, slots=True)
class FilmAndLungs(CropLungs):
    """The whole film, letterboxed, and below it the box around both lungs, stretched to a square.

    How a film is framed helps and misleads, and so does a crop: a classifier that sees both relies
    less on either. With `equalise` the grey levels of each are spread out by themselves.
    """

    side: int = parameters.side()
    equalise: bool = False
    name: ClassVar[str] = "film_and_lungs"
    panels: ClassVar[int] = 2

    def applied(self, pixels: GreyImage, lungs: LungMask) -> GreyImage:
        """(height, width) -> (2 side, side), with lungs that were found before."""
        inside = CropLungs.applied(self, pixels, lungs)
        pictures = [Letterbox(self.side)(pixels), Resize(self.side)(inside)]
        return np.concatenate([Equalise()(one) for one in pictures] if self.equalise else pictures)

    def size(self, before: Size | None) -> Size | None:
        """Always (2 side, side)."""
        return 2 * self.side, self.side


def with_finder(step: Any, finder: FindsLungs) -> Any:
    """The same step with something that finds lungs."""
    return replace(step, finder=finder)
