"""Frozen stays frozen: weights and statistics to the bit, unless the statistics are let drift."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hilum import experiment, recipes
from hilum.models import backbones

pytestmark = pytest.mark.usefixtures("few_audits", "no_report")

HEAD = 'name="head", optimiser="adam", epochs=2, batch=4'
WAYS = {
    "cached": (f"train={{stages=[{{{HEAD}}}]}}", ()),
    "every epoch": (f"train={{cache=false, stages=[{{{HEAD}}}]}}", ()),
    "drift": (f'train={{stages=[{{{HEAD}, batch_norm="drift"}}]}}', ("statistics",)),
    "frozen last": (
        f'train={{stages=[{{{HEAD}, trainable="last", batch_norm="frozen"}}]}}',
        ("top.dense",),
    ),
    "pattern": (
        f'train={{stages=[{{{HEAD}, trainable="all", batch_norm="frozen", '
        'freeze=["features", "conv6|norm6"]}]}',
        ("top.dense",),
    ),
}


def silent(name: str):
    return lambda done, total: None


QUICK = ("cached", "pattern")


@pytest.mark.parametrize(
    "way", [way if way in QUICK else pytest.param(way, marks=pytest.mark.slow) for way in WAYS]
)
def test_what_is_frozen_keeps_its_bits(tmp_path: Path, way: str) -> None:
    train, moving = WAYS[way]
    films = '{phantom={images=20, size=64, seed=3, classes=["covid19","normal"]}}'
    changes = [
        'classes=["covid19","normal"]', f"data=[{films}]", "augment.views=0",
        "model={backbone='elazhari_cnn', weights='random', mirror=false}", train,
    ]  # fmt: skip
    experiment.run_recipe(recipes.load_recipe("demo", changes=changes), None, tmp_path, silent)
    after = load_file(tmp_path / "model" / "backbone.safetensors")
    before = backbones.build_backbone("elazhari_cnn", "random", 0).state_dict()
    assert set(after) == set(before)
    counted = {name for name in before if "running_" in name or name.endswith("tracked")}
    assert len(counted) == 12
    changed = {name for name in before if not torch.equal(after[name], before[name])}
    if moving == ("statistics",):
        assert changed == counted
    else:
        assert changed == {name for name in before if any(part in name for part in moving)}
