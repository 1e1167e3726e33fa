"""From cm of tissue to grey levels: Beer-Lambert, scatter, blur, quantum noise, display curve."""

from dataclasses import dataclass

import cv2
import numpy as np

from hilum.phantom.hospitals import FilmExposure
from hilum.phantom.solids import Plane
from hilum.types import Grey8

# Linear attenuation coefficients at 60 keV, per cm: mass coefficient (NIST, table 4,
# ICRU-44 tissues) times density.
SOFT = 0.2048 * 1.06
FAT = 0.1974 * 0.95
BONE = 0.3148 * 1.92
LUNG = 0.2053 * 0.26
CONSOLIDATED = 0.2053 * 1.0


@dataclass(frozen=True, slots=True)
class Paths:
    """Lengths in cm of the tissues along each ray (height, width)."""

    soft: Plane
    lung: Plane
    bone: Plane
    fat: Plane


def optical_path(paths: Paths) -> Plane:
    """Line integral of attenuation (height, width): the sum of lengths times coefficients."""
    return np.asarray(
        paths.soft * SOFT + paths.lung * LUNG + paths.bone * (BONE - SOFT) + paths.fat * FAT,
        np.float32,
    )


def transmit(path: Plane) -> Plane:
    """Share of the photons (height, width) that pass: Beer-Lambert."""
    return np.exp(-path)


def scatter(primary: Plane, path: Plane, weight: float, pitch: float) -> Plane:
    """Scattered photons (height, width): the attenuated beam, spread over centimetres.

    Convolution model of Love & Kruger 1987, doi:10.1118/1.596126.
    """
    small = max(path.shape[0] // 8, 8)
    source = cv2.resize(primary * path, (small, small), interpolation=cv2.INTER_AREA)
    sigma = 3.2 * pitch * small / path.shape[0]
    spread = cv2.GaussianBlur(source, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return weight * cv2.resize(
        spread, (path.shape[1], path.shape[0]), interpolation=cv2.INTER_LINEAR
    )


def count(expected: Plane, rng: np.random.Generator) -> Plane:
    """Photons counted (height, width), Poisson about the expected number."""
    return rng.poisson(expected).astype(np.float32)


def heel(shape: tuple[int, int], loss: float) -> Plane:
    """Intensity of the open beam (height, 1): weaker towards the anode, above."""
    return np.linspace(1 - loss, 1, shape[0], dtype=np.float32)[:, None]


def expose(
    path: Plane, lungs: Plane, film: FilmExposure, pitch: float, rng: np.random.Generator
) -> Plane:
    """Photons counted (height, width) as a share of the open beam's; `lungs` steers the tube."""
    primary = transmit(path)
    beam = primary + scatter(primary, path, film.scatter * 0.25, pitch)
    beam = cv2.GaussianBlur(beam, (0, 0), max(film.focus * pitch, 0.3)) * heel(
        path.shape, film.heel
    )
    # automatic exposure: so many photons behind the lungs, fewer where a pixel is smaller
    wanted = film.photons * (256 / path.shape[0]) ** 2
    wanted *= float(np.exp(rng.normal(0, film.exposure_spread)))
    photons = wanted / _behind(beam, lungs)
    return count(beam * photons, rng) / np.float32(photons)


def _behind(values: Plane, lungs: Plane) -> float:
    inside = values[lungs > 0.5]
    return float(inside.mean()) if inside.size else float(values.mean())


def develop(exposure: Plane, lungs: Plane, film: FilmExposure, rng: np.random.Generator) -> Grey8:
    """Grey levels (height, width), bone white: a sigmoid of the logarithm of the exposure.

    The shape of Hurter and Driffield's characteristic curve; `lungs` (height, width) sets the
    automatic exposure.
    """
    seen = -np.log(np.maximum(exposure, 1e-4))
    anchor = _behind(seen, lungs)
    flat = _process(seen, film)
    centre = anchor * film.speed
    grey = film.top_grey / (1 + np.exp(-film.contrast * (flat - centre)))
    grey += rng.standard_normal(seen.shape, np.float32) * film.grain
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def _process(seen: Plane, film: FilmExposure) -> Plane:
    # large structures are compressed, small ones are enhanced
    side = seen.shape[0]
    small = cv2.resize(np.minimum(seen, 5), (32, 32), interpolation=cv2.INTER_AREA)
    base = cv2.GaussianBlur(small, (0, 0), 4.0)
    base = cv2.resize(base, (seen.shape[1], side), interpolation=cv2.INTER_LINEAR)
    fine = seen - cv2.GaussianBlur(seen, (0, 0), side / 64)
    return seen - film.harmony * (base - float(base.mean())) + film.edges * fine
