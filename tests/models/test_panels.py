"""A film and its lungs, one below the other: each picture has averages of its own."""

import numpy as np
import pytest
import torch
from torch import nn

from hilum import recipes
from hilum.experiment import validate
from hilum.models import backbones
from hilum.models.normalise import InputNormalisation
from hilum.models.runtime.compiling import Target, compile_network
from hilum.types import HilumError

SIDE = 64  # two rows of places in the last map


def pairs(count: int = 3) -> torch.Tensor:
    random = np.random.default_rng(3)
    small = torch.from_numpy(random.random((count, 1, 8, 4), np.float32))
    smooth = nn.functional.interpolate(small, (2 * SIDE, SIDE), mode="bicubic").clamp(0, 1)
    return (smooth * 255).to(torch.uint8)


@pytest.mark.parametrize("pool", ["average", "stages"])
def test_each_picture_is_seen_by_itself(pool: backbones.Pool) -> None:
    alone = backbones.build_backbone("resnet18", "random", pool=pool)
    double = backbones.with_panels(alone, 2)
    seen = InputNormalisation("imagenet")(pairs())
    with torch.no_grad():
        found = double(seen)
        wanted = torch.cat([alone(half) for half in seen.chunk(2, 2)], 1)
        maps = double.maps(seen)
        torch.testing.assert_close(double.from_maps(maps), found)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(maps[:, :, 2:], alone.maps(seen[:, :, SIDE:]))


def test_record_and_compiled_network_keep_the_panels() -> None:
    first = backbones.with_panels(backbones.build_backbone("resnet18", "random", pool="stages"), 2)
    again = backbones.rebuild_backbone(first.record(), first.state_dict())
    assert again.panels == 2
    films = pairs().numpy()[:, 0]
    with torch.no_grad():
        wanted = first(InputNormalisation("imagenet")(torch.from_numpy(films)[:, None]))
    engine = compile_network(
        nn.Sequential(InputNormalisation("imagenet"), again), (2 * SIDE, SIDE), Target("fp32")
    )
    np.testing.assert_allclose(engine(films), wanted.numpy(), rtol=1e-3, atol=1e-3)
    assert "panels" not in backbones.build_backbone("resnet18", "random").record()


def test_networks_without_averaged_maps_are_refused() -> None:
    for name, pool in (("resnet18", "flatten"), ("wiklund_fc", "average")):
        with pytest.raises(HilumError, match="2 pictures of a film need"):
            backbones.with_panels(backbones.build_backbone(name, "random", pool=pool), 2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"augment": {"views": 2}}, "got 2 views"),
        ({"train": {"stages": [{"trainable": "all", "optimiser": "adamw"}]}}, r"\['all'\]"),
        ({"model": {"pool": "flatten"}}, "got pool 'flatten'"),
        ({"model": {"backbone": "swin_tiny_patch4_window7_224"}}, "got pool 'average' of 'swin"),
    ],
)
def test_a_recipe_that_would_mix_the_pictures_is_refused(
    changes: dict[str, object], words: str
) -> None:
    tree = {
        "name": "pair",
        "data": [{"path": "."}],
        "prepare": {"steps": [{"step": "film_and_lungs"}]},
        **changes,
    }
    with pytest.raises(HilumError, match=f"prepare.panels.*{words}"):
        validate.check_recipe(recipes.parse_recipe(tree))
