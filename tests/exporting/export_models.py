"""Small models of every kind that a folder can hold, made without training."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from hilum import phantom, preprocess
from hilum.inference import model as models
from hilum.inference import ood
from hilum.inference.model import ModelMetadata, TrainedModel
from hilum.models.backbones import Backbone
from hilum.models.numpy_head import NumpyHead, Standardise
from hilum.types import Stack8

SIDE = 96
CLASSES = ["covid19", "normal", "pneumonia"]
SMALL = "test_efficientnet"  # of timm's own tests: 0.4 million weights


def stack_of(films: phantom.Phantom, side: int = SIDE, panels: int = 1) -> Stack8:
    """Prepared films (image, height, width)."""
    pipeline = preprocess.from_list([{"step": "resize", "side": side}])
    stack = np.stack([pipeline(film) for film in films.images])
    return np.concatenate([stack, stack[:, ::-1]], 1) if panels > 1 else stack


def head_for(features: int, hidden: int = 0, positions: int = 1, seed: int = 0) -> NumpyHead:
    """A head of random weights that standardises its features."""
    random = np.random.default_rng(seed)
    spread = random.uniform(0.5, 2, features)
    widths = [features // positions, *([hidden] if hidden else []), len(CLASSES)]
    layers = tuple(
        (random.normal(size=(after, before)) / before**0.5, random.normal(size=after))
        for before, after in pairwise(widths)
    )
    return NumpyHead(Standardise(random.normal(size=features) / 9, spread), layers, positions)


def model_of(
    backbone: Backbone, head: NumpyHead | None, stack: Stack8, *, mirror: bool = True
) -> TrainedModel:
    """A model with gate, bounds and a temperature, all from prepared films."""
    side = stack.shape[2]
    steps = [{"step": "resize", "side": side}]
    if stack.shape[1] > side:
        steps = [{"step": "film_and_lungs", "side": side}]
    pipeline = preprocess.from_list(steps)
    name = backbone.card.normalise
    facts = ModelMetadata(CLASSES, name, "fp32", mirror, temperature=1.7)
    engine = models.compiled(backbone, name, pipeline, "fp32")
    features = engine(stack)
    head = head or head_for(features.shape[1])
    bare = TrainedModel(facts, pipeline, backbone, head, engine)
    turned = {
        pose: engine(np.stack([ood.posed(film, pose) for film in stack[:20]])) for pose in ood.POSES
    }
    gate = ood.fit(features[:60], turned, features[60:])
    p = bare.probabilities(stack)
    bounds = {name: float(np.quantile(p[:, i], 0.6)) for i, name in enumerate(CLASSES)}
    return replace(bare, gate=gate, facts=replace(facts, conformal=bounds, thresholds=bounds))


def quiet(step: str) -> Callable[[int, int], None]:
    """Progress that nobody sees."""
    return lambda done, total: None
