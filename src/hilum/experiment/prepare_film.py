"""One film through named steps to files: its prepared pixels, and the mask of its lungs."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from hilum import files, images
from hilum.preprocess.lungs.masks import LungMask
from hilum.preprocess.lungs.steps import LungStep
from hilum.preprocess.step import Step, as_uint8
from hilum.types import Grey8, GreyImage, HilumError

NO_PIXELS = np.zeros((0, 0), bool)  # of a mask that lies in its file


@dataclass(frozen=True, slots=True)
class FilmJob:
    """One image: its path, and the paths of its prepared pixels and its lung mask."""

    path: Path
    target: Path
    mask: Path


@dataclass(frozen=True, slots=True)
class FilmOutcome:
    """Outcome of a job: a fault or "", and the lungs, without pixels, where a step finds them."""

    job: FilmJob
    fault: str
    lungs: LungMask | None = None


def prepare_film(job: FilmJob, steps: Sequence[Step]) -> FilmOutcome:
    """Read, prepare and write one image, its mask too where a step finds lungs."""
    for path in (job.target, job.mask):
        path.unlink(missing_ok=True)  # what an earlier run wrote may not be what this one is
    lungs: LungMask | None = None
    try:
        pixels = images.read(job.path).pixels
        finder = next((step for step in steps if isinstance(step, LungStep)), None)
        if finder is not None:
            lungs = finder.lungs(pixels)
            _write(job.mask, lungs.mask.astype(np.uint8) * 255)
        _write(job.target, _with_lungs(steps, pixels, lungs))
    except HilumError as error:
        return FilmOutcome(job, str(error).removeprefix(f"{job.path}: "), _without_pixels(lungs))
    return FilmOutcome(job, "", _without_pixels(lungs))


def _without_pixels(lungs: LungMask | None) -> LungMask | None:
    return None if lungs is None else replace(lungs, mask=NO_PIXELS)


def _with_lungs(steps: Sequence[Step], pixels: GreyImage, lungs: LungMask | None) -> Grey8:
    """Every step on (height, width); a first step that needs lungs gets those already segmented."""
    first = steps[0] if steps else None
    if lungs is None or not isinstance(first, LungStep):
        return applied(steps, pixels)
    return applied(steps[1:], first.applied(pixels, lungs))


def applied(steps: Sequence[Step], pixels: GreyImage) -> Grey8:
    """(height, width) of any size through every step -> uint8 (height, width)."""
    for step in steps:
        pixels = step(pixels)
    return np.ascontiguousarray(as_uint8(pixels))


def _write(path: Path, pixels: Grey8) -> None:
    """A PNG, whole or not at all; the temporary name is one that a later process takes again."""
    _, png = cv2.imencode(".png", pixels)
    temporary = path.with_name(f".{files.stable_digest(path.name)[:16]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(png.tobytes())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):  # of a full disk
            temporary.unlink()
        raise files.write_error(path, error) from error
