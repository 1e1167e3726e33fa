"""The generator: patients, their films, and the ground truth that no real film has."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.phantom import (
    acquisition,
    anatomy,
    burnt_in,
    lesions,
    skeleton,
    stickers,
    thorax,
    vessels,
)
from hilum.phantom.anatomy import IMAGE_STREAM, Patient, Posture
from hilum.phantom.hospitals import HOSPITALS, FilmExposure
from hilum.phantom.request import Request
from hilum.phantom.roles import Role, role
from hilum.phantom.solids import Grid, Plane, board, step_up
from hilum.types import Grey8, Mask, Stack8

BOARD_FIELD = 40.0  # cm that `size` pixels cover on the board
CENTRE = -0.6  # v that lies in the middle of the film
VISIBLE = 0.05  # optical path that a lesion must add to be in its mask
STICKER_STREAM = 5  # key of the random stream, apart from those of anatomy and roles
DATASET = "phantom"

Person: TypeAlias = tuple[Patient, vessels.Segments, Role]
Masks: TypeAlias = npt.NDArray[np.bool_]  # (image, height, width)


@dataclass(frozen=True, slots=True)
class Phantom:
    """Synthetic films (image, height, width) with ground truth; row i of `table` is image i."""

    images: Stack8
    lungs: Masks
    lesions: Masks
    markers: Masks
    table: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Shot:
    """One film with its ground truth and its row of the table."""

    image: Grey8
    lungs: Mask
    lesions: Mask
    markers: Mask
    row: dict[str, Any]
    number: int  # of the image in the set


def generate(request: Request, progress: Callable[[int, int], None] | None = None) -> Phantom:
    """Draw the films that the dials ask for.

    Image k depends on the dials and on its own patient and image number alone: a longer set
    begins with the shorter one.
    """
    shape = (request.images, request.size, request.size)
    images = np.empty(shape, np.uint8)
    lungs, opaque, burnt = (np.empty(shape, np.bool_) for _ in range(3))
    rows = []
    for index, shot in enumerate(shots(request)):
        images[index], lungs[index] = shot.image, shot.lungs
        opaque[index], burnt[index] = shot.lesions, shot.markers
        rows.append(shot.row)
        if progress:
            progress(index + 1, request.images)
    return Phantom(images, lungs, opaque, burnt, pd.DataFrame(rows))


def shots(request: Request, share: tuple[int, int] = (0, 1)) -> Iterator[Shot]:
    """The films of a request one by one, in the order of `generate`.

    `share` (k, n) leaves all patients out but the k-th of every n.
    """
    grid = board(request.size / BOARD_FIELD)
    done, index = 0, 0
    while done < request.images:
        part = role(request, index)
        if index % share[1] == share[0]:
            who = anatomy.patient(request.seed, index)
            person = who, vessels.grow(who), part
            for image in range(min(part.images, request.images - done)):
                yield _shoot(request, grid, person, (index, image), done + image)
        done += part.images
        index += 1


def _shoot(request: Request, grid: Grid, person: Person, at: tuple[int, int], number: int) -> Shot:
    who, _, part = person
    rng = np.random.default_rng([request.seed, IMAGE_STREAM, *at])
    how = anatomy.posture(rng)
    chain = HOSPITALS[part.exposure].film
    severity, path, lungs, opaque = _body(request, grid, person, how)
    turn = _placement(request.size, grid, who, how, chain)
    flat = [_warp(plane, turn, request.size) for plane in (path, lungs, opaque)]
    pitch = request.size / chain.field
    # drawn before the noise, so that they are the same whatever the lungs hold
    border = _collimate(request.size, pitch, chain, rng)
    drawn = burnt_in.stamp(HOSPITALS[part.marker].marker, request.size, rng)
    exposure = acquisition.expose(flat[0], flat[1], chain, pitch, rng)
    image = acquisition.develop(exposure, flat[1], chain, rng)
    image = np.rint(image * border).astype(np.uint8)
    burnt = np.zeros(image.shape, np.bool_)
    if request.markers:
        image, burnt = burnt_in.burn(image, drawn)
    image, burnt = _stuck(request, image, burnt, at)
    text = drawn.text if request.markers else ""
    seen = (flat[1] > 0.5) & (border > 0.5)
    row = _row(who, part, at, text, severity)
    return Shot(image, seen, (flat[2] > VISIBLE) & seen, burnt, row, number)


def _stuck(request: Request, image: Grey8, burnt: Mask, at: tuple[int, int]) -> tuple[Grey8, Mask]:
    # a stream of its own: the film below is the same with and without stickers
    rng = np.random.default_rng([request.seed, STICKER_STREAM, *at])
    kinds = list(stickers.KINDS)
    for number in range(request.stickers):
        image, mask = stickers.plant(image, kinds[(sum(at) + number) % len(kinds)], rng)
        burnt = burnt | mask
    return image, burnt


def _body(
    request: Request, grid: Grid, person: Person, how: Posture
) -> tuple[float, Plane, Plane, Plane]:
    who, tree, part = person
    rng = np.random.default_rng([*who.seed, 13])
    severity = float(np.clip(request.severity * rng.uniform(0.5, 1.4), 0, 1))
    body = thorax.build_thorax(grid, who, how)
    bone = skeleton.build_skeleton(grid, who, how)
    vessel = np.maximum(vessels.draw_vessels(grid, tree), vessels.hila(grid))
    vessel = np.minimum(vessel * step_up(body.lung, 0.5, 4.0), 0.8 * body.lung)
    lung = body.lung - vessel
    scene = lesions.Scene(grid, body, who, how, tree, severity, rng)
    opaque = lesions.opacity(scene, part.label) * np.float32(request.signal)
    added = lung * opaque * (acquisition.CONSOLIDATED - acquisition.LUNG)
    soft = np.maximum(body.body - lung - np.minimum(body.air, body.body), 0)
    path = acquisition.optical_path(acquisition.Paths(soft, lung, bone, body.fat))
    return severity, path + added, body.fields, added


def _placement(
    size: int, grid: Grid, who: Patient, how: Posture, chain: FilmExposure
) -> npt.NDArray[np.float64]:
    # board pixels -> cm of the person -> film pixels
    pitch = size / chain.field
    cos, sin = np.cos(np.radians(how.tilt)), np.sin(np.radians(how.tilt))
    turn = np.array([[cos, -sin], [sin, cos]]) @ np.diag(who.scale) * how.magnification * pitch
    origin = np.array([float(grid.u[0, 0]), float(grid.v[0, 0]) - CENTRE])
    offset = turn @ origin + np.array(how.shift) * pitch + size / 2
    return np.column_stack([turn / grid.pitch, offset])


def _warp(plane: Plane, turn: npt.NDArray[np.float64], size: int) -> Plane:
    return np.asarray(
        cv2.warpAffine(
            plane, turn, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    )


def _collimate(size: int, pitch: float, chain: FilmExposure, rng: np.random.Generator) -> Plane:
    # the shutters' edges, a little askew, as the digitiser blanks them
    inset = rng.uniform(0, chain.collimation, 4) * (rng.random(4) < 0.6) * pitch
    box = np.array(
        [[inset[0], inset[1]], [size - inset[2], inset[1]],
         [size - inset[2], size - inset[3]], [inset[0], size - inset[3]]]
    )  # fmt: skip
    angle = np.radians(rng.normal(0, 0.8)) if inset.any() else 0.0
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = (box - size / 2) @ spin.T + size / 2
    canvas = np.zeros((size, size), np.uint8)
    cv2.fillPoly(canvas, [np.rint(corners * 16).astype(np.int32)], (255,), cv2.LINE_AA, 4)
    return canvas.astype(np.float32) / np.float32(255)


def _row(
    who: Patient, part: Role, at: tuple[int, int], text: str, severity: float
) -> dict[str, Any]:
    sick = part.label != "normal"
    person = f"{who.seed[0]}_{at[0]:05d}"  # patients of another seed are other people
    return {
        "sample_id": f"{DATASET}/images/{person}_{at[1]:02d}.png",
        "label": part.label,
        "patient_id": f"{DATASET}:{person}",
        "source": part.hospital,
        "age": float(who.age),
        "sex": who.sex,
        "view": "PA",
        "modality": "X-ray",
        "has_marker": bool(text),
        "marker": text,
        "marker_style": part.marker if text else "",
        "exposure_style": part.exposure,
        "severity": severity if sick else 0.0,
    }
