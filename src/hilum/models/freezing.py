"""Freezing: an ordered list of patterns says which parameters learn and which stay.

After big_vision's optimiser masks: the first match wins, and every parameter must be covered.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal, TypeAlias

from torch import nn
from torch.utils.hooks import RemovableHandle

from hilum.models.cards import BackboneCard, Pool
from hilum.types import HilumError

Action: TypeAlias = Literal["freeze", "train"]
Rule: TypeAlias = tuple[str, Action]  # regular expression, searched in the parameter's full name
# what BatchNorm layers do whose parameters the rules freeze; the others always learn and follow
BatchNormMode: TypeAlias = Literal["frozen", "drift", "train"]

ACTIONS = ("freeze", "train")
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
MODES: dict[str, str] = {
    "frozen": "weights and running statistics stay (Keras since 2.1.3)",
    "drift": "weights stay, running statistics follow the batches (torch after model.train())",
    "train": "weights learn and running statistics follow the batches",
}
_HANDLE = "hilum_fixed_statistics"
EVERYTHING: Rule = ("", "train")
BACKBONE: Rule = (r"(^|\.)net\.", "freeze")
SMALL = 1000  # images per class below which a set counts as small: a rough line


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a list of rules came to: names of parameters, and of layers with fixed statistics."""

    trained: tuple[str, ...]
    frozen: tuple[str, ...]
    fixed_statistics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Advice:
    """How much to train, by the size of a set and its likeness to what the weights have seen.

    Marcelino 2018, Transfer learning from pre-trained models, as quoted in study 001, figure 6a.
    """

    quadrant: int  # as Marcelino counts them
    share: float  # of the backbone's stages, from its end; what "some" comes to is ours
    sentence: str

    def rules(self, card: BackboneCard) -> list[Rule]:
        """The advice for one backbone: its last stages train, and everything outside it."""
        return last_stages(card, ceil(self.share * len(card.stages)))


ADVICE: dict[tuple[str, str], Advice] = {
    ("large", "far"): Advice(1, 1.0, "large and far from the pretraining: train every layer"),
    ("large", "near"): Advice(2, 0.2, "large and near to the pretraining: train the last stage"),
    ("small", "far"): Advice(
        3, 0.5, "small and far from the pretraining: train the last stages, augment, watch overfit"
    ),
    ("small", "near"): Advice(4, 0.0, "small and near to the pretraining: train the head alone"),
}
# study 003, section 3.3: what "the first five modules" are, and how many stages are left to train
READINGS: dict[str, int] = {
    "stages": 0,  # stem and layer1 to layer4: only the fully connected layer trains, as it says
    "children": 3,  # conv1, bn1, relu, maxpool, layer1: torchvision's list of children
}


@dataclass(frozen=True, slots=True)
class Trial:
    """One point of study 001's sweep: what is kept of VGG16, and what learns (figures 6b, 7)."""

    experiment: int  # 1: all frozen; 2: convolutions frozen; 3: no fully connected layers
    count: int  # fully connected layers kept in 1 and 2, convolutions trained in 3
    pool: Pool
    rules: tuple[Rule, ...]


def apply(module: nn.Module, rules: Sequence[Rule], batch_norm: BatchNormMode) -> Frozen:
    """Set `requires_grad` by `rules` and BatchNorm's behaviour by `batch_norm`, on the spot.

    Layers with fixed statistics stay in evaluation mode through any later `module.train()`; another
    `apply` starts afresh. Raises HilumError for a parameter without a rule, a rule without a
    parameter, and an unknown action or mode.
    """
    if batch_norm not in MODES:
        raise HilumError(f"BatchNorm is one of {', '.join(MODES)}; got {batch_norm!r}; choose one.")
    actions = resolve([name for name, _ in module.named_parameters()], rules)
    if batch_norm == "train":
        actions |= dict.fromkeys(_norm_parameters(module), "train")
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(actions[name] == "train")
    fixed = _fix_statistics(module, hold=batch_norm == "frozen")
    trained = tuple(name for name, action in actions.items() if action == "train")
    frozen = tuple(name for name, action in actions.items() if action == "freeze")
    return Frozen(trained, frozen, fixed)


def resolve(names: Sequence[str], rules: Sequence[Rule]) -> dict[str, Action]:
    """Each parameter's action by the first rule that matches. Raises HilumError as `apply` does."""
    compiled = [(_compiled(pattern), action) for pattern, action in rules]
    used = [False] * len(rules)
    actions: dict[str, Action] = {}
    for name in names:
        hits = [i for i, (pattern, _) in enumerate(compiled) if pattern.search(name)]
        if not hits:
            raise HilumError(
                f"every parameter needs a rule; got none for {name!r} among "
                f"{[pattern for pattern, _ in rules]}; end the list with ['', 'train'] or 'freeze'."
            )
        actions[name] = compiled[hits[0]][1]
        for i in hits:
            used[i] = True
    _require_used(names, rules, used)
    return actions


def last_stages(card: BackboneCard, count: int) -> list[Rule]:
    """Rules that train the last `count` stages of a backbone and everything outside it.

    0 freezes the whole backbone; raises HilumError for more stages than there are.
    """
    stages = card.stages
    most = len(stages)
    if not 0 <= count <= most:
        raise HilumError(
            f"{card.name} has {most} stages; got {count} to train; choose 0 to {most}."
        )
    frozen = stages[: len(stages) - count]
    return [*((stage_pattern(stage), "freeze") for stage in frozen), EVERYTHING]


def advise(images: int, similarity: str) -> Advice:
    """How much of a pretrained network to train for so many images per class.

    `similarity` of the images to those of the pretraining is "near" or "far". Raises HilumError for
    another word and for less than one image.
    """
    if similarity not in ("near", "far") or images < 1:
        raise HilumError(
            "advice on freezing wants one image per class or more, and similarity near or far; got "
            f"{images} and {similarity!r}; correct them."
        )
    return ADVICE["small" if images < SMALL else "large", similarity]


def first_five(card: BackboneCard, reading: str = "stages") -> list[Rule]:
    """Rules that freeze "the first five modules" of a ResNet, by either reading (READINGS).

    Zhang & Liu 2022, section 3.3. Raises HilumError for another network or reading.
    """
    if reading not in READINGS:
        raise HilumError(
            f"a reading of the first five modules is one of {', '.join(READINGS)}; "
            f"got {reading!r}; choose one."
        )
    if [stage[0] for stage in card.stages] != ["conv1", "layer1", "layer2", "layer3", "layer4"]:
        raise HilumError(
            f"the first five modules are a ResNet's; got {card.name!r}; choose resnet50, or rules "
            "of your own."
        )
    return last_stages(card, READINGS[reading])


def sweep(card: BackboneCard) -> list[Trial]:
    """The three freezing experiments of study 001, layers always removed from the end.

    Wirgård Wiklund et al. 2020, section 4.3. Raises HilumError for a network without fully
    connected layers.
    """
    if not card.classifier:
        raise HilumError(
            f"the sweep keeps fully connected layers; {card.name!r} has none; choose vgg16."
        )
    counts = range(len(card.classifier) + 1)
    pools: list[Pool] = ["flatten", "fc1", "fc2", "fc3"]
    frozen = tuple(last_stages(card, 0))
    return [
        *(Trial(1, count, pools[count], (BACKBONE, EVERYTHING)) for count in counts),
        *(Trial(2, count, pools[count], frozen) for count in counts),
        *(Trial(3, count, "flatten", tuple(last_layers(card, count))) for count in counts),
    ]


def last_layers(card: BackboneCard, count: int) -> list[Rule]:
    """Rules that train the last `count` named layers of a backbone and everything outside it.

    A finer measure than `last_stages`: VGG16's stages name its 13 convolutions. Raises HilumError
    for more layers than there are.
    """
    layers = tuple(layer for stage in card.stages for layer in stage)
    if not 0 <= count <= len(layers):
        raise HilumError(
            f"{card.name} names {len(layers)} layers; got {count} to train; "
            f"choose 0 to {len(layers)}."
        )
    frozen = layers[: len(layers) - count]
    rules: list[Rule] = [(stage_pattern(frozen), "freeze")] if frozen else []
    return [*rules, EVERYTHING]


def stage_pattern(stage: tuple[str, ...]) -> str:
    """Regular expression for the parameters of one stage, in a Backbone or in what holds one."""
    prefixes = "|".join(re.escape(prefix) for prefix in stage)
    return rf"(^|\.)net\.({prefixes})(\.|$)"


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise HilumError(
            f"a freezing rule is a regular expression; got {pattern!r} ({error}); correct it."
        ) from error


def _require_used(names: Sequence[str], rules: Sequence[Rule], used: Sequence[bool]) -> None:
    for (pattern, action), hit in zip(rules, used, strict=True):
        if action not in ACTIONS:
            raise HilumError(
                f"a freezing rule's action is one of {', '.join(ACTIONS)}; got {action!r} for "
                f"{pattern!r}; choose one."
            )
        if not hit:
            raise HilumError(
                f"every freezing rule must match a parameter; got {pattern!r}, which matches none "
                f"of {len(names)} ({names[0] if names else 'none'!r} first); correct or drop it."
            )


def _norm_parameters(module: nn.Module) -> list[str]:
    return [
        f"{name}.{leaf}" if name else leaf
        for name, layer in module.named_modules()
        if isinstance(layer, NORMS)
        for leaf, _ in layer.named_parameters(recurse=False)
    ]


def _fix_statistics(module: nn.Module, hold: bool) -> tuple[str, ...]:
    """Hold every BatchNorm that learns nothing in evaluation mode, or release all of them."""
    fixed = []
    for name, layer in module.named_modules():
        if isinstance(layer, NORMS):
            _release(layer)
            if hold and not any(it.requires_grad for it in layer.parameters()):
                setattr(layer, _HANDLE, layer.register_forward_pre_hook(_stay_in_evaluation))
                fixed.append(name)
    return tuple(fixed)


def _release(layer: nn.Module) -> None:
    handle = layer.__dict__.pop(_HANDLE, None)
    if isinstance(handle, RemovableHandle):
        handle.remove()


def _stay_in_evaluation(layer: nn.Module, _: object) -> None:
    layer.training = False
