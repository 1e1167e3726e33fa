"""Every row of the backbone table keeps what its card promises."""

import re

import pytest
import torch

from hilum.models import freezing, networks, shim
from hilum.models.backbones import BACKBONES, Backbone, card
from hilum.models.normalise import NORMALISE
from hilum.models.weights import Weights
from hilum.types import HilumError

WANTED = {
    "resnet18", "resnet50", "resnet101", "resnetv2_101", "densenet121", "densenet201", "vgg16",
    "inception_v3", "inception_resnet_v2", "mobilenetv2_100", "tf_efficientnet_lite0",
}  # fmt: skip
# Parameters without classifier: Keras's or torchvision's published counts, trainable ones
PARAMETERS = {
    "resnet18": 11_176_512,
    "resnet50": 23_508_032,
    "resnet101": 42_500_160,
    "densenet121": 6_953_856,
    "densenet201": 18_092_928,
    "vgg16": 14_714_688,
    "mobilenetv2_100": 2_223_872,
}


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_row(name: str) -> None:
    row = BACKBONES[name]
    config = shim.timm().get_pretrained_cfg(row.timm_name)
    assert row.name == name
    assert row.hub == config.hf_hub_id
    assert row.licence.lower() == config.license
    assert row.side == config.input_size[-1]
    assert NORMALISE[row.normalise].mean == config.mean
    assert NORMALISE[row.normalise].std == config.std
    assert re.search(r"\d{4}, (doi:10\.|arXiv:)", row.citation)
    for alias in row.aliases:
        assert card(alias).name == name

    with torch.device("meta"):
        backbone = Backbone(row, Weights({}, "", "", ""))
        image = torch.zeros(2, 3, row.side, row.side)
    assert backbone.eval()(image).shape == (2, row.features)
    assert backbone.maps(image).shape[:2] == (2, row.features)
    parameters = {it: p.numel() for it, p in backbone.named_parameters()}
    if name in PARAMETERS:
        assert sum(parameters.values()) == PARAMETERS[name]

    patterns = [re.compile(freezing.stage_pattern(stage)) for stage in row.stages]
    places = [[i for i, p in enumerate(patterns) if p.search(it)] for it in parameters]
    assert all(len(place) == 1 for place in places)
    order = [place[0] for place in places]
    assert set(order) == set(range(len(row.stages)))
    if name != "inception_resnet_v2":  # its modules are declared in another order than they run
        assert order == sorted(order)


def test_the_table_holds_every_backbone_of_the_studies() -> None:
    assert set(BACKBONES) >= WANTED
    assert len(BACKBONES) == 13  # as many rows as `test_row` visits


def test_aliases_are_unique_and_an_old_name_comes_with_a_note() -> None:
    names = [alias for row in BACKBONES.values() for alias in row.aliases] + list(BACKBONES)
    assert len(names) == len(set(names))
    assert "Inception V3 is used" in card("inception_v2").note
    assert not card("inception_v3").note


@pytest.mark.parametrize("name", ["convnext_atto", "vit_tiny_patch16_224", "resnet50.a1_in1k"])
def test_any_other_timm_name_works(name: str) -> None:
    row = networks.describe(name)
    with torch.device("meta"):
        backbone = Backbone(row, Weights({}, "", "", "")).eval()
        image = torch.zeros(1, 3, row.side, row.side)
    assert backbone(image).shape == (1, row.features)
    names = [it for it, _ in backbone.named_parameters()]
    assert set(freezing.resolve(names, freezing.last_stages(row, 0)).values()) == {"freeze"}
    if name.startswith("vit"):
        with pytest.raises(HilumError, match="four axes; 'vit_tiny"):
            backbone.maps(image)


@pytest.mark.parametrize(
    ("name", "hint"), [("resnet51", "did you mean .*resnet5"), ("resnet50.bogus", "resnet50")]
)
def test_unknown_names_are_refused_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(HilumError, match=rf"got '{name}'; .*{hint}"):
        card(name)
