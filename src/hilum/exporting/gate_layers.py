"""The gate of a model as layers: how far an image is from those of training, and how it lies."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from hilum.inference.ood import NEIGHBOURS, OodDetector


class GateLayers(nn.Module):
    """Features (image, feature) -> refusal distance (image,) and poses (image, pose)."""

    bank: Tensor
    mean: Tensor
    deviation: Tensor
    weights: Tensor
    bias: Tensor

    def __init__(self, gate: OodDetector) -> None:
        super().__init__()
        self.near = min(NEIGHBOURS, len(gate.bank))
        for name in ("bank", "mean", "deviation", "weights", "bias"):
            self.register_buffer(name, torch.from_numpy(getattr(gate, name)).float())

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(image, feature) -> 1 - cosine to the 5th nearest training image, and pose probabilities.

        Sun et al. 2022, arXiv:2204.06507; the poses are upright and the rows of `ood.POSES`.
        """
        cosines = normalize(features, dim=1, eps=1e-12) @ self.bank.T
        distance = 1 - cosines.topk(self.near, 1).values[:, -1]
        scaled = (features - self.mean) / self.deviation
        return distance, (scaled @ self.weights.T + self.bias).softmax(1)
