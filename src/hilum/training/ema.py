"""An exponential moving average of a network's weights, which is what gets validated and kept."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightEma:
    """Shadow weights: s <- d s + (1 - d) w after every step, buffers included.

    The decay d grows to its final value as (1 + t) / (10 + t), so that the first steps are soon
    forgotten (Tan & Le 2019, arXiv:1905.11946, use the average; the warm-up is TensorFlow's). A
    decay of 0 keeps no average: the shadow is the network itself.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.shadow: dict[str, Tensor] = {}
        if decay:
            self.shadow = {name: value.clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def follow(self, network: nn.Module) -> None:
        """Take one step of the network into the average."""
        if not self.decay:
            return
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self.shadow[name].lerp_(value, 1 - decay)
            else:
                self.shadow[name].copy_(value)

    @contextmanager
    def lent(self, network: nn.Module) -> Iterator[nn.Module]:
        """The network with the averaged weights for the length of a block."""
        if not self.decay:
            yield network
            return
        own = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(self.shadow)
        try:
            yield network
        finally:
            network.load_state_dict(own)
