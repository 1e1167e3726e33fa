"""Small models of every kind that a folder can hold, made without training."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np

from hilum import phantom, preprocess
from hilum.inference import model as models
from hilum.inference import ood
from hilum.inference.model import ModelMetadata, TrainedModel
from hilum.models.backbones import Backbone
from hilum.models.numpy_head import NumpyHead, Standardise
from hilum.types import Floats, Stack8

SIDE = 96
CLASSES = ["covid19", "normal", "pneumonia"]
SMALL = "test_efficientnet"  # of timm's own tests: 0.4 million weights


def stack_of(films: phantom.Phantom, side: int = SIDE, panels: int = 1) -> Stack8:
    """Prepared films (image, height, width)."""
    pipeline = preprocess.from_list([{"step": "resize", "side": side}])
    stack = np.stack([pipeline(film) for film in films.images])
    return np.concatenate([stack, stack[:, ::-1]], 1) if panels > 1 else stack


def head_for(features: Floats, hidden: int = 0, positions: int = 1) -> NumpyHead:
    """A head of random weights that standardises its features (image, feature)."""
    random = np.random.default_rng(0)
    widths = [features.shape[1] // positions, *([hidden] if hidden else []), len(CLASSES)]
    layers = tuple(
        (random.normal(size=(after, before)) / before**0.5, random.normal(size=after) / 9)
        for before, after in pairwise(widths)
    )
    return NumpyHead(Standardise.of(features), layers, positions)


def model_of(
    backbone: Backbone,
    stack: Stack8,
    *,
    hidden: int = 0,
    positions: int = 1,
    mirror: bool = True,
) -> TrainedModel:
    """A model with gate, bounds and a temperature, all from prepared films."""
    side = stack.shape[2]
    step = "resize" if stack.shape[1] == side else "film_and_lungs"
    pipeline = preprocess.from_list([{"step": step, "side": side}])
    name = backbone.card.normalise
    provenance = {"recipe": "", "cell": "main", "fold": 0, "seed": 0, "images": 90, "engine": ""}
    facts = ModelMetadata(CLASSES, name, "fp32", mirror, temperature=1.7, provenance=provenance)
    engine = models.compile_backbone(backbone, name, pipeline, "fp32")
    features = engine(stack)
    head = head_for(features, hidden, positions)
    bare = TrainedModel(facts, pipeline, backbone, head, engine)
    shape = (side, stack.shape[1])
    turned = {
        pose: engine(np.stack([cv2.resize(ood.posed(film, pose), shape) for film in stack[:20]]))
        for pose in ood.POSES
    }
    gate = ood.fit_detector(features[:60], turned, features[60:])
    p = bare.probabilities(stack)
    bounds = {name: float(np.quantile(p[:, i], 0.6)) for i, name in enumerate(CLASSES)}
    return replace(bare, gate=gate, facts=replace(facts, conformal=bounds, thresholds=bounds))


def quiet(step: str) -> Callable[[int, int], None]:
    """Progress that nobody sees."""
    return lambda done, total: None
