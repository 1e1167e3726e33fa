"""Freezing: an ordered list of patterns says which parameters learn and which stay.

After big_vision's optimiser masks: the first match wins, and every parameter must be covered.
https://github.com/google-research/big_vision
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from torch import nn
from torch.utils.hooks import RemovableHandle

from hilum.models.cards import BackboneCard
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


# how much to train, by (size of the set, likeness to what the weights have seen): Marcelino 2018,
# Transfer learning from pre-trained models, as quoted in study 001, figure 6a
ADVICE: dict[tuple[str, str], str] = {
    ("large", "far"): "large and far from the pretraining: train every layer",
    ("large", "near"): "large and near to the pretraining: train the last stage",
    ("small", "far"): (
        "small and far from the pretraining: train the last stages, augment, watch overfit"
    ),
    ("small", "near"): "small and near to the pretraining: train the head alone",
}


def apply_rules(module: nn.Module, rules: Sequence[Rule], batch_norm: BatchNormMode) -> Frozen:
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


def advise(images: int, similarity: str) -> str:
    """How much of a pretrained network to train for so many images per class, in words.

    `similarity` of the images to those of the pretraining is "near" or "far". Raises HilumError for
    another word and for less than one image.
    How far features transfer, layer by layer: Yosinski et al. 2014, arXiv:1411.1792.
    """
    if similarity not in ("near", "far") or images < 1:
        raise HilumError(
            "advice on freezing needs one image per class or more, and similarity near or far; got "
            f"{images} and {similarity!r}; correct them."
        )
    return ADVICE["small" if images < SMALL else "large", similarity]


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
            _remove_hook(layer)
            if hold and not any(it.requires_grad for it in layer.parameters()):
                setattr(layer, _HANDLE, layer.register_forward_pre_hook(_stay_in_evaluation))
                fixed.append(name)
    return tuple(fixed)


def _remove_hook(layer: nn.Module) -> None:
    handle = layer.__dict__.pop(_HANDLE, None)
    if isinstance(handle, RemovableHandle):
        handle.remove()


def _stay_in_evaluation(layer: nn.Module, _: object) -> None:
    layer.training = False
