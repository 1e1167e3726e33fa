"""Who is imaged and how they stand: the numbers that the solids of the thorax are built from."""

from dataclasses import dataclass

import numpy as np

from hilum.phantom.solids import Knots, Plane, curve

PATIENT_STREAM, IMAGE_STREAM = 1, 2  # keys of the random streams, so that they never meet


@dataclass(frozen=True, slots=True)
class Patient:
    """One person; lengths in cm of the canonical body, which `scale` stretches to the person's."""

    sex: str
    age: int
    habitus: float  # -1 thin, 0 average, 1.5 obese
    scale: tuple[float, float]  # across and along the body
    chest: float  # half-width of the rib cage against the mean
    heart: float  # size of the heart against the mean
    heart_tilt: float  # degrees
    knob: float  # radius of the aortic arch
    unfolding: float  # 0 to 1: how far the aged aorta bows out
    domes: tuple[float, float]  # v of the right and the left dome in full inspiration
    lordosis: float  # slope of the clavicles, cm over their length
    scoliosis: float  # sideways swing of the spine
    rib_drop: float  # descent of the ribs against the mean
    bone: float  # mineral content against the mean
    breast: float  # thickness of a breast, 0 for none
    breast_at: tuple[float, float]
    bubble: float  # radius of the gastric bubble
    seed: tuple[int, int]  # of the person's own random details


@dataclass(frozen=True, slots=True)
class Posture:
    """One exposure of a person."""

    inspiration: float  # 1 full, 0.5 shallow
    rotation: float  # about the long axis: cm that the front moves to the person's left
    arms: float  # cm that the shoulder blades lie further out
    shift: tuple[float, float]  # of the body on the film, cm
    tilt: float  # of the body on the film, degrees
    magnification: float


def patient(seed: int, index: int) -> Patient:
    """Draw patient number `index`."""
    rng = np.random.default_rng([seed, PATIENT_STREAM, index])
    sex = "F" if rng.random() < 0.48 else "M"
    female = sex == "F"
    age = int(np.clip(rng.normal(54, 17), 19, 92))
    habitus = float(np.clip(rng.normal(0.15, 0.55), -0.9, 1.5))
    years = (age - 50) / 40
    tall = float(rng.normal(0.94 if female else 1.0, 0.035))
    return Patient(
        sex=sex,
        age=age,
        habitus=habitus,
        scale=(float(0.97 * tall + 0.03 * habitus + rng.normal(0, 0.015)), tall),
        chest=float(np.clip(rng.normal(0.98, 0.05), 0.88, 1.1)),
        heart=float(rng.normal(1.0 + 0.04 * years + 0.04 * habitus, 0.09)),
        heart_tilt=float(np.clip(rng.normal(38 - 5 * habitus, 5), 22, 52)),
        knob=float(np.clip(rng.normal(1.45 + 0.3 * years, 0.15), 1.0, 2.3)),
        unfolding=float(np.clip(rng.normal(0.3 + 0.35 * years, 0.2), 0, 1)),
        domes=(float(rng.normal(8.2 - 0.5 * habitus, 0.5)), float(rng.normal(1.3, 0.35))),
        lordosis=float(rng.normal(2.7, 0.8)),
        scoliosis=float(rng.normal(0, 0.35)),
        rib_drop=float(rng.normal(1.0 + 0.04 * years, 0.07)),
        bone=float(np.clip(rng.normal(1.0 - 0.16 * max(years, 0) * (1 + female), 0.08), 0.6, 1.2)),
        breast=max(0.0, float(rng.normal(3.0 + 1.3 * habitus, 0.8))) if female else 0.0,
        breast_at=(float(rng.normal(7.6, 0.5)), float(rng.normal(6.4, 1.2))),
        bubble=float(np.clip(rng.normal(1.4, 0.6), 0.3, 2.4)),
        seed=(seed, index),
    )


def posture(rng: np.random.Generator) -> Posture:
    """Draw how a person stands for one exposure."""
    return Posture(
        inspiration=float(np.clip(rng.normal(0.9, 0.12), 0.5, 1.1)),
        rotation=float(np.clip(rng.normal(0, 0.35), -1, 1)),
        arms=float(rng.normal(0, 0.6)),
        shift=(float(rng.normal(0, 0.55)), float(rng.normal(0, 0.7))),
        tilt=float(rng.normal(0, 1.2)),
        magnification=float(rng.normal(1.0, 0.015)),
    )


CAGE: Knots = (
    (-13.2, 4.6), (-12, 6.6), (-10, 8.9), (-7, 11.0), (-3, 12.7), (2, 13.9), (7, 14.4),
    (12, 14.5), (18, 13.8),
)  # fmt: skip
BREADTH: Knots = (
    (-13, 13.0), (-9, 16.6), (-5, 17.2), (0, 16.7), (6, 16.3), (12, 15.9), (17, 15.8), (23, 17.0),
)  # fmt: skip
SHOULDERS: Knots = (
    (-23, 6.4), (-19, 5.8), (-17.5, 6.6), (-16, 9.2), (-14.6, 14.0), (-13.4, 19.0), (-12, 22.0),
    (-9, 24.0), (-5, 22.5), (-1, 19.0), (4, 16.5),
)  # fmt: skip


def cage(who: Patient, v: Plane) -> Plane:
    """Half-width of the rib cage's inside at v, cm; same shape as v."""
    return curve(CAGE, v) * np.float32(who.chest)


def dome_levels(who: Patient, how: Posture) -> tuple[float, float]:
    """v of the right and the left dome: shallow breath lifts both."""
    lift = 4.5 * (1 - how.inspiration)
    return who.domes[0] - lift, who.domes[0] + who.domes[1] - lift
