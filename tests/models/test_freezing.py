"""Freezing: what is frozen keeps every bit through optimiser steps, and rules are checked."""

import copy

import pytest
import torch
from torch import nn

from hilum.models import freezing, heads
from hilum.models.backbones import BACKBONES, Backbone
from hilum.models.weights import Weights
from hilum.types import HilumError


def network() -> nn.Sequential:
    layers = nn.Sequential()
    layers.add_module("conv", nn.Conv2d(3, 4, 3))
    layers.add_module("norm", nn.BatchNorm2d(4))
    layers.add_module("pool", nn.AdaptiveAvgPool2d(1))
    layers.add_module("flat", nn.Flatten())
    layers.add_module("head", nn.Linear(4, 2))
    return layers


def steps(module: nn.Module, count: int = 3) -> dict[str, torch.Tensor]:
    """State before, then a few optimiser steps as any loop makes them."""
    before = copy.deepcopy(module.state_dict())
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.AdamW(
        [p for p in module.parameters() if p.requires_grad], lr=0.1, weight_decay=0.1
    )
    for _ in range(count):
        module.train()
        optimiser.zero_grad()
        module(torch.randn(8, 3, 6, 6, generator=generator)).square().sum().backward()
        optimiser.step()
    return before


def changed(module: nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {
        name for name, value in module.state_dict().items() if not torch.equal(value, before[name])
    }


HEAD = {"head.weight", "head.bias"}
STATISTICS = {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}
AFFINE = {"norm.weight", "norm.bias"}
RULES: list[freezing.Rule] = [("^head", "train"), ("", "freeze")]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("frozen", HEAD), ("drift", HEAD | STATISTICS), ("train", HEAD | STATISTICS | AFFINE)],
)
def test_only_what_may_change_changes(mode: freezing.BatchNormMode, expected: set[str]) -> None:
    module = network()
    outcome = freezing.apply_rules(module, RULES, mode)
    before = steps(module)
    assert changed(module, before) == expected
    names = {name for name, _ in module.named_parameters()}
    assert set(outcome.trained) | set(outcome.frozen) == names
    assert set(outcome.trained) == expected - STATISTICS
    assert outcome.fixed_statistics == (("norm",) if mode == "frozen" else ())


def test_layers_that_train_are_never_held() -> None:
    module = network()
    freezing.apply_rules(module, [("", "train")], "frozen")
    assert changed(module, steps(module)) == set(module.state_dict())


def test_a_second_call_starts_afresh_and_copies_keep_the_hold() -> None:
    module = network()
    freezing.apply_rules(module, RULES, "frozen")
    twin = copy.deepcopy(module)
    assert changed(twin, steps(twin)) == HEAD
    freezing.apply_rules(twin, [("", "train")], "frozen")
    assert changed(twin, steps(twin)) == set(twin.state_dict())
    assert changed(module, steps(module)) == HEAD


@pytest.mark.parametrize(
    ("rules", "mode", "sentence"),
    [
        ([("^head", "train")], "frozen", r"none for 'conv.weight'"),
        ([("^haed", "train"), ("", "freeze")], "frozen", r"'\^haed', which matches none"),
        ([("", "melt")], "frozen", r"got 'melt'"),
        ([("(", "train")], "frozen", r"regular expression; got '\('"),
        ([("", "train")], "eval", r"BatchNorm is one of frozen, drift, train; got 'eval'"),
    ],
)
def test_bad_rules_are_refused_in_one_sentence(rules: list, mode: str, sentence: str) -> None:
    with pytest.raises(HilumError, match=sentence):
        freezing.apply_rules(network(), rules, mode)


def test_first_match_wins() -> None:
    got = freezing.resolve(["a.weight", "b.weight"], [("^a", "freeze"), ("weight", "train")])
    assert got == {"a.weight": "freeze", "b.weight": "train"}


def test_stage_rules_name_whole_modules() -> None:
    card = BACKBONES["resnet18"]
    rules = freezing.last_stages(card, 1)
    names = ["net.conv1.weight", "net.layer1.0.conv1.weight", "x.net.layer3.0.bn1.bias"]
    names += ["net.layer2.0.bn1.bias", "net.layer4.0.conv1.weight", "head.weight"]
    got = freezing.resolve(names, rules)
    assert [got[n] for n in names] == ["freeze"] * 4 + ["train"] * 2
    with pytest.raises(HilumError, match="5 stages; got 6"):
        freezing.last_stages(card, 6)


def whole(name: str, pool: str = "average", head: str = "linear", classes: int = 4) -> nn.Module:
    """Backbone and head with shapes only."""
    with torch.device("meta"):
        backbone = Backbone(BACKBONES[name], Weights({}, "", "", ""), pool).eval()
        width = backbone(torch.zeros(1, 3, 224, 224)).shape[1]
        top = heads.build_head(heads.HEADS[head], backbone.shape(width), classes)
        return nn.Sequential(backbone, top)


def trained(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("images", "similarity", "what"),
    [
        (100_000, "far", "every layer"),
        (100_000, "near", "the last stage"),
        (100, "far", "the last stages"),
        (100, "near", "the head alone"),
        (freezing.SMALL, "near", "the last stage"),
        (freezing.SMALL - 1, "near", "the head alone"),
    ],
)
def test_advice_of_the_four_quadrants(images: int, similarity: str, what: str) -> None:
    """Marcelino 2018: all layers, some, more of them, none but the classifier."""
    size = "small" if images < freezing.SMALL else "large"
    advice = freezing.advise(images, similarity)
    assert advice.startswith(f"{size} and {similarity} ")
    assert advice.split(": train ")[1].split(",")[0] == what


@pytest.mark.parametrize(("images", "similarity"), [(0, "near"), (5, "nearly")])
def test_bad_questions_get_no_advice(images: int, similarity: str) -> None:
    with pytest.raises(HilumError, match=f"got {images} and '{similarity}'"):
        freezing.advise(images, similarity)


@pytest.mark.parametrize(("classes", "count"), [(4, 8_196), (3, 6_147)])
def test_five_stages_frozen_train_the_last_layer_alone(classes: int, count: int) -> None:
    network = whole("resnet50", head="zhang2022", classes=classes)
    outcome = freezing.apply_rules(
        network, freezing.last_stages(BACKBONES["resnet50"], 0), "frozen"
    )
    assert trained(network) == count
    assert len(outcome.trained) == 2
    assert all(name.startswith("1.layers.") for name in outcome.trained)
    assert sum(p.numel() for p in network.parameters()) == 23_508_032 + count


def test_five_children_frozen_are_stem_and_layer1() -> None:
    """torchvision's list(resnet.children())[:5] is conv1, bn1, relu, maxpool, layer1."""
    network = whole("resnet50", head="zhang2022")
    children = list(network[0].net.named_children())[:5]
    assert [name for name, _ in children] == ["conv1", "bn1", "act1", "maxpool", "layer1"]
    rules = freezing.last_stages(BACKBONES["resnet50"], 3)
    freezing.apply_rules(network, rules, "drift")
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    expected = {f"0.net.{at}.{name}" for at, m in children for name, _ in m.named_parameters()}
    assert frozen == expected


@pytest.mark.parametrize("pool", ["fc1", "fc2", "fc3"])
def test_dense_layers_that_are_kept_can_learn(pool: str) -> None:
    network = whole("vgg16", pool, classes=2)
    freezing.apply_rules(network, freezing.last_stages(BACKBONES["vgg16"], 0), "frozen")
    network(torch.zeros(2, 3, 224, 224, device="meta")).sum().backward()
    learnt = {name for name, value in network.named_parameters() if value.grad is not None}
    assert learnt == {name for name, value in network.named_parameters() if value.requires_grad}
    assert len(learnt) == 2 * (int(pool[-1]) + 1)
