"""A network with random weights as a model's folder."""

from pathlib import Path

import numpy as np

from hilum import preprocess
from hilum.inference import answer, model_folder
from hilum.inference import model as models
from hilum.inference.model import ModelMetadata
from hilum.models import backbones
from hilum.models.numpy_head import NumpyHead, Standardise

SIDE = 224  # of the network
CLASSES = ["covid19", "normal"]
VERDICT = "Do not trust this classifier yet: it is not reading the lungs."


def save_small_model(folder: Path, film: bytes) -> None:
    """Save a model that was standardised by one film's features."""
    judged = {"verdict": VERDICT, "failed": [], "by": "run", "date": "2026-11-29"}
    facts = ModelMetadata(CLASSES, "imagenet", "fp32", mirror=True, temperature=20.0, judged=judged)
    pipeline = preprocess.from_list([{"step": "resize", "side": SIDE}])
    network = backbones.build_backbone("test_efficientnet", "random")
    engine = models.compile_backbone(network, facts.normalise, pipeline, "fp32")
    features = engine(np.stack([answer.prepare_file(film, pipeline).pixels]))
    weight = np.random.default_rng(1).normal(size=(2, features.shape[1]))
    head = NumpyHead(Standardise.of(features), ((weight, np.zeros(2)),))
    model = models.compile_model(facts, pipeline, network, head)
    model_folder.save_trained_model(model, folder)
