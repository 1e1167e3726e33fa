"""A small model, its folder and its export."""

from pathlib import Path

import pytest
from export_models import CLASSES, SIDE, SMALL, model_of, quiet, stack_of

from hilum import phantom
from hilum.inference import model as models
from hilum.inference.model import TrainedModel
from hilum.models import backbones


@pytest.fixture(scope="session")
def films() -> phantom.Phantom:
    """90 small films of three classes."""
    return phantom.generate(
        phantom.Request(images=90, size=SIDE, seed=3, classes=tuple(CLASSES), signal=1.0)
    )


@pytest.fixture(scope="session")
def small(films: phantom.Phantom) -> TrainedModel:
    """A small convolutional network and a linear head."""
    return model_of(backbones.build_backbone(SMALL, "random"), stack_of(films))


@pytest.fixture(scope="session")
def folder(small: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder."""
    return models.save_trained_model(small, tmp_path_factory.mktemp("small") / "model")


@pytest.fixture(scope="session")
def exported(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same exported as ONNX in fp32, proven on the phantom; do not change it."""
    from hilum.exporting.export import ExportRequest, export

    out = tmp_path_factory.mktemp("exports") / "onnx"
    return export(folder, out, ExportRequest(), quiet).folder
