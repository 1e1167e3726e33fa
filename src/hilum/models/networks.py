"""Bare networks without weights, timm's and our own, and cards for timm's that have no row."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from hilum.models import published_networks, torchvision_compat
from hilum.models.cards import BACKBONES, BackboneCard, Stages
from hilum.models.normalise import NORMALISE
from hilum.models.unfilled import Unfilled
from hilum.types import HilumError, nearest_names

V1_STRIDES = "v1_strides"  # the original ResNet: a stage halves in its first 1x1 convolution
VARIANTS = ("", V1_STRIDES)


def create(
    card: BackboneCard, variant: str = "", classifier: bool = False, keep: int = 0
) -> nn.Module:
    """The network of `card`, randomly initialised, without its classifier unless asked for.

    `keep` leaves the first fully connected layers of `card.classifier` in place. Raises HilumError
    for a variant that is not in VARIANTS or does not fit the network.
    """
    network = (
        published_networks.NETWORKS[card.name]()
        if card.own
        else _timm(card, classifier or keep > 0)
    )
    for name in card.classifier[keep:] if keep else ():
        network.set_submodule(name, nn.Identity())
        if name == "pre_logits.fc2":  # its ReLU would change in place what the first one gave
            network.set_submodule("pre_logits.act2", nn.Identity())
    if variant == V1_STRIDES:
        use_v1_strides(network, card.name)
    elif variant not in VARIANTS:
        raise HilumError(
            f"a variant is one of {', '.join(map(repr, VARIANTS))}; got {variant!r}; "
            "the file was written by a newer version."
        )
    return network


def outline(card: BackboneCard, classifier: bool = False, keep: int = 0) -> nn.Module:
    """The same network with shapes only: no memory, no arithmetic."""
    with torch.device("meta"), Unfilled():
        return create(card, classifier=classifier, keep=keep)


def use_v1_strides(network: nn.Module, name: str) -> None:
    """Move a bottleneck ResNet's strides to where Keras has them.

    He et al. 2016, doi:10.1109/CVPR.2016.90. Raises HilumError for another network.
    """
    modules = dict(network.named_modules())
    for stage in ("layer2.0", "layer3.0", "layer4.0"):
        first, second = (modules.get(f"{stage}.{conv}") for conv in ("conv1", "conv2"))
        if not (isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d)) or (
            f"{stage}.conv3" not in modules
        ):
            raise HilumError(
                f"v1 strides are for ResNet50, 101 and 152; got {name!r}; use weights made for it."
            )
        first.stride, second.stride = (2, 2), (1, 1)


def describe(name: str) -> BackboneCard:
    """Draw up a card for a network that only timm knows.

    Wightman 2019, doi:10.5281/zenodo.4414861. Raises HilumError for an unknown name, with the
    nearest ones, and for a network whose input is normalised in no way that NORMALISE has.
    """
    config = _config(name)
    network = torchvision_compat.timm()
    with torch.device("meta"), Unfilled():
        network = network.create_model(name, pretrained=False, num_classes=0)
    return BackboneCard(
        name=name,
        timm_name=f"{config.architecture}.{config.tag}" if config.tag else name,
        side=int(config.input_size[-1]),
        normalise=_mode(name, config),
        features=int(network.num_features),
        stages=_top_level(network),
        licence=config.license or "unknown",
        citation="Wightman 2019, doi:10.5281/zenodo.4414861",
    )


def _timm(card: BackboneCard, classifier: bool) -> nn.Module:
    # said even for files that fit: timm drops a head of another size without a word
    options = {**dict(card.options), **({} if classifier else {"num_classes": 0})}
    network: nn.Module = torchvision_compat.timm().create_model(
        card.timm_name, pretrained=False, **options
    )
    if not classifier and hasattr(network, "pre_logits"):
        network.pre_logits = nn.Identity()  # VGG's fully connected layers belong to the classifier
    return network


def _config(name: str) -> Any:
    package = torchvision_compat.timm()
    architecture = name.split(".")[0]
    config = None
    if package.is_model(architecture) and (
        name == architecture or name in package.list_pretrained(f"{architecture}.*")
    ):
        config = package.get_pretrained_cfg(name)
    if config is not None:
        return config
    everything = [*BACKBONES, *package.list_models(), *package.list_pretrained()]
    near = nearest_names(name, everything, 3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"take one of {', '.join(BACKBONES)}."
    raise HilumError(f"a backbone is a row of the table or a timm model; got {name!r}; {hint}")


def _mode(name: str, config: Any) -> str:
    for mode, row in NORMALISE.items():
        if row.mean == tuple(config.mean) and row.std == tuple(config.std):
            return mode
    raise HilumError(
        f"a backbone's input is normalised as one of {', '.join(NORMALISE)}; {name!r} needs mean "
        f"{tuple(config.mean)} and deviation {tuple(config.std)}; choose another backbone."
    )


def _top_level(network: nn.Module) -> Stages:
    """Every top-level module with parameters is one stage; numbered lists are split.

    Parameters of the network itself, as a transformer's positions, belong to the stage after them.
    """
    stages: list[tuple[str, ...]] = []
    loose: tuple[str, ...] = ()
    for prefix in dict.fromkeys(_prefixes(network)):
        if prefix in network._parameters:
            loose = (*loose, prefix)
        else:
            stages.append((*loose, prefix))
            loose = ()
    return tuple(stages) if not loose else (*stages[:-1], (*stages[-1], *loose))


def _prefixes(network: nn.Module) -> Iterator[str]:
    for name, _ in network.named_parameters():
        first, *rest = name.split(".")
        yield f"{first}.{rest[0]}" if rest and rest[0].isdigit() else first
