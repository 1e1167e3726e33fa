"""A batch in equal parts whose gradients are added: in turn here, or each in a process of its own.

Part `n` of a batch is computed by replica `n`, with random numbers of its own; statistics of
BatchNorm follow the first. So the numbers are the same wherever the parts are computed.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import torch
import torch.distributed
from torch import Tensor, nn

Part: TypeAlias = tuple[int, Tensor, Tensor]  # number, inputs, labels


class Replicas(Protocol):
    """Which parts of a batch this process computes, and what it learns of the others."""

    @property
    def count(self) -> int:
        """Into how many parts a batch is cut."""

    def share(self, images: int) -> slice:
        """Those images of a batch that this process computes."""

    def parts(self, network: nn.Module, inputs: Tensor, labels: Tensor) -> Iterator[Part]:
        """The parts computed here, one after another, of inputs of `share` and all labels."""

    def add_gradients(self, network: nn.Module) -> None:
        """Make each gradient of `network` the sum of those of all parts."""

    def add_rows(self, rows: Tensor) -> Tensor:
        """(replica, figure), filled where computed here -> (figure,), summed over replicas."""

    def share_buffers(self, network: nn.Module) -> None:
        """Give `network` the buffers that the first replica has."""

    def validated_by(self, batch: int) -> int | None:
        """The replica that computes a batch of validation, or None where it is not of this one."""


@dataclass(slots=True)
class InTurn:
    """All parts in this process: more memory than a batch takes is not needed."""

    count: int = 1
    seed: int = 0
    _batches: int = 0

    def share(self, images: int) -> slice:
        """As Replicas says."""
        return slice(0, images)

    def parts(self, network: nn.Module, inputs: Tensor, labels: Tensor) -> Iterator[Part]:
        """As Replicas says; one part is the batch, and draws from the caller's generator."""
        if self.count == 1:
            yield 0, inputs, labels
            return
        self._batches += 1
        for number, rows in enumerate(_cut(len(labels), self.count)):
            before = [buffer.clone() for buffer in network.buffers()] if number else []
            _seed(self.seed, self._batches, number)
            yield number, inputs[rows], labels[rows]
            for buffer, kept in zip(network.buffers(), before, strict=False):
                buffer.copy_(kept)

    def add_gradients(self, network: nn.Module) -> None:
        """Nothing: torch has added each part's gradient to those before."""

    def add_rows(self, rows: Tensor) -> Tensor:
        """As Replicas says."""
        return rows.sum(0)

    def share_buffers(self, network: nn.Module) -> None:
        """Nothing: they are the first replica's."""

    def validated_by(self, batch: int) -> int | None:
        """As Replicas says."""
        return batch % self.count


@dataclass(slots=True)
class OneReplica:
    """One part in this process, which is number `rank` of torch's process group.

    Gradients are added in the order of replicas, not in that of a ring, which would round
    otherwise for each number of processes.
    """

    count: int
    rank: int
    seed: int
    _batches: int = 0

    def share(self, images: int) -> slice:
        """As Replicas says."""
        return _cut(images, self.count)[self.rank]

    def parts(self, network: nn.Module, inputs: Tensor, labels: Tensor) -> Iterator[Part]:
        """As Replicas says."""
        self._batches += 1
        _seed(self.seed, self._batches, self.rank)
        yield self.rank, inputs, labels[self.share(len(labels))]

    def add_gradients(self, network: nn.Module) -> None:
        """As Replicas says."""
        own = [p.grad for p in network.parameters() if p.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in own])
        every = [torch.empty_like(flat) for _ in range(self.count)]
        torch.distributed.all_gather(every, flat)
        total = every[0]
        for further in every[1:]:
            total += further
        parts = torch.split(total, [gradient.numel() for gradient in own])
        for gradient, part in zip(own, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def add_rows(self, rows: Tensor) -> Tensor:
        """As Replicas says."""
        rows = rows.clone().to(_device())
        torch.distributed.all_reduce(rows)  # zero is added to each figure: nothing is rounded
        return rows.cpu().sum(0)

    def share_buffers(self, network: nn.Module) -> None:
        """As Replicas says."""
        for buffer in network.buffers():
            torch.distributed.broadcast(buffer, 0)

    def validated_by(self, batch: int) -> int | None:
        """As Replicas says."""
        return self.rank if batch % self.count == self.rank else None


def _cut(images: int, count: int) -> list[slice]:
    """Parts of a batch that differ by one image at most."""
    bounds = [images * number // count for number in range(count + 1)]
    return [slice(*pair) for pair in itertools.pairwise(bounds)]


def _seed(seed: int, batch: int, number: int) -> None:
    """Random numbers of one part, for dropout."""
    state = np.random.SeedSequence([seed, batch, number]).generate_state(1, np.uint64)
    torch.manual_seed(int(state[0] >> np.uint64(1)))


def _device() -> str:
    """Where the group's library has its numbers."""
    return "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
