"""A small model, its folder and its export."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from export_models import CLASSES, SIDE, SMALL, model_of, quiet, stack_of

from hilum import phantom
from hilum.inference import model_folder
from hilum.inference.model import TrainedModel
from hilum.models import backbones

if TYPE_CHECKING:
    import onnx

    from hilum.exporting.proof_images import ProofImages


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
    return model_folder.save_trained_model(small, tmp_path_factory.mktemp("small") / "model")


@pytest.fixture(scope="session")
def proof_films(small: TrainedModel) -> "ProofImages":
    """The phantom's films of a proof, as small as the network's."""
    from hilum.exporting import proof_images

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proof_images, "PHANTOM_SIDE", SIDE)
        return proof_images.of_phantom(CLASSES, small.pipeline, quiet("phantom"))


@pytest.fixture(scope="session")
def exported(
    folder: Path, proof_films: "ProofImages", tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The same exported as ONNX in fp32, proven on the phantom; do not change it."""
    from hilum.exporting import proof_images
    from hilum.exporting.export import ExportRequest, export

    out = tmp_path_factory.mktemp("exports") / "onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proof_images, "of_phantom", lambda *_: proof_films)
        return export(folder, out, ExportRequest(), quiet).folder


@pytest.fixture
def translated_once(
    exported: Path, proof_films: "ProofImages", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exports of the small model start from the graph and films of the first one."""
    import onnx

    from hilum.exporting import onnx_file, proof_images

    def to_onnx(graph: object, shape: object) -> "onnx.ModelProto":
        return onnx.load(exported / "model.onnx")

    monkeypatch.setattr(onnx_file, "to_onnx", to_onnx)
    monkeypatch.setattr(proof_images, "of_phantom", lambda *_: proof_films)
