"""Every network of the table exports, and ONNX Runtime and OpenVINO compute what torch does."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

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

DOCS = Path(__file__).resolve().parents[2] / "docs" / "export.md"
# chest networks are others of the table or of BEYOND again, or too large to export in a test
TABLE = [name for name, row in BACKBONES.items() if not row.layout]
QUICK = {"elazhari_cnn"}
NO_HEAT = {"elazhari_cnn", "wiklund_cnn", "wiklund_fc"}  # the last has no map either
CERTAIN = 0.99  # a probability above which hardly anything moves it
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
    every = [*TABLE, *BEYOND]
    assert len(every) == 19
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in every]


@dataclass(frozen=True, slots=True)
class CardExport:
    """What came of one network's export."""

    change: float  # largest, of a probability, by any engine
    outputs: list[str]
    size: int  # bytes of model.onnx

    @property
    def heat(self) -> str:
        """The word of the documentation's table."""
        if "map" not in self.outputs:
            return "no map"
        return "yes" if "heat" in self.outputs else "map alone"

    def line(self, name: str) -> str:
        """A row of the documentation's table."""
        megabytes = f"{self.size / 1e6:.1f} MB"
        return f"| `{name}` | {self.change:.1e} | {self.heat} | {megabytes} |"


def export_card(name: str, folder: Path) -> CardExport:
    """Export a network of random weights; every engine's answers beside torch's."""
    card = backbones.backbone_card(name)
    backbone = backbones.build_backbone(name, "random")
    pipeline = preprocess.from_list([{"step": "resize", "side": card.side}])
    facts = ModelMetadata(CLASSES, card.normalise, "fp32", mirror=True)
    stack = noise(card.side)
    with torch.no_grad():
        normalised = InputNormalisation(card.normalise)(torch.from_numpy(stack[:, None]))
        both = (normalised, normalised.flip(-1))  # features of random weights depend much on it
        head = head_for(np.concatenate([backbone(view).numpy() for view in both]))
    graph = ExportGraph(TrainedModel(facts, pipeline, backbone, head, Absent())).eval()
    path = onnx_file.write(onnx_file.to_onnx(graph, pipeline.shape), folder / "model.onnx")
    want = np.exp(engines.torch_rows(graph)(stack))
    assert want.shape == (3, len(CLASSES))
    assert want.max() < CERTAIN, "probabilities of 0 and 1 would hide what an engine changes"
    assert np.ptp(want, axis=0).max() > 1 - CERTAIN, "the network does not see the images"
    changes = []
    for rows in (engines.onnxruntime_rows(path), engines.openvino_rows(path)):
        changes.append(np.abs(np.exp(rows(stack)) - want).max())
        one_by_one = np.exp(np.concatenate([rows(image[None]) for image in stack]))
        changes.append(np.abs(one_by_one - want).max())
    return CardExport(float(max(changes)), graph.names, path.stat().st_size)


def documented() -> dict[str, list[str]]:
    """Network -> its largest change, heat map and size in the documentation."""
    lines = [line for line in DOCS.read_text().splitlines() if line.endswith(" MB |")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name.strip("`"): cells for name, *cells in rows if name.startswith("`")}


@pytest.mark.parametrize("name", names())
def test_a_network_of_random_weights_exports(name: str, tmp_path: Path) -> None:
    result = export_card(name, tmp_path)
    assert result.change < 1e-4
    if name in TABLE:
        assert ("heat" in result.outputs) == (name not in NO_HEAT)
    change, heat, size = documented()[name]
    assert float(change) < 1e-4
    assert heat == result.heat
    megabytes = float(size.removesuffix(" MB"))
    assert megabytes == pytest.approx(result.size / 1e6, abs=0.1, rel=0.01)


def test_the_table_has_every_network() -> None:
    table = documented()
    assert list(table) == [*TABLE, *BEYOND]
    assert all(float(change) > 0 for change, _, _ in table.values())


if __name__ == "__main__":  # the table of docs/export.md
    for every in (*TABLE, *BEYOND):
        with TemporaryDirectory() as place:
            print(export_card(every, Path(place)).line(every), flush=True)  # noqa: T201
