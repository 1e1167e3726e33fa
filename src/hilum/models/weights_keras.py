"""Keras Applications' weights under timm's names: layouts, names, colours and epsilons translated.

Chollet et al. 2015, Keras, https://keras.io; module names as of keras.applications.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from hilum.models.cards import BackboneCard
from hilum.models.checkpoints import State
from hilum.models.keras_files import Array, KerasFile, Layers
from hilum.models.networks import V1_STRIDES
from hilum.models.normalise import NORMALISE, PerChannel, affine
from hilum.types import HilumError

Names: TypeAlias = Callable[[str], tuple[str, ...]]  # timm's module -> what Keras may call it


@dataclass(frozen=True, slots=True)
class Family:
    """How one family of Keras networks differs from timm's."""

    names: Names | None  # None: numbered layers, in the order of timm's modules
    normalise: str  # the input that the Keras weights were trained on
    epsilon: float  # of its BatchNorms, where the file does not say
    variant: str = ""


def convert(card: BackboneCard, network: nn.Module, file: KerasFile) -> tuple[State, str]:
    """A Keras file's arrays as tensors under `network`'s names, and the network's variant.

    The result expects input as `card.normalise` says. Raises HilumError for a network that Keras
    builds differently, and for a layer that the file lacks.
    """
    family = _family(card, file)
    pairs = (
        _match_numbered(network, file)
        if family.names is None
        else _match_layers(network, family, file)
    )
    state: State = {}
    biases: dict[str, Array] = {}
    for name, module, layer in pairs:
        state |= {f"{name}.{leaf}": tensor for leaf, tensor in _tensors(module, layer).items()}
        if isinstance(module, nn.Conv2d) and module.bias is None and "bias" in layer:
            biases[_norm_of(name)] = layer["bias"]
    _set_epsilon(state, network, file.epsilon or family.epsilon)
    for norm, bias in biases.items():
        state[f"{norm}.running_mean"] -= torch.from_numpy(bias.copy())
    _fold_input(state, network, family.normalise, card.normalise)
    return state, family.variant


def _family(card: BackboneCard, file: KerasFile) -> Family:
    for pattern, family in FAMILIES.items():
        if re.match(pattern, card.timm_name):
            return family
    raise HilumError(
        f"Keras files are read for VGG, ResNet50/101/152, DenseNet and Inception V3, which Keras "
        f"and timm build alike; got {file.path.name!r} for {card.name!r}; "
        "pass a .safetensors file instead."
    )


def _match_layers(
    network: nn.Module, family: Family, file: KerasFile
) -> Iterator[tuple[str, nn.Module, dict[str, Array]]]:
    """(timm's name, module, Keras's arrays); a classifier that the file lacks is left out."""
    for name, module in network.named_modules():
        if not isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear):
            continue
        candidates = family.names(name) if family.names else ()
        arrays = next((file.layers[c] for c in candidates if c in file.layers), None)
        if arrays is not None:
            yield name, module, arrays
        elif candidates and not (isinstance(module, nn.Linear) or name in _VGG16_CLASSIFIER):
            raise _missing_layer(file, " or ".join(map(repr, candidates)))


def _match_numbered(
    network: nn.Module, file: KerasFile
) -> Iterator[tuple[str, nn.Module, dict[str, Array]]]:
    """The same for conv2d_7 and batch_normalization_7: in order of creation, which timm keeps."""
    for kind, prefix in ((nn.Conv2d, "conv2d"), (nn.BatchNorm2d, "batch_normalization")):
        ours = [(name, m) for name, m in network.named_modules() if isinstance(m, kind)]
        theirs = _in_order(file.layers, prefix)[: len(ours)]  # a head of the user's own comes later
        if len(theirs) < len(ours):
            raise _missing_layer(file, f"{len(ours)} layers named {prefix}_<number>")
        for (name, module), layer in zip(ours, theirs, strict=True):
            yield name, module, layer


def _in_order(layers: Layers, prefix: str) -> list[dict[str, Array]]:
    pattern = re.compile(rf"{prefix}(?:_(\d+))?")
    matches = [(pattern.fullmatch(name), layer) for name, layer in layers.items()]
    numbered = [(int(match[1] or 0), layer) for match, layer in matches if match]
    return [layer for _, layer in sorted(numbered, key=lambda pair: pair[0])]


def _tensors(module: nn.Module, layer: dict[str, Array]) -> State:
    """One layer's arrays in torch's layout and names."""
    if isinstance(module, nn.BatchNorm2d):
        beta = layer["beta"]
        gamma = layer.get("gamma", np.ones_like(beta))  # scale=False leaves it out
        values = (gamma, beta, layer["moving_mean"], layer["moving_variance"])
        leaves = ("weight", "bias", "running_mean", "running_var")
        return {leaf: torch.tensor(value) for leaf, value in zip(leaves, values, strict=True)}
    kernel = torch.tensor(layer["kernel"])
    if isinstance(module, nn.Conv2d) and kernel.ndim == 2:  # VGG's first layer after Flatten
        kernel = kernel.reshape(*module.kernel_size, module.in_channels, module.out_channels)
    # (height, width, in, out) -> (out, in, height, width), or (in, out) -> (out, in)
    weight = kernel.permute(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
    bias = {"bias": torch.tensor(layer["bias"])} if "bias" in layer else {}
    return {"weight": weight.contiguous()} | (bias if module.bias is not None else {})


def _set_epsilon(state: State, network: nn.Module, epsilon: float) -> None:
    """Make running_var + timm's epsilon what moving_variance + Keras's was."""
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d) and f"{name}.running_var" in state:
            state[f"{name}.running_var"] += epsilon - module.eps


def _fold_input(state: State, network: nn.Module, theirs: str, ours: str) -> None:
    """Let the first convolution take `ours` where it was trained on `theirs`.

    Exact away from the border, where zero padding stands for slightly another grey.
    """
    name = next(name for name, m in network.named_modules() if isinstance(m, nn.Conv2d))
    weight = state[f"{name}.weight"]
    (gain_t, offset_t), (gain_o, offset_o) = affine(theirs), affine(ours)
    if NORMALISE[theirs].bgr != NORMALISE[ours].bgr:
        weight, gain_t, offset_t = weight.flip(1), gain_t[::-1], offset_t[::-1]
    scale, shift = gain_t / gain_o, offset_t - offset_o * gain_t / gain_o
    constant = (weight.double() * _per_input(shift)).sum((1, 2, 3)).float()
    state[f"{name}.weight"] = (weight.double() * _per_input(scale)).float().contiguous()
    if f"{name}.bias" in state:
        state[f"{name}.bias"] += constant
    else:
        state[f"{_norm_of(name)}.running_mean"] -= constant


def _per_input(values: PerChannel) -> Tensor:
    return torch.tensor(values.copy()).reshape(1, 3, 1, 1)


def _norm_of(conv: str) -> str:
    """The BatchNorm that follows a convolution, in timm's names."""
    if conv.endswith("downsample.0"):
        return conv[:-1] + "1"
    head, _, last = conv.rpartition(".")
    renamed = last.replace("conv", "bn" if not head.startswith("features") else "norm")
    return f"{head}.{renamed}" if head else renamed


def _missing_layer(file: KerasFile, wanted: str) -> HilumError:
    first = ", ".join(map(repr, list(file.layers)[:3])) or "none"
    return HilumError(
        f"{file.path} must hold {wanted}; got {len(file.layers)} layers ({first} first); "
        "pass weights of this very network."
    )


def _vgg_names(name: str) -> tuple[str, ...]:
    places = {
        f"features.{at}": f"block{block}_conv{i}"
        for block, row in enumerate(_VGG16_CONVS, 1)
        for i, at in enumerate(row, 1)
    }
    places |= _VGG16_CLASSIFIER
    return (places[name],) if name in places else ()


def _resnet_names(name: str) -> tuple[str, ...]:
    """Both generations: conv2_block1_1_conv, and the older res2a_branch2a."""
    if name in _RESNET_ENDS:
        return _RESNET_ENDS[name]
    match = re.fullmatch(r"layer(\d)\.(\d+)\.(conv|bn|downsample\.)(\d)", name)
    if match is None:
        return ()
    stage, block, what, number = int(match[1]) + 1, int(match[2]), match[3], int(match[4])
    shortcut = what == "downsample."
    kind = ("conv", "bn")[number] if shortcut else what
    newer = f"conv{stage}_block{block + 1}_{0 if shortcut else number}_{kind}"
    branch = "1" if shortcut else f"2{' abc'[number]}"
    older = f"{'res' if kind == 'conv' else 'bn'}{stage}{_LETTERS[block]}_branch{branch}"
    return newer, older


def _densenet_names(name: str) -> tuple[str, ...]:
    if name in _DENSENET_ENDS:
        return _DENSENET_ENDS[name]
    if match := re.fullmatch(r"features\.transition(\d)\.(norm|conv)", name):
        return (f"pool{int(match[1]) + 1}_{_BN[match[2]]}",)
    inner = re.fullmatch(r"features\.denseblock(\d)\.denselayer(\d+)\.(norm|conv)(\d)", name)
    if inner is None:
        return ()
    number = int(inner[4]) - (inner[3] == "norm")  # Keras: 0_bn 1_conv 1_bn 2_conv
    return (f"conv{int(inner[1]) + 1}_block{inner[2]}_{number}_{_BN[inner[3]]}",)


_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"  # only ResNet50's six are ever used
_BN = {"norm": "bn", "conv": "conv"}
_VGG16_CONVS = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
_VGG16_CLASSIFIER = {"pre_logits.fc1": "fc1", "pre_logits.fc2": "fc2", "head.fc": "predictions"}
_RESNET_ENDS: dict[str, tuple[str, ...]] = {
    "conv1": ("conv1_conv", "conv1"),
    "bn1": ("conv1_bn", "bn_conv1"),
    "fc": ("predictions", "probs", "fc1000"),
}
_DENSENET_ENDS: dict[str, tuple[str, ...]] = {
    "features.conv0": ("conv1_conv",),
    "features.norm0": ("conv1_bn",),
    "features.norm5": ("bn",),
    "classifier": ("predictions", "fc1000"),
}
FAMILIES: dict[str, Family] = {  # by the beginning of timm's name
    r"vgg16\b": Family(_vgg_names, "caffe", 1e-3),
    r"resnet(50|101|152)\b": Family(_resnet_names, "caffe", 1.001e-5, V1_STRIDES),
    r"densenet(121|169|201)\b": Family(_densenet_names, "imagenet", 1.001e-5),
    r"inception_v3\b": Family(None, "signed", 1e-3),
}
