"""Models whose reasons are known: one reads the corners, where marks stand, one the middle.

Films of the phantom, whose hospitals mark theirs in opposite corners.
"""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from hilum.audits import Evidence
from hilum.data import prepared_dataset
from hilum.inference.model import ModelMetadata, TrainedModel
from hilum.models.heads import NumpyHead, Standardise
from hilum.models.runtime import base
from hilum.models.runtime.base import Runtime
from hilum.models.weights import TUNED, Weights
from hilum.preprocess import from_list
from hilum.types import Floats, Grey8, Manifest

CLASSES = ["covid19", "normal"]
SIDE = 128
Sees = Callable[[Grey8], list[float]]


def corners(image: Grey8) -> list[float]:
    """How bright the brightest tenth of the upper left and of the upper right corner are."""
    top = image[: SIDE // 5]
    sides = top[:, : SIDE // 3], top[:, -SIDE // 3 :]
    return [float(np.quantile(side, 0.97)) / 255 for side in sides]


def middle(image: Grey8) -> list[float]:
    """How bright the middle of the film is, and once more."""
    inside = image[SIDE // 3 : -SIDE // 3, SIDE // 4 : -SIDE // 4]
    return [float(inside.mean()) / 255, 0.5]


def texture(image: Grey8) -> list[float]:
    """How much neighbouring pixels differ, which blur and JPEG take away."""
    return [float(np.abs(np.diff(image.astype(np.float32), axis=1)).mean()) / 20, 0.5]


class Reader(Runtime):
    """Two features per film, computed by a plain function."""

    def __init__(self, sees: Sees) -> None:
        self.sees = sees
        self.facts = base.RuntimeInfo("plain", "cpu", "fp32", (SIDE, SIDE), 2)

    def _fill(self, images: Iterator[Grey8], out: Floats, progress: base.Progress) -> int:
        done = 0
        for done, image in enumerate(images, 1):
            out[done - 1] = self.sees(image)
        return done


def model(
    sees: Sees, threshold: float = 0.0, seen: tuple[str, ...] = (), tuned: bool = False
) -> TrainedModel:
    """COVID-19 where the first feature exceeds the second by more than `threshold`."""
    weight = np.array([[20.0, -20.0], [-20.0, 20.0]])
    bias = np.array([-20.0, 20.0]) * threshold
    facts = ModelMetadata(CLASSES, "signed", "fp32", mirror=False, seen=seen)
    origin = TUNED if tuned else "nowhere"
    nothing: Any = SimpleNamespace(
        weights=Weights({}, "", origin, "")
    )  # no audit here asks for more
    pipeline = from_list([{"step": "letterbox", "side": SIDE}])
    return TrainedModel(
        facts, pipeline, nothing, NumpyHead(Standardise.none(2), ((weight, bias),)), Reader(sees)
    )


def taken(made: Manifest, seed: int = 0) -> Evidence:
    """Films of the phantom, prepared, without any model yet."""
    found = prepared_dataset.prepare_dataset(made, model(middle).pipeline)
    return Evidence(
        CLASSES,
        found.manifest.table,
        pd.DataFrame(),
        facts=found.facts,
        stack=np.array(found.pixels.stack),
        seed=seed,
    )
