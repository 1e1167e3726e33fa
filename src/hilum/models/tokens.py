"""Maps of vision transformers: the tokens of an image's patches, on the grid they come from.

Where the features are the class token, the patches act on it for the last time in the last block:
the map is what that block takes in, and the class token's own channels follow the patches',
the same at every place. Elsewhere the map is what the network itself pools.
Vision transformers: Dosovitskiy et al. 2021, arXiv:2010.11929.
"""

from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from hilum.models import torchvision_compat

Kind: TypeAlias = Literal["", "pooled", "class"]


def kind_of(net: Any) -> Kind:
    """Whether a network's tokens can be a map, and which ones; "" where they cannot."""
    models = torchvision_compat.timm().models
    vit = isinstance(net, models.vision_transformer.VisionTransformer)
    if not (vit or isinstance(net, models.eva.Eva)):
        return ""
    if net.attn_pool is None and net.global_pool == "token":
        return "class" if vit and len(net.blocks) > 1 else ""
    # other tokens than the patches' must not reach the features
    apart = net.attn_pool is None and net.global_pool == "avg"
    return "pooled" if apart or not net.num_prefix_tokens else ""


def channels_of(net: Any, features: int) -> int:
    """Channels of the map of a network with so many features."""
    return features * (1 + net.num_prefix_tokens) if kind_of(net) == "class" else features


def maps_of(net: Any, x: Tensor) -> Tensor:
    """(image, 3, height, width) -> (image, channel, row, column)."""
    if kind_of(net) == "pooled":
        tokens = net.forward_features(x)[:, net.num_prefix_tokens :]
        rows, columns = net.patch_embed.dynamic_feat_size(x.shape[2:])
        return torch.unflatten(tokens.transpose(1, 2), 2, (rows, columns))
    before_last = [len(net.blocks) - 2]
    [(patches, others)] = net.forward_intermediates(
        x, before_last, return_prefix_tokens=True, stop_early=True, intermediates_only=True
    )
    same_everywhere = others.flatten(1)[:, :, None, None].expand(-1, -1, *patches.shape[2:])
    return torch.cat([patches, same_everywhere], 1)


def features_of(net: Any, maps: Tensor) -> Tensor:
    """(image, channel, row, column), as `maps_of` gives -> features (image, feature).

    No gradient reaches the class token's own channels: what it knew before is at no place.
    """
    count = net.num_prefix_tokens
    if kind_of(net) == "pooled":
        tokens = maps.flatten(2).transpose(1, 2)
        none = tokens.new_zeros(tokens.shape[0], count, tokens.shape[2])
        pooled: Tensor = net.forward_head(torch.cat([none, tokens], 1), pre_logits=True)
        return pooled
    width = maps.shape[1] // (1 + count)
    tokens = maps[:, :width].flatten(2).transpose(1, 2)
    others = torch.unflatten(maps[:, width:, 0, 0], 1, (count, width)).detach()
    last = net.norm(net.blocks[-1](torch.cat([others, tokens], 1)))
    features: Tensor = net.forward_head(last, pre_logits=True)
    return features
