"""Grad-CAM in closed form, where what follows the last map averages it or takes all of it.

Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74: each channel of the map is weighted by the mean
over places of its gradient. A mean over places hands each of them the same share of a feature's
gradient, so that no graph needs a backward pass.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hilum.models.backbone import Backbone
from hilum.models.numpy_head import NumpyHead

NOT_LINEAR = "what follows the last map is more than its mean, so its gradient needs torch"


@dataclass(frozen=True, slots=True)
class Member:
    """One network's share of the joined map and of the joined features."""

    channels: int
    panels: int  # pictures of a film one below the other, each with features of its own
    flat: bool  # features are the values of the map themselves

    def features(self, places: int) -> int:
        """How many features it gives of a map with so many places."""
        return self.channels * (places if self.flat else self.panels)

    def weights(self, gradient: Tensor, places: int) -> Tensor:
        """(image, class, feature) -> mean gradient of each channel (image, class, channel)."""
        image, class_ = gradient.shape[:2]
        if self.flat:
            return gradient.reshape(image, class_, self.channels, places).mean(3)
        return gradient.reshape(image, class_, self.panels, self.channels).sum(2) / places


class GradCam(nn.Module):
    """Gradients (image, class, feature) and maps -> evidence (image, class, row, column)."""

    def __init__(self, members: list[Member], size: tuple[int, int, int]) -> None:
        super().__init__()
        self.members = members
        self.size = size  # (channel, row, column)

    def forward(self, gradient: Tensor, maps: Tensor) -> Tensor:
        """(image, class, feature), (image, channel, row, column) -> (image, class, row, column)."""
        _, rows, columns = self.size
        places = rows * columns
        parts = torch.split(gradient, [member.features(places) for member in self.members], 2)
        weights = [
            member.weights(part, places) for member, part in zip(self.members, parts, strict=True)
        ]
        evidence = torch.bmm(torch.cat(weights, 2), maps.flatten(2))
        return evidence.reshape(-1, gradient.shape[1], rows, columns)


def grad_cam_of(
    backbone: Backbone, head: NumpyHead, size: tuple[int, int, int]
) -> tuple[GradCam | None, str]:
    """The layer for maps of `size` (channel, row, column), or None and why there is none."""
    networks = [backbone, *(other.backbone for other in backbone.neighbours)]
    members = [Member(each.channels, each.panels, each.flat) for each in networks]
    width = sum(member.features(size[1] * size[2]) for member in members)
    alike = len(head.standardise.mean) == width
    alike = alike and sum(member.channels for member in members) == size[0]
    alike = alike and all(
        member.flat or _averages(each, member, size)
        for each, member in zip(networks, members, strict=True)
    )
    return (GradCam(members, size), "") if alike else (None, NOT_LINEAR)


def _averages(network: Backbone, member: Member, size: tuple[int, int, int]) -> bool:
    """Whether a network's features are the means of its map, panel by panel: tried on noise."""
    _, rows, columns = size
    noise = torch.rand(
        1, member.channels, rows, columns, generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        features = network._from_map(noise)
    means = torch.cat([part.mean((2, 3)) for part in noise.chunk(member.panels, 2)], 1)
    return features.shape == means.shape and torch.allclose(features, means, atol=1e-5)
