"""The two hospitals: one card each for the exposure chain and for the burnt-in markers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FilmExposure:
    """How a hospital exposes and displays; lengths in cm on the detector."""

    photons: float  # per pixel of a 256-pixel film, behind the lungs
    exposure_spread: float  # of the natural logarithm of the exposure
    scatter: float  # weight of scattered photons: low with a grid, high without
    heel: float  # relative loss of intensity along the anode's side of the beam
    focus: float  # standard deviation of focal and screen blur
    grain: float  # standard deviation of the display grain, grey levels
    contrast: float  # slope of the characteristic curve at its middle
    speed: float  # optical path of the mid-grey, relative to the lungs' mean (1 = the lungs)
    harmony: float  # share of the large-scale contrast that processing removes
    edges: float  # strength of unsharp masking
    field: float  # side of the film
    collimation: float  # largest width of the unexposed border
    top_grey: float  # brightest grey level of the display


@dataclass(frozen=True, slots=True)
class Marker:
    """What a hospital burns in: letters, their place and look."""

    letters: tuple[str, ...]
    lines: tuple[str, ...]  # small print below; "%" stands for a date
    corner: tuple[float, float]  # of the letter's middle, share of the width and height
    font: int  # of cv2.putText
    height: float  # of the letter, share of the film
    level: tuple[int, int]  # range of its grey level
    tilt: float  # standard deviation of a lead letter's angle, degrees
    arrow: bool


@dataclass(frozen=True, slots=True)
class Hospital:
    """One source of films."""

    name: str
    film: FilmExposure
    marker: Marker


HOSPITALS = {
    "A": Hospital(
        "A",
        FilmExposure(
            photons=30_000,
            exposure_spread=0.15,
            scatter=0.55,
            heel=0.14,
            focus=0.09,
            grain=0.8,
            contrast=1.8,
            speed=1.02,
            harmony=0.25,
            edges=0.8,
            field=37.0,
            collimation=1.6,
            top_grey=240.0,
        ),
        Marker(
            ("L",), ("HS", "SC", "ST", "LW"), (0.86, 0.10), 0, 0.055, (225, 250), 9.0, arrow=False
        ),
    ),
    "B": Hospital(
        "B",
        FilmExposure(
            photons=9_000,
            exposure_spread=0.35,
            scatter=0.9,
            heel=0.08,
            focus=0.12,
            grain=1.6,
            contrast=2.2,
            speed=1.2,
            harmony=0.55,
            edges=1.5,
            field=35.0,
            collimation=0.5,
            top_grey=225.0,
        ),
        Marker(("R",), ("PORTABLE", "%"), (0.10, 0.075), 3, 0.045, (235, 255), 0.0, arrow=True),
    ),
}
