"""Films and a model for tests of batches in shards, and the processes of a command."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from hilum import preprocess
from hilum.inference import model as models
from hilum.inference import model_folder, new_source, ood
from hilum.inference.model import ModelMetadata
from hilum.models import backbones
from hilum.models.numpy_head import NumpyHead, Standardise

SIDE = 64  # of what the model sees


def drawn(seed: int) -> np.ndarray:
    """(height, width) of waves and noise."""
    y, x = np.mgrid[0:96, 0:80]
    noise = np.random.default_rng(seed).normal(0, 9, (96, 80))
    return np.clip(90 + 60 * np.sin(x / (3 + seed % 7)) + y / 3 + noise, 0, 255).astype(np.uint8)


def save_model(folder: Path, seen: str) -> None:
    """Random weights; the films of others are its training."""
    facts = ModelMetadata(["covid19", "normal"], "unit", "fp32", mirror=True, temperature=9.0)
    facts = replace(facts, seen=(seen,), conformal={"covid19": 0.45, "normal": 0.45})
    origin = {"cell": "main", "fold": 0, "seed": 0, "images": 100, "engine": "openvino"}
    facts = replace(facts, provenance=origin)
    pipeline = preprocess.from_list([{"step": "resize", "side": SIDE}])
    network = backbones.build_backbone("test_efficientnet", "random")
    engine = models.compile_backbone(network, facts.normalise, pipeline, "fp32")
    known = engine(np.stack([pipeline(255 - drawn(number)) for number in range(200, 300)]))
    weight = np.random.default_rng(1).normal(size=(2, known.shape[1]))
    asked = engine(np.stack([pipeline(drawn(number)) for number in range(20)]))
    head = NumpyHead(Standardise.of(asked), ((weight, np.zeros(2)),))
    poses = dict.fromkeys(ood.POSES, known[50:] + 1.0)
    gate = replace(ood.fit_detector(known[:50], poses, known[50:]), far=1.0, turned=0.999999)
    groups = [("a", "covid19"), ("b", "normal")] * 25
    sources = new_source.fit_reference(known[:50], known[50:], groups, [str(i) for i in range(50)])
    model = models.compile_model(facts, pipeline, network, head)
    model_folder.save_trained_model(replace(model, gate=gate, sources=sources), folder)
