"""Every network of the table exports, and ONNX Runtime and OpenVINO compute what torch does."""

from pathlib import Path

import numpy as np
import pytest
import torch
from export_models import CLASSES, head_for

from hilum import preprocess
from hilum.exporting import engines, onnx_file
from hilum.exporting.graph import ExportGraph
from hilum.inference.model import ModelMetadata, TrainedModel
from hilum.models import backbones
from hilum.models.backbones import BACKBONES
from hilum.models.normalise import InputNormalisation
from hilum.models.runtime.base import Runtime, RuntimeInfo
from hilum.types import Grey8

QUICK = {"resnet18", "elazhari_cnn"}
NO_HEAT = {"elazhari_cnn", "wiklund_cnn", "wiklund_fc"}  # the last has no map either
BEYOND = ("vit_tiny_patch16_224", "convnext_atto")  # of timm, without a row


class Absent(Runtime):
    """Stands where a compiled network is: the graph is made of the torch module alone."""

    facts = RuntimeInfo("none", "cpu", "fp32", (0, 0), 0)

    def _fill(self, images: object, out: object, progress: object) -> int:
        raise NotImplementedError


def noise(side: int) -> Grey8:
    """Three images (image, side, side): black to white, smooth to rough."""
    random = np.random.default_rng(1)
    images = [random.integers(0, 256, (side // n + 1,) * 2, dtype=np.uint8) for n in (1, 8, 32)]
    return np.stack(
        [
            np.kron(x, np.ones((n, n), np.uint8))[:side, :side]
            for x, n in zip(images, (1, 8, 32), strict=True)
        ]
    )


def names() -> list[object]:
    """The quick ones, and all others as slow."""
    every = [*BACKBONES, *BEYOND]
    assert len(every) == 18
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in every]


@pytest.mark.parametrize("name", names())
def test_a_network_of_random_weights_exports(name: str, tmp_path: Path) -> None:
    card = backbones.backbone_card(name)
    backbone = backbones.build_backbone(name, "random")
    pipeline = preprocess.from_list([{"step": "resize", "side": card.side}])
    facts = ModelMetadata(CLASSES, card.normalise, "fp32", mirror=True)
    stack = noise(card.side)
    with torch.no_grad():
        seen = InputNormalisation(card.normalise)(torch.from_numpy(stack[:, None]))
        head = head_for(backbone(seen).numpy())
    model = TrainedModel(facts, pipeline, backbone, head, Absent())
    graph = ExportGraph(model).eval()
    if name in BACKBONES:
        assert ("heat" in graph.names) == (name not in NO_HEAT)
    path = onnx_file.write(onnx_file.to_onnx(graph, pipeline.shape), tmp_path / "model.onnx")
    want = np.exp(engines.torch_rows(graph)(stack))
    assert want.shape == (3, len(CLASSES))
    for rows in (engines.onnxruntime_rows(path), engines.openvino_rows(path)):
        assert np.abs(np.exp(rows(stack)) - want).max() < 1e-4
        one = np.exp(np.concatenate([rows(image[None]) for image in stack]))
        assert np.abs(one - want).max() < 1e-4
