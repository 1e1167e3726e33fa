"""Weights that others trained on chest radiographs, in the layouts in which they publish them."""

import importlib.util
import io
import os
import pickle
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hilum.models import networks, normalise, torchvision_compat, weights
from hilum.models.backbone import Backbone
from hilum.models.cards import BACKBONES
from hilum.types import HilumError, MissingError

torchvision_compat.timm()  # makes torchvision importable
XRV = BACKBONES["xrv_densenet121"]
# the same network with two layers in each block
BLOCKS = (2, 2, 2, 2)
SMALL = replace(XRV, features=128, options=(("block_config", BLOCKS),))


def randomised(network: nn.Module) -> nn.Module:
    """Statistics and scales unlike those that a new network has, so that no layer is a no-op."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.dtype.is_floating_point and tensor.ndim == 1:
                noise = torch.rand(tensor.shape, generator=generator)
                tensor.copy_(noise * 0.5 + 0.75 if "var" in name or "weight" in name else noise)
    return network.eval()


@pytest.fixture(scope="module")
def densenet() -> Iterator[nn.Module]:
    """torchxrayvision's class by its published description, under its name while it is pickled.

    torchvision's DenseNet for one grey channel and 18 findings, with a buffer of thresholds.
    """
    from torchvision.models import DenseNet

    class Stand(DenseNet):
        def __init__(self) -> None:
            super().__init__(block_config=BLOCKS, num_classes=18)
            self.features.conv0 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
            self.register_buffer("op_threshs", torch.full((18,), 0.5))

    Stand.__name__ = Stand.__qualname__ = "DenseNet"
    Stand.__module__ = "torchxrayvision.models"
    module: Any = ModuleType("torchxrayvision.models")
    module.DenseNet = Stand
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torchxrayvision", ModuleType("torchxrayvision"))
        patch.setitem(sys.modules, "torchxrayvision.models", module)
        torch.manual_seed(0)
        yield randomised(Stand())


def grey(count: int = 2, side: int = 64) -> Tensor:
    """Films (image, 1, row, column) in 0..255."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 1, side, side), generator=generator, dtype=torch.uint8)


def xrv_input(films: Tensor) -> Tensor:
    """torchxrayvision's own normalisation of films of 8 bits."""
    return (2 * (films.float() / 255) - 1) * 1024


def features_of(path: Path, films: Tensor) -> Tensor:
    found = weights.read_weights(SMALL, path)
    backbone = Backbone(SMALL, found.without_state()).eval()
    backbone.net.load_state_dict({name: found.state[name] for name in backbone.net.state_dict()})
    with torch.inference_mode():
        features: Tensor = backbone(normalise.InputNormalisation(XRV.normalise)(films))
    return features


@pytest.mark.filterwarnings("ignore:Couldn.t retrieve source code")
def test_a_whole_pickled_model_gives_the_features_of_its_own_class(
    densenet: Any, tmp_path: Path
) -> None:
    films = grey()
    with torch.inference_mode():
        maps = torch.relu(densenet.features(xrv_input(films)))
    wanted = maps.mean((2, 3))
    for name, old in (("zip", False), ("before_torch_1.6", True)):
        path = tmp_path / f"{name}.pt"
        torch.save(densenet, path, _use_new_zipfile_serialization=not old)
        with pytest.MonkeyPatch.context() as patch:  # the class is on no reader's machine
            patch.delitem(sys.modules, "torchxrayvision.models")
            patch.delitem(sys.modules, "torchxrayvision")
            torch.testing.assert_close(features_of(path, films), wanted, rtol=1e-4, atol=1e-4)
            found = weights.read_weights(SMALL, path)
        assert found.ignored == ("classifier.bias", "classifier.weight", "op_threshs")


def test_a_state_dictionary_says_the_same(densenet: nn.Module, tmp_path: Path) -> None:
    torch.save(densenet.state_dict(), tmp_path / "state.pt")
    torch.save(densenet, tmp_path / "whole.pt")
    digests = {
        weights.read_weights(SMALL, tmp_path / f"{name}.pt").digest for name in ("state", "whole")
    }
    assert len(digests) == 1


def test_nothing_of_a_pickled_model_is_run(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {tmp_path / 'run'}",)

    for content in (Hostile(), {"state_dict": Hostile()}, [Hostile()]):
        path = tmp_path / "hostile.pt"
        torch.save(content, path)
        with pytest.raises(HilumError, match=r"must (hold a dict|be a checkpoint).*save "):
            weights.read_weights(SMALL, path)
        stream = io.BytesIO(pickle.dumps(content))
        path.write_bytes(stream.getvalue())
        with pytest.raises(HilumError):
            weights.read_weights(SMALL, path)
    assert not (tmp_path / "run").exists()


def test_weights_of_colours_are_refused(densenet: nn.Module, tmp_path: Path) -> None:
    state = densenet.state_dict()
    state["features.conv0.weight"] = torch.ones(64, 3, 7, 7)
    torch.save(state, tmp_path / "imagenet.pth")
    with pytest.raises(HilumError, match=r"one grey channel; got .* for 3; take backbone densenet"):
        weights.read_weights(SMALL, tmp_path / "imagenet.pth")


@pytest.mark.slow
def test_names_and_shapes_are_those_of_the_whole_network() -> None:
    from torchvision.models import densenet121

    with torch.device("meta"):
        theirs = {name: it.shape for name, it in densenet121(num_classes=18).state_dict().items()}
    ours = {name: tensor.shape for name, tensor in networks.outline(XRV).state_dict().items()}
    assert ours == {name: it for name, it in theirs.items() if not name.startswith("classifier.")}


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "program.pt"
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), path)
    with pytest.raises(HilumError, match=r"must be a checkpoint that holds tensors alone; got: .*"):
        weights.read_weights(SMALL, path)


def test_names_of_torchxrayvision_lead_to_its_own_folder(
    densenet: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "release_folder", lambda: tmp_path)
    with pytest.raises(
        MissingError, match=r"'nih' .*download https://.*/nih-densenet121.*\.pt"
    ) as e:
        weights.load_weights(XRV, "nih")
    assert e.value.exit_code == 3
    with pytest.raises(MissingError, match=r"'all' of xrv_densenet121 .*nih-pc-chex-mimic_ch"):
        weights.load_weights(XRV, "imagenet")
    torch.save(densenet, tmp_path / XRV.names["nih"])
    assert weights.load_weights(SMALL, "nih").licence == "Apache-2.0"
    assert [path.name for path, _ in weights.at_hand(XRV)] == [XRV.names["nih"]]


def test_pixels_are_those_of_torchxrayvision() -> None:
    films = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    ours = normalise.InputNormalisation("xrv")(films)
    np.testing.assert_allclose(ours[:, :1], xrv_input(films), atol=2e-4)
    assert ours.min() == -1024
    assert ours.max() == pytest.approx(1024)


@pytest.mark.skipif(
    importlib.util.find_spec("torchxrayvision") is None,
    reason="torchxrayvision is not installed",
)
def test_the_class_of_torchxrayvision_itself(tmp_path: Path) -> None:
    from torchxrayvision.models import DenseNet  # type: ignore[import-not-found]

    torch.manual_seed(2)
    theirs = randomised(DenseNet(block_config=BLOCKS))
    torch.save(theirs, tmp_path / "model.pt")
    films = grey(side=224)
    with torch.inference_mode():
        wanted = theirs.features2(xrv_input(films))  # type: ignore[operator]
    torch.testing.assert_close(
        features_of(tmp_path / "model.pt", films), wanted, rtol=1e-4, atol=1e-4
    )
