"""Controls of the audits that look at films: models whose reasons are known, on the phantom.

Two sets of films per seed. In the clean one sick lungs are opaque and both hospitals, with their
own exposures and their own marks, have as many sick as healthy people. In the marked one nothing
is to be seen of any disease, and a share of each class bears its own hospital's marks; exposure
follows chance, so that whoever tells the classes apart reads the marks. Networks are shown a third
set as well, whose exposure is the class's hospital's while marks follow chance.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import pandas as pd
import readers_of
from readers_of import CLASSES, SIDE, corners, middle, texture

from hilum import phantom
from hilum.audits import Evidence, cross_validated_probe
from hilum.audits.sampled_maps import SampledMaps
from hilum.data import fingerprints, leakage, prepared_dataset
from hilum.data.fingerprints import Fingerprint
from hilum.inference import model as models
from hilum.inference.model import ModelMetadata, TrainedModel
from hilum.models import backbones
from hilum.models.backbones import Backbone
from hilum.models.heads import NumpyHead, Standardise
from hilum.models.runtime.base import Runtime
from hilum.preprocess import from_list
from hilum.types import Fingerprints, Floats, Grey8, Manifest, Split, Stack8

BACKBONE = "tf_efficientnet_lite0"
MAPS = 24  # films with known heat
Made = TypeVar("Made")


@dataclass
class Studio:
    """Where the films of one seed are made, each set once."""

    seed: int
    folder: Path
    images: int = 80
    made: dict[Any, Any] = field(default_factory=dict)

    def once(self, key: Any, make: Callable[[], Made]) -> Made:
        if key not in self.made:
            self.made[key] = make()
        made: Made = self.made[key]
        return made

    def random(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, stream])

    def films(self, share: float, fault: str = "marker") -> Evidence:
        """Clean films, or films of which a share bears its class's marks; no model yet."""
        key = ("films", share, fault if share else "")
        return self.once(key, lambda: self._films(share, fault))

    def _films(self, share: float, fault: str) -> Evidence:
        dials = {f"{fault}_shortcut": 2 * share - 1, "signal": 0.0} if share else {}
        request = phantom.Request(
            images=self.images,
            seed=1000 + self.seed,
            classes=tuple(CLASSES),
            severity=0.9,
            images_per_patient=1,
            hospitals=("B", "A"),
            **dials,  # type: ignore[arg-type]
        )
        made = phantom.write_phantom(request, self.folder / f"{fault} {share:g}")
        return readers_of.taken(made, self.seed)


# --- readers whose reasons are known -------------------------------------------------------------


def reader(studio: Studio, share: float) -> Evidence:
    """C-01 and C-06 to C-08: a reader of corners; else one of the middle, and its own labels."""

    def make() -> Evidence:
        films = studio.films(share)
        return replace(films, model=readers_of.model(corners)) if share else told_by(films, middle)

    return studio.once(("reader", share), make)


def told_by(evidence: Evidence, sees: readers_of.Sees) -> Evidence:
    """The films' labels as the reader itself would give them, and its model, cut at the median."""
    found = np.array([sees(image) for image in _stack(evidence)])
    margin = found[:, 0] - found[:, 1]
    cut = float(np.median(margin))
    table = evidence.manifest.assign(label=np.where(margin > cut, *CLASSES))
    return replace(evidence, manifest=table, model=readers_of.model(sees, cut), features=None)


def fine_texture(studio: Studio, share: float) -> Evidence:
    """C-25: a reader of what blur and noise change; the rest of it reads the middle."""

    def sees(image: Grey8) -> list[float]:
        return [share * texture(image)[0] + (1 - share) * middle(image)[0], 0.5]

    return told_by(studio.films(0), sees)


def inner_texture(image: Grey8) -> list[float]:
    """How much neighbouring pixels of the middle differ."""
    return texture(image[SIDE // 3 : -SIDE // 3, SIDE // 4 : -SIDE // 4])


# --- heat that is known ---------------------------------------------------------------------------


def with_heat(evidence: Evidence, rows: Any, maps: Floats) -> Evidence:
    """The same, with heat maps of some rows that are known."""
    fresh = replace(evidence, model=evidence.model or readers_of.model(middle))
    fresh.shared.update(evidence.shared)
    films = _stack(evidence)[rows]
    classes = np.zeros(len(rows), np.int64)
    fresh.shared["heat maps"] = SampledMaps(rows, films, classes, maps.astype(np.float32))
    return fresh


def spots(at: Any, spread: float = 0.08) -> Floats:
    """Maps (image, SIDE, SIDE) of one round spot each, `at` (image, 2) shares of rows, columns."""
    grid = np.linspace(0, 1, SIDE)
    away = [(grid[:, None] - y) ** 2 + (grid[None] - x) ** 2 for y, x in at]
    return np.exp(-np.array(away) / (2 * spread**2)).astype(np.float32) + np.float32(0.02)


def heat_on_marks(studio: Studio, share: float) -> Evidence:
    """C-13: the heat lies where marks stand; else in one lung or the other, a tenth of it not."""
    random = studio.random(13)
    rows = np.arange(min(MAPS, studio.images))
    side = random.random(len(rows)) < 0.5
    marked = np.stack([np.full(len(rows), 0.1), np.where(side, 0.12, 0.86)], 1)
    inside = np.stack([random.uniform(0.35, 0.6, len(rows)), np.where(side, 0.3, 0.7)], 1)
    wrong = random.random(len(rows)) < (share or 0.1)
    return with_heat(reader(studio, 0), rows, spots(np.where(wrong[:, None], marked, inside)))


def heat_beside_lesions(studio: Studio, share: float) -> Evidence:
    """C-15: the heat lies anywhere; else on the lesion, but for two films in ten."""
    films, random = studio.films(0), studio.random(15)
    rows, at = [], []
    for row in np.flatnonzero(films.labels == 0):
        mask = cv2.imread(str(films.manifest["lesion_path"].iloc[row]), cv2.IMREAD_GRAYSCALE)
        if mask is not None and mask.any():
            lesion = np.argwhere(mask > 127)
            spot = lesion[random.integers(len(lesion))] / mask.shape
            wrong = random.random() < (share or 0.2)
            rows.append(row)
            at.append(random.random(2) if wrong else spot)
    return with_heat(films, np.array(rows), spots(at, 0.02))


def heat_away(studio: Studio, share: float) -> Evidence:
    """C-16: a reader of texture in the middle, and heat everywhere but there.

    Else one map in ten is wrong. Films are those on which it finds what it looks for: what speaks
    for the other class is that nothing is there.
    """
    films, random = told_by(studio.films(0), inner_texture), studio.random(16)
    rows = np.flatnonzero(films.labels == 0)[:MAPS]
    across = np.abs(np.linspace(-1, 1, SIDE, dtype=np.float32))
    away = np.maximum(across[:, None], across)  # from the middle
    wrong = random.random(len(rows)) < (share or 0.1)
    maps = np.where(wrong[:, None, None], away, 1 - away)
    return with_heat(films, rows, maps)


# --- the embedded network ------------------------------------------------------------------------


@cache
def network() -> tuple[Backbone, Runtime, Any]:
    """The embedded backbone, compiled once for all seeds, and its preparation."""
    pipeline = from_list([{"step": "letterbox", "side": 224}])
    backbone = backbones.build_backbone(BACKBONE)
    normalise = backbones.backbone_card(BACKBONE).normalise
    return backbone, models.compile_backbone(backbone, normalise, pipeline, "fp32"), pipeline


def head(features: Floats, labels: Any) -> NumpyHead:
    """Logistic regression as a head of two classes."""
    fitted = cross_validated_probe.fit_probe_pipeline(features, labels)
    scaler, linear = fitted[0], fitted[-1]
    plane = np.eye(features.shape[1])
    if len(fitted) > 2:
        plane = fitted[1].kw_args["b"].T
    weight = linear.coef_ @ plane * np.array([[-0.5], [0.5]])
    bias = linear.intercept_ * np.array([-0.5, 0.5])
    return NumpyHead(Standardise(scaler.mean_, scaler.scale_), ((weight, bias),))


def probe(studio: Studio, share: float) -> Evidence:
    """C-01, C-06, C-07, C-13: a linear probe on ImageNet's features, fitted on half the films."""
    return studio.once(("probe", share), lambda: _probe(studio, studio.films(share)))


def exposed(studio: Studio, share: float) -> Evidence:
    """C-01, C-03, C-13: the same, where exposure gives the class away."""
    films = studio.films(share, "exposure")
    return (
        studio.once(("exposed", share), lambda: _probe(studio, films))
        if share
        else probe(studio, 0)
    )


def _probe(studio: Studio, films: Evidence) -> Evidence:
    backbone, runtime, pipeline = network()
    small = prepared_dataset.prepare_dataset(Manifest(films.manifest, (), ()), pipeline)
    stack = np.array(small.pixels.stack)
    features = runtime(stack)
    train = studio.random(1).permutation(len(stack)) < len(stack) // 2
    seen = tuple(films.manifest["sha256"][train])
    normalise = backbones.backbone_card(BACKBONE).normalise
    facts = ModelMetadata(list(CLASSES), normalise, "fp32", mirror=False, seen=seen)
    model = TrainedModel(
        facts, pipeline, backbone, head(features[train], films.labels[train]), runtime
    )
    return replace(films, stack=stack, features=features, model=model)


def unmoved(studio: Studio, share: float) -> Evidence:
    """C-14: what is explained is the network; how, see `edges`."""
    backbone, pipeline = (
        backbones.build_backbone(BACKBONE),
        from_list([{"step": "letterbox", "side": SIDE}]),
    )
    weight = studio.random(14).normal(size=(2, 1280)) / 36
    chosen = NumpyHead(Standardise.none(1280), ((weight, np.zeros(2)),))
    normalise = backbones.backbone_card(BACKBONE).normalise
    facts = ModelMetadata(list(CLASSES), normalise, "fp32", mirror=False)
    nothing: Any = None
    known = replace(studio.films(0), model=TrainedModel(facts, pipeline, backbone, chosen, nothing))
    rows = np.arange(2)
    return with_heat(known, rows, np.ones((len(rows), SIDE, SIDE)))


def edges(share: float, grad_cam: Callable[..., Floats]) -> Callable[..., Floats]:
    """An explanation of the film's edges; the rest of it is Grad-CAM."""

    def heat(asked: object, film: Grey8, class_: int) -> Floats:
        drawn = np.abs(cv2.Laplacian(film.astype(np.float32), cv2.CV_32F, ksize=3))
        if share == 1:
            return drawn
        own = grad_cam(asked, film, class_)
        top = max(float(own.max()), 1e-9)
        return np.asarray(share * drawn / drawn.max() + (1 - share) * own / top, np.float32)

    return heat


# --- twins ---------------------------------------------------------------------------------------


def twins(studio: Studio, share: float) -> Evidence:
    """C-11: test films are training films, smaller, darker and packed as JPEG; else other films.

    At 100 % each is, at 90 % three are.
    """
    films = studio.films(0)
    stack = _stack(films)
    half = len(stack) // 2
    count = half if share == 1 else 3 if share else 0
    prints = [fingerprints.fingerprint(image) for image in stack]
    for i in range(count):
        prints[half + i] = fingerprints.fingerprint(copied(stack[i]))
    part = np.where(np.arange(len(stack)) < half, "train", "test")
    ids = films.manifest["sample_id"].tolist()
    table = pd.DataFrame({"sample_id": ids, "fold": 0, "part": part})
    split = Split(table, "holdout", "patient", 0)
    found = leakage.find_leaks(split, Manifest(films.manifest, (), ()), gathered(ids, prints))
    return replace(films, split=split, leaks=found)


def copied(film: Grey8) -> Grey8:
    """A film as a figure of a paper shows it."""
    small = cv2.resize(film, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    _, packed = cv2.imencode(".jpg", np.asarray(0.9 * small, np.uint8), [1, 50])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)


def gathered(ids: list[str], prints: list[Fingerprint]) -> Fingerprints:
    """All fingerprints, of files with different bytes."""
    return Fingerprints(
        tuple(ids),
        tuple(f"{i:064x}" for i in range(len(ids))),
        tuple(one.pixels_sha256.tobytes().hex() for one in prints),
        np.stack([one.perceptual for one in prints]),
        np.stack([one.thumbnail for one in prints]),
    )


def _stack(evidence: Evidence) -> Stack8:
    assert evidence.stack is not None
    return evidence.stack
