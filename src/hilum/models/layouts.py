"""How tensors are called in files that others publish, and what timm calls them.

A file is taken whole or not at all: what the network has no place for must be known by name.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch

from hilum.models.card import BackboneCard
from hilum.models.checkpoints import State
from hilum.types import HilumError

Names: TypeAlias = Sequence[tuple[str, str]]  # regular expression -> what replaces it

SHOWN = 3  # names of tensors in a message
_QKV = ("q", "k", "v")
# of other authors' names of the same transformer, after the block's own
_DINOV2: Names = (
    (r"^(dinov2|backbone)\.", ""),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^embeddings\.(cls_token|mask_token)$", r"\1"),
    # transformers 4 and the files of the hub, then transformers 5
    (r"^encoder\.layer\.(\d+)\.attention\.attention\.(q|k|v)\w+\.", r"blocks.\1.attn.\2."),
    (r"^encoder\.layer\.(\d+)\.attention\.(q|k|v)_proj\.", r"blocks.\1.attn.\2."),
    (r"^encoder\.layer\.(\d+)\.attention\.(output\.dense|o_proj)\.", r"blocks.\1.attn.proj."),
    (r"^encoder\.layer\.(\d+)\.layer_scale([12])\.lambda1$", r"blocks.\1.ls\2.gamma"),
    (r"^encoder\.layer\.(\d+)\.", r"blocks.\1."),
    (r"^layernorm\.", "norm."),
)
_SIGLIP: Names = (
    (r"^vision_model\.", ""),
    (r"^embeddings\.position_embedding\.weight$", "pos_embed"),
    (r"^embeddings\.patch_embedding\.", "patch_embed.proj."),
    (r"^encoder\.layers\.(\d+)\.self_attn\.(q|k|v)_proj\.", r"blocks.\1.attn.\2."),
    (r"^encoder\.layers\.(\d+)\.self_attn\.out_proj\.", r"blocks.\1.attn.proj."),
    (r"^encoder\.layers\.(\d+)\.layer_norm([12])\.", r"blocks.\1.norm\2."),
    (r"^encoder\.layers\.(\d+)\.", r"blocks.\1."),
    (r"^post_layernorm\.", "norm."),
    (r"^head\.probe$", "attn_pool.latent"),
    (r"^head\.attention\.out_proj\.", "attn_pool.proj."),
    (r"^head\.layernorm\.", "attn_pool.norm."),
    (r"^head\.mlp\.", "attn_pool.mlp."),
)
_EVA02: Names = (
    (r"^(module|visual\.trunk|visual)\.", ""),
    (r"\.attn\.(q|k|v)_proj\.weight$", r".attn.\1.weight"),
    (r"\.attn\.(q|v)_proj\.bias$", r".attn.\1_bias"),
    (r"\.mlp\.w12\.", ".mlp.fc1."),
    (r"\.mlp\.w3\.", ".mlp.fc2."),
)
_OPEN_CLIP: Names = ((r"^visual\.trunk\.", ""),)
_ARK: Names = ((r"^module\.", ""),)


@dataclass(frozen=True, slots=True)
class TensorLayout:
    """The names of one kind of file."""

    says: str  # which files these are
    rename: Callable[[State], State]
    besides: str  # regular expression: tensors that such a file holds besides the network's
    nested: tuple[str, ...] = ()  # where a checkpoint of training keeps them, the first that is


def rename(card: BackboneCard, raw: State) -> State:
    """A file's tensors under timm's names, of a card whose weights a user brings."""
    return LAYOUTS[card.layout].rename(raw) if card.layout else raw


def nested(card: BackboneCard) -> tuple[str, ...]:
    """The parts of a checkpoint that are looked at first."""
    return LAYOUTS[card.layout].nested if card.layout else ()


def require_whole(card: BackboneCard, ignored: Sequence[str], path: Path) -> None:
    """Raise HilumError where a file holds tensors that neither network nor layout knows."""
    if not card.layout:
        return
    layout = LAYOUTS[card.layout]
    strange = [name for name in ignored if not re.search(layout.besides, name)]
    if strange:
        raise HilumError(
            f"weights of {card.name} are {layout.says}; got {len(strange)} tensors in {path.name} "
            f"that it has no place for, {', '.join(map(repr, strange[:SHOWN]))} first; pass "
            "weights of this very network."
        )


def _renamed(raw: State, names: Names) -> State:
    state: State = {}
    for name, tensor in raw.items():
        for pattern, ours in names:
            name = re.sub(pattern, ours, name)
        state[name] = tensor
    return state


def _fused(state: State) -> State:
    """Queries, keys and values of a block, one below the other in one matrix, as timm has them."""
    fused = dict(state)
    for name in state:
        prefix, found, leaf = name.partition(".attn.q.")
        three = [f"{prefix}.attn.{part}.{leaf}" for part in _QKV]
        if found and all(part in state for part in three):
            fused[f"{prefix}.attn.qkv.{leaf}"] = torch.cat([fused.pop(part) for part in three])
    return fused


def _from_torchxrayvision(raw: State) -> State:
    """One grey channel becomes three that show the same, each with a third of the kernel.

    Raises HilumError for a network of colours: ImageNet's has the same names.
    """
    first = "features.conv0.weight"
    kernel = raw.get(first)
    if kernel is None or kernel.ndim != 4:
        return raw
    if kernel.shape[1] != 1:
        raise HilumError(
            f"weights of torchxrayvision take one grey channel; got {first!r} for "
            f"{kernel.shape[1]}; take backbone densenet121 for them."
        )
    return {**raw, first: kernel.float().repeat(1, 3, 1, 1) / 3}


def _from_dinov2(raw: State) -> State:
    return _fused(_renamed(raw, _DINOV2))


def _from_siglip(raw: State) -> State:
    state = _fused(_renamed(raw, _SIGLIP))
    if "pos_embed" in state and state["pos_embed"].ndim == 2:
        state["pos_embed"] = state["pos_embed"][None]
    for leaf in ("weight", "bias"):  # of torch's own attention: queries, then keys and values
        three = state.pop(f"head.attention.in_proj_{leaf}", None)
        if three is not None:
            width = len(three) // 3
            state[f"attn_pool.q.{leaf}"] = three[:width]
            state[f"attn_pool.kv.{leaf}"] = three[width:]
    return state


def _from_eva02(raw: State) -> State:
    state = _fused(_renamed(raw, _EVA02))
    for name in list(state):  # the gate and what it lets through, packed as timm has them
        prefix, found, leaf = name.partition(".mlp.w1.")
        if found and f"{prefix}.mlp.w2.{leaf}" in state:
            pair = [state.pop(f"{prefix}.mlp.{part}.{leaf}") for part in ("w1", "w2")]
            state[f"{prefix}.mlp.fc1.{leaf}"] = torch.cat(pair)
    if "fc_norm.weight" not in state:  # not fine-tuned yet: timm normalises after the mean
        state = {re.sub(r"^norm\.", "fc_norm.", name): tensor for name, tensor in state.items()}
    return state


def _from_open_clip(raw: State) -> State:
    return _renamed(raw, _OPEN_CLIP)


def _from_ark(raw: State) -> State:
    """timm until 0.6 halved a map at a stage's end, today at the next one's beginning."""
    state = _renamed(raw, _ARK)
    if "layers.0.downsample.reduction.weight" not in state:
        return state
    return {
        re.sub(r"^layers\.(\d+)\.downsample", _one_later, name): tensor
        for name, tensor in state.items()
    }


def _one_later(found: re.Match[str]) -> str:
    return f"layers.{int(found[1]) + 1}.downsample"


LAYOUTS: dict[str, TensorLayout] = {
    "torchxrayvision": TensorLayout(
        "torchxrayvision's, one grey channel in",
        _from_torchxrayvision,
        r"^classifier\.|^op_threshs$",
    ),
    "dinov2": TensorLayout(
        "those of transformers' Dinov2Model or of DINOv2 itself",
        _from_dinov2,
        r"^mask_token$|^(classifier|head)\.",
    ),
    "eva02": TensorLayout(
        "EVA-X's",
        _from_eva02,
        r"^mask_token$|^(lm_head|head)\.|rope\.",
        ("model_ema", "model", "module"),
    ),
    "ark": TensorLayout(
        "Ark's",
        _from_ark,
        r"^(projector|omni_heads|head)\.|(relative_position_index|attn_mask)$",
        ("teacher",),
    ),
    "open_clip": TensorLayout(
        "open_clip's, with the image tower of timm",
        _from_open_clip,
        r"^(text|visual\.head|head)\.|^logit_(scale|bias)$",
    ),
    "siglip": TensorLayout(
        "those of transformers' SiglipModel or SiglipVisionModel",
        _from_siglip,
        r"^text_model\.|^logit_(scale|bias)$|^embeddings\.position_ids$|^classifier\.",
    ),
}
