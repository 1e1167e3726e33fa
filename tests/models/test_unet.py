"""The U-Net: shapes, storage, what its digest hangs on, and where its encoder comes from."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hilum.models import backbones
from hilum.models.runtime import compiling
from hilum.models.runtime.base import Target
from hilum.preprocess.lungs import unet
from hilum.types import HilumError, MissingError

SMALL = unet.UnetConfig(widths=(16, 16, 8, 8), side=64)


@pytest.fixture(scope="module")
def network() -> unet.UNet:
    return unet.build_unet(SMALL).eval()


def test_one_logit_per_pixel(network: unet.UNet) -> None:
    pixels = torch.randint(0, 256, (2, 1, 64, 96), dtype=torch.uint8)
    with torch.no_grad():
        assert network(pixels).shape == (2, 1, 64, 96)
        flat = unet.Flat(network)(pixels)
    assert flat.shape == (2, 64 * 96)
    assert flat.min() >= 0
    assert flat.max() <= 1


def test_the_encoder_is_the_backbones_and_only_that_deep(network: unet.UNet) -> None:
    """The coarsest map equals timm's own network's after its fifth group of blocks."""
    whole = backbones.build_backbone("tf_efficientnet_lite0").net
    pixels = torch.randint(0, 256, (1, 1, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        x = network.normalise(pixels)
        found = network.encoder(x)
        mine = whole.bn1(whole.conv_stem(x))
        for blocks in whole.blocks[:5]:
            mine = blocks(mine)
    torch.testing.assert_close(found[-1], mine)
    assert [64 // maps.shape[2] for maps in found] == [2, 4, 8, 16]
    assert len(network.encoder.blocks) == 5


def test_stored_in_half_read_in_full(network: unet.UNet, tmp_path: Path) -> None:
    path = unet.save_unet(network, tmp_path / "lungs.safetensors")
    again = unet.load_unet(path)
    assert again.facts == SMALL
    assert unet.unet_digest(again) == unet.unet_digest(network)
    kinds = {tensor.dtype for tensor in load_file(path).values()}
    assert kinds == {torch.float16}
    pixels = torch.randint(0, 256, (1, 1, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(again(pixels), network(pixels), atol=0.05, rtol=0)
    assert path.stat().st_size < 2.2 * sum(p.numel() for p in network.parameters())


def test_the_digest_hangs_on_all_that_decides_the_mask(network: unet.UNet, tmp_path: Path) -> None:
    first = unet.unet_digest(network)
    other = unet.load_unet(unet.save_unet(network, tmp_path / "a.safetensors"))
    with torch.no_grad():
        other.out.bias += 1
    assert unet.unet_digest(other) != first
    third = unet.with_facts(unet.load_unet(tmp_path / "a.safetensors"), threshold=0.4)
    assert unet.unet_digest(third) != first


def test_the_executor_gives_what_torch_gives(network: unet.UNet) -> None:
    engine = compiling.compile_network(unet.Flat(network), (64, 64), Target("fp32", "cpu"))
    stack = np.random.default_rng(0).integers(0, 256, (3, 64, 64), np.uint8)
    with torch.no_grad():
        expected = unet.Flat(network)(torch.from_numpy(stack)[:, None]).numpy()
    np.testing.assert_allclose(engine(stack), expected, atol=1e-4)


def test_building_draws_from_its_own_seed() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, two, three = (unet.build_unet(SMALL, "random", seed).out.weight for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one, two)
    assert not torch.equal(one, three)


def test_other_encoders_serve_as_well() -> None:
    network = unet.build_unet(unet.UnetConfig("resnet18", widths=(16, 16, 8, 8)), "random").eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 1, 64, 64, dtype=torch.uint8)).shape == (1, 1, 64, 64)


@pytest.mark.parametrize("encoder", ["elazhari_cnn", "vit_tiny_patch16_224"])
def test_encoders_without_four_maps_are_refused(encoder: str) -> None:
    with pytest.raises(HilumError, match="strides 2 to 16"):
        unet.build_unet(unet.UnetConfig(encoder), "random")


def test_widths_fit_the_maps() -> None:
    with pytest.raises(HilumError, match="needs 4 widths"):
        unet.build_unet(unet.UnetConfig(widths=(8, 8)), "random")


def test_files_that_are_none_of_ours(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="does not exist"):
        unet.load_unet(tmp_path / "absent.safetensors")
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"\x00" * 64)
    with pytest.raises(HilumError, match="as hilum writes it"):
        unet.load_unet(bad)
