"""One backbone: a network without its classifier, alone or with others next to it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from hilum.models import networks, normalise, pools, tokens
from hilum.models.cards import BackboneCard, Pool, Strides
from hilum.models.weights import Weights
from hilum.types import HilumError


class Backbone(nn.Module):
    """Normalised float (image, 3, height, width) -> features (image, feature).

    With pool "stages" the means of earlier maps follow those of the last, for a head that is
    trained alone: what transfers is often there (Evci et al. 2022, Head2Toe, arXiv:2201.03529).
    With strides as pool the features are the means of those maps, and the network ends with them.
    Auxiliary networks (`beside`) see the same films, and their features follow its own.
    """

    def __init__(
        self,
        row: BackboneCard,
        record: Weights,
        pool: Pool = "average",
        beside: Sequence["Backbone"] = (),
        common: str = "",  # the normalisation that all see; empty: each sees its own
        panels: int = 1,  # pictures of a film one below the other, each seen by itself
    ) -> None:
        super().__init__()
        self.common = common
        self.panels = panels
        self.card = row
        self.weights = record
        self.pool = pool = pools.settled(pool)
        self.kept = kept(row, pool)  # fully connected layers that stay
        self.flat = pool == "flatten" or (pool == "last" and bool(row.classifier))
        # timm's networks have no common type
        self.net: Any = networks.create(row, record.variant, keep=self.kept)
        strides = pools.strides_of(pool)
        self.earlier = earlier(self.net, row.name, strides) if strides else {}
        self.cut = not isinstance(pool, str)  # the last of these maps is the network's end
        if self.cut:
            net: Any = self.net  # a module's attributes are tensors or modules to mypy
            net.prune_intermediate_layers(indices=list(self.earlier))
        self.last = 0 if self.cut else row.features  # channels of the last map
        self.tokens = "" if row.own else tokens.kind_of(self.net)
        if self.tokens and self.flat:
            raise HilumError(
                f"pool 'flatten' is for convolutional networks; {row.name} is a transformer; "
                "choose pool average."
            )
        # of `maps`, without neighbours
        self.channels = tokens.channels_of(self.net, self.last) if self.tokens else self.last
        self.channels += sum(self.earlier.values())
        self.beside = nn.ModuleList(
            AuxiliaryBackbone(common or row.normalise, common or other.card.normalise, other)
            for other in beside
        )

    @property
    def neighbours(self) -> list["AuxiliaryBackbone"]:
        """The networks next to it."""
        return [other for other in self.beside if isinstance(other, AuxiliaryBackbone)]

    @property
    def reached(self) -> BackboneCard:
        """The card with those stages alone that the pool leaves in the network."""
        if not self.cut:
            return self.card
        names = [name for name, _ in self.net.named_parameters()]
        stages = tuple(
            stage
            for stage in self.card.stages
            if any(name.startswith(f"{prefix}.") for name in names for prefix in stage)
        )
        return replace(self.card, stages=stages)

    def maps(self, x: Tensor) -> Tensor:
        """(image, 3, height, width) -> the last spatial map (image, channel, row, column).

        Earlier maps, averaged to its size, and the maps of networks next to it follow as further
        channels. Raises HilumError for a network without any, and where theirs are of other sizes.
        """
        maps = [self._map(x), *(other.backbone.maps(other.seen(x)) for other in self.neighbours)]
        if len(maps) == 1:
            return maps[0]
        try:  # comparing sizes here would stop the tracing of a conversion
            return torch.cat(maps, 1)
        except RuntimeError:
            sizes = sorted({tuple(one.shape[2:]) for one in maps})
            raise HilumError(
                f"joined networks need maps of one size; got {sizes}; join others."
            ) from None

    def _map(self, x: Tensor) -> Tensor:
        if self.tokens:
            return torch.cat([tokens.maps_of(self.net, one) for one in x.chunk(self.panels, 2)], 2)
        output = self._feature_map(x)
        if output.ndim != 4:
            raise HilumError(
                f"a spatial map has four axes; {self.card.name!r} gives {output.ndim}; "
                "choose a convolutional backbone."
            )
        # some transformers put the channels last
        return output.permute(0, 3, 1, 2) if channels_last(self.net) else output

    def forward(self, x: Tensor) -> Tensor:
        """(image, 3, height, width) -> (image, feature)."""
        own = self._map(x).flatten(1) if self.flat else self._pool_panels(self._feature_map(x))
        others = [other(x) for other in self.neighbours]
        return torch.cat([own, *others], 1) if others else own

    def from_maps(self, maps: Tensor) -> Tensor:
        """(image, channel, row, column), as `maps` gives -> features: the rest of `forward`."""
        if not self.beside:
            return self._from_map(maps)
        members = [other.backbone for other in self.neighbours]
        widths = [self.channels, *(member.channels for member in members)]
        own, *others = torch.split(maps, widths, 1)
        rest = [member.from_maps(one) for member, one in zip(members, others, strict=True)]
        return torch.cat([self._from_map(own), *rest], 1)

    def _from_map(self, spatial_map: Tensor) -> Tensor:
        if self.flat:
            return spatial_map.flatten(1)
        if self.tokens:
            each = spatial_map.chunk(self.panels, 2)
            return torch.cat([tokens.features_of(self.net, one) for one in each], 1)
        return self._pool_panels(
            spatial_map.permute(0, 2, 3, 1) if channels_last(self.net) else spatial_map
        )

    def shape(self, width: int) -> tuple[int, int]:
        """(channel, position) of features (image, width): a flattened map lists channel first."""
        return (self.card.features, width // self.card.features) if self.flat else (width, 1)

    def columns(self, pool: Pool) -> list[int]:
        """Which of its features a pool of some of its maps would give, in their order."""
        wanted, start = pools.maps_of(pools.settled(pool)), 0
        picked: list[int] = []
        for member in (self, *(other.backbone for other in self.neighbours)):
            widths = [*member.earlier.values()]
            widths = widths if member.cut else [member.last, *widths]
            each = list(zip(pools.maps_of(member.pool), widths, strict=True))
            for kind, width in each * self.panels:
                picked += range(start, start + width) if kind in wanted else ()
                start += width
        return picked

    def record(self) -> dict[str, Any]:
        """What `rebuild` needs besides the tensors, ready for JSON."""
        others = [other.backbone.record() for other in self.neighbours]
        return {
            "name": self.card.name,
            "timm_name": self.card.timm_name,
            "pool": pools.plain(self.pool),
            "variant": self.weights.variant,
            "digest": self.weights.digest,
            "origin": self.weights.origin,
            "licence": self.weights.licence,
            **({"beside": others} if others else {}),
            **({"common": self.common} if self.common else {}),
            **({"panels": self.panels} if self.panels > 1 else {}),
        }

    def extra_repr(self) -> str:
        """Name, pooling and variant, for the printed network."""
        panels = f", panels={self.panels}" if self.panels > 1 else ""
        pool, variant = pools.plain(self.pool), self.weights.variant
        return f"{self.card.timm_name!r}, pool={pool!r}, variant={variant!r}{panels}"

    def _feature_map(self, x: Tensor) -> Tensor:
        """What `forward_features` gives of (image, 3, height, width), earlier maps behind it.

        Of panels each by itself; their maps are one below the other as they do.
        """
        if self.panels > 1:
            each = self._network_output(torch.cat(x.chunk(self.panels, 2)))
            return torch.cat(each.chunk(self.panels), 2)
        return self._network_output(x)

    def _network_output(self, x: Tensor) -> Tensor:
        if not self.earlier:
            last: Tensor = self.net.forward_features(x)
            return last
        if self.cut:
            *earlier, last = self.net.forward_intermediates(
                x, indices=list(self.earlier), stop_early=True, intermediates_only=True
            )
        else:
            last, earlier = self.net.forward_intermediates(x, indices=list(self.earlier))
        rows, columns = last.shape[2:]
        smaller = [adaptive_avg_pool2d(one, (rows, columns)) for one in earlier]
        return torch.cat([*smaller, last] if self.cut else [last, *smaller], 1)

    def _pool_panels(self, output: Tensor) -> Tensor:
        """What `_feature_map` gives -> features (image, feature), panel by panel.

        Global average pooling: Lin et al. 2014, arXiv:1312.4400, section 3.2.
        """
        if self.panels > 1:
            return torch.cat([self._pool_stages(one) for one in output.chunk(self.panels, 2)], 1)
        return self._pool_stages(output)

    def _pool_stages(self, output: Tensor) -> Tensor:
        if self.cut:
            return output.mean((2, 3))
        if self.earlier:
            output, *earlier = torch.split(output, [self.last, *self.earlier.values()], 1)
            return torch.cat([self._apply_head(output), *(one.mean((2, 3)) for one in earlier)], 1)
        return self._apply_head(output)

    def _apply_head(self, output: Tensor) -> Tensor:
        features: Tensor = self.net.forward_head(output, pre_logits=self.kept == 0)
        return features.mean((2, 3)) if features.ndim == 4 else features


class BackboneWithMaps(nn.Module):
    """A backbone's features and its last maps in one row, as a runtime hands them out.

    Raises HilumError where `maps` does.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, x: Tensor) -> Tensor:
        """(image, 3, height, width) -> (image, feature + channel x row x column)."""
        maps = self.backbone.maps(x)
        return torch.cat([self.backbone.from_maps(maps), maps.flatten(1)], 1)


class AuxiliaryBackbone(nn.Module):
    """An auxiliary network: from pixels as that one needs them to its own features."""

    gain: Tensor
    offset: Tensor

    def __init__(self, mode: str, wanted: str, backbone: Backbone) -> None:
        super().__init__()
        self.modes = (mode, wanted)
        self.backbone = backbone
        gain, offset = normalise.normalisation_change(*self.modes)
        self.register_buffer("gain", normalise.channels(gain), persistent=False)
        self.register_buffer("offset", normalise.channels(offset), persistent=False)

    def seen(self, x: Tensor) -> Tensor:
        """(image, 3, height, width), normalised again."""
        return x * self.gain + self.offset

    def forward(self, x: Tensor) -> Tensor:
        """(image, 3, height, width) -> (image, feature)."""
        features: Tensor = self.backbone(self.seen(x))
        return features

    def extra_repr(self) -> str:
        """Modes, for the printed network."""
        return f"modes={self.modes!r}"


def kept(row: BackboneCard, pool: Pool) -> int:
    """How many fully connected layers `pool` keeps. Raises HilumError where there are none."""
    layers = [f"fc{i}" for i in range(1, len(row.classifier) + 1)]
    known_pools = ["average", "last", *([] if row.own else ["stages", "flatten"]), *layers]
    depths = "" if row.own else ", early, or a list of strides such as [8, 16]"
    by_depth = not isinstance(pools.settled(pool), str)
    if row.own if by_depth else pool not in known_pools:
        raise HilumError(
            f"a pool of {row.name} is one of {', '.join(known_pools)}{depths}; got "
            f"{pools.plain(pool)!r}; choose one."
        )
    return layers.index(str(pool)) + 1 if pool in layers else 0


def earlier(net: Any, name: str, strides: Strides = pools.EARLIER) -> dict[int, int]:
    """Which of a network's stages have these strides, as timm counts them: {index: channels}.

    Raises HilumError where it has not one stage of each.
    """
    stages: Any = getattr(net, "feature_info", None)
    able = isinstance(stages, list) and hasattr(net, "forward_intermediates")
    found = {
        index: stage
        for index, stage in enumerate(stages if able and not channels_last(net) else ())
        if stage["reduction"] in strides
    }
    if len(found) != len(strides):  # a transformer has a dozen, or none
        has = sorted({int(stage["reduction"]) for stage in stages}) if able else []
        raise HilumError(
            f"pool 'stages' and pools by stride need a network whose stages timm can return; "
            f"{name} is not one{f' for strides {list(strides)}: it has {has}' if has else ''}; "
            "choose pool average."
        )
    return {index: int(stage["num_chs"]) for index, stage in found.items()}


def channels_last(net: Any) -> bool:
    """Whether a network's maps are (image, row, column, channel), as some transformers' are."""
    return str(getattr(net, "output_fmt", "NCHW")).endswith("NHWC")
