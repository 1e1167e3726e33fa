"""Every row of the backbone table keeps what its card promises."""

import re
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from hilum.models import freezing, networks, published_networks, torchvision_compat
from hilum.models.backbones import BACKBONES, Backbone, backbone_card
from hilum.models.cards import BackboneCard
from hilum.models.normalise import NORMALISE
from hilum.models.weights import Weights
from hilum.types import HilumError

TIMM = {
    "resnet18", "resnet50", "resnet101", "resnetv2_101", "densenet121", "densenet201", "vgg16",
    "inception_v3", "inception_resnet_v2", "mobilenetv2_100", "tf_efficientnet_lite0",
    "tf_efficientnet_lite1", "tf_efficientnet_lite2",
}  # fmt: skip
CT = {"astra2d"}  # timm's network, weights from elsewhere
BROUGHT = {
    "xrv_densenet121", "rad_dino", "eva_x_tiny", "eva_x_small", "ark_swin_base", "ark_swin_large",
    "biomedclip", "medsiglip",
}  # fmt: skip
OWN = {"elazhari_cnn", "wiklund_fc", "wiklund_cnn"}
# shapes of the last map, where its channels are not the features
MAPS = {"elazhari_cnn": (64, 8, 8), "wiklund_cnn": (32, 222, 222)}
# Parameters without classifier: torchvision's published counts, or the papers' own arithmetic
PARAMETERS = {
    "resnet18": 11_176_512,
    "resnet50": 23_508_032,
    "resnet101": 42_500_160,
    "astra2d": 60_192_808 - 2_049_000,  # ResNet-152
    "densenet121": 6_953_856,
    "densenet201": 18_092_928,
    "vgg16": 14_714_688,
    "inception_v3": 21_785_568,
    "mobilenetv2_100": 2_223_872,
    "elazhari_cnn": 76_965 - 2002,
    "wiklund_fc": 224 * 224 * 3 * 64 + 64,
    "wiklund_cnn": (27 + 1) * 32 + 222 * 222 * 32 * 64 + 64,
}


def on_meta(row: BackboneCard) -> tuple[Backbone, torch.Tensor]:
    """The network and two images with shapes only: no memory, no arithmetic."""
    with torch.device("meta"):
        return (
            Backbone(row, Weights({}, "", "", "")).eval(),
            torch.zeros(2, 3, row.side, row.side),
        )


def rows() -> list[object]:
    """Every row; those as slow that another row is much like."""
    quick = {"rad_dino", "eva_x_tiny", "ark_swin_base"}
    larger = {"densenet201", "resnet101", "tf_efficientnet_lite1", "tf_efficientnet_lite2"}
    return [
        pytest.param(name, marks=pytest.mark.slow) if name in BROUGHT - quick | larger else name
        for name in sorted(BACKBONES)
    ]


@pytest.mark.parametrize("name", rows())
def test_row(name: str) -> None:
    row = BACKBONES[name]
    assert row.name == name
    assert row.own == (name in published_networks.NETWORKS)
    assert re.search(r"\d{4}, ", row.citation)
    for alias in row.aliases:
        assert backbone_card(alias).name == name

    backbone, image = on_meta(row)
    assert backbone(image).shape == (2, row.features)
    if name == "wiklund_fc":
        with pytest.raises(HilumError, match="four axes; 'wiklund_fc' gives 2"):
            backbone.maps(image)
    else:
        maps = backbone.maps(image).shape
        assert maps[1:] == MAPS[name] if name in MAPS else maps[1] == backbone.channels
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


@pytest.mark.parametrize("name", sorted(TIMM))
def test_row_agrees_with_timm(name: str) -> None:
    row = BACKBONES[name]
    config = torchvision_compat.timm().get_pretrained_cfg(row.timm_name)
    assert row.hub == config.hf_hub_id
    assert row.licence.lower() == config.license
    assert row.side == config.input_size[-1]
    assert NORMALISE[row.normalise].mean == config.mean
    assert NORMALISE[row.normalise].std == config.std
    assert re.search(r"\d{4}, (doi:10\.|arXiv:)", row.citation)


@pytest.mark.parametrize("name", sorted(OWN))
def test_row_of_our_own_names_no_source_of_weights(name: str) -> None:
    row = BACKBONES[name]
    assert row.own
    assert row.hub == row.timm_name == row.package == ""
    assert row.weights.startswith("none")
    assert row.normalise == "unit"


def test_the_table_holds_every_backbone_of_the_studies() -> None:
    assert set(BACKBONES) == TIMM | CT | BROUGHT | OWN
    assert set(published_networks.NETWORKS) == OWN
    assert len(BACKBONES) == 25  # as many rows as `test_row` visits


@dataclass(frozen=True)
class Keras:
    """Counts of keras.applications without the top, and how its layers differ from timm's."""

    total: int
    trainable: int
    conv_bias: str = ""  # modules whose convolution has a bias at Keras and none at timm
    no_gamma: bool = False  # BatchNorm with scale=False


# ResNet50V2's relatives: bias in the stem, the third convolution of a block and the shortcut
V2_BIAS = r"stem\.conv|\.conv3$|downsample\.conv"
KERAS = {
    "vgg16": Keras(14_714_688, 14_714_688),
    "resnet50": Keras(23_587_712, 23_534_592, conv_bias="."),
    "resnetv2_101": Keras(42_626_560, 42_528_896, conv_bias=V2_BIAS),
    "densenet121": Keras(7_037_504, 6_953_856),
    "densenet201": Keras(18_321_984, 18_092_928),
    "inception_v3": Keras(21_802_784, 21_768_352, no_gamma=True),
    "inception_resnet_v2": Keras(54_336_736, 54_276_192, no_gamma=True),
    "mobilenetv2_100": Keras(2_257_984, 2_223_872),
}


@pytest.mark.parametrize("name", sorted(KERAS))
def test_parameters_are_those_of_keras_up_to_known_differences(name: str) -> None:
    network, want = networks.outline(BACKBONES[name]), KERAS[name]
    norms = [m.num_features for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    bias = [
        m.out_channels
        for at, m in network.named_modules()
        if want.conv_bias and isinstance(m, nn.Conv2d) and re.search(want.conv_bias, at)
    ]
    ours = sum(p.numel() for p in network.parameters())
    trainable = ours + sum(bias) - (sum(norms) if want.no_gamma else 0)
    assert trainable == want.trainable
    assert trainable + 2 * sum(norms) == want.total  # Keras counts running statistics


def test_aliases_are_unique_and_an_old_name_comes_with_a_note() -> None:
    names = [alias for row in BACKBONES.values() for alias in row.aliases] + list(BACKBONES)
    assert len(names) == len(set(names))
    assert "Inception V3 is used" in backbone_card("inception_v2").note
    assert not backbone_card("inception_v3").note
    assert "not on ImageNet" in backbone_card("astra").note


@pytest.mark.parametrize("name", ["convnext_atto", "vit_tiny_patch16_224", "resnet50.a1_in1k"])
def test_any_other_timm_name_works(name: str) -> None:
    row = networks.describe(name)
    backbone, image = on_meta(row)
    assert backbone(image).shape == (2, row.features)
    names = [it for it, _ in backbone.named_parameters()]
    assert set(freezing.resolve(names, freezing.last_stages(row, 0)).values()) == {"freeze"}
    if name.startswith("vit"):  # the patches', and the class token's behind them
        assert backbone.maps(image).shape == (2, 2 * row.features, 14, 14)


@pytest.mark.parametrize(
    ("name", "hint"), [("resnet51", "did you mean .*resnet5"), ("resnet50.bogus", "resnet50")]
)
def test_unknown_names_are_refused_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(HilumError, match=rf"got '{name}'; .*{hint}"):
        backbone_card(name)
