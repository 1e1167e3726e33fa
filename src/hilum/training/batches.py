"""Where the loop's batches come from: cached features, or pixels that are augmented on the way."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hilum import files
from hilum.augment import sample
from hilum.augment.sample import AugmentationRanges
from hilum.training.replicas import InTurn, Replicas
from hilum.training.sampling import balanced_order, numbered
from hilum.types import Floats, Labels, Stack8

Rows = npt.NDArray[np.int64]  # (image,) indices into the run's images


@dataclass(frozen=True, slots=True)
class PartIndices:
    """Which rows train, which validate, and the class index of every image."""

    train: Rows
    validation: Rows  # none: nothing is chosen or calibrated
    labels: Labels  # (image,) of all images
    balanced: bool = False  # every class equally often in an epoch
    images: int = 0  # that make an epoch; 0: every training image once
    test: Rows | None = (
        None  # looked at after each epoch where no image validates, as study 002 did
    )

    @property
    def watched(self) -> Rows:
        """Rows whose loss is in the history: validation, or else test."""
        return self.validation if self.test is None or len(self.validation) else self.test

    @property
    def watches(self) -> str:
        """The part that `watched` is, as the history calls it."""
        return "validation" if self.watched is self.validation else "test"

    def order(self, seed: int, epoch: int) -> Rows:
        """The epoch's training rows, shuffled; a longer epoch goes through all of them again."""
        random = np.random.default_rng([seed, epoch])
        rows = self._one_pass(random)
        while len(rows) < self.images:
            rows = np.concatenate([rows, self._one_pass(random)])
        return rows[: self.images or None]

    def _one_pass(self, random: np.random.Generator) -> Rows:
        if not self.balanced:
            return random.permutation(self.train)
        return self.train[balanced_order(self.labels[self.train], random)]


@dataclass(frozen=True, slots=True)
class FeatureBatches:
    """Frozen features (view, image, feature); an epoch draws one view per image."""

    features: Floats
    parts: PartIndices
    batch: int
    seed: int

    def train(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Shuffled batches; view 0 is the plain image."""
        rows = self.parts.order(self.seed, epoch)
        views = np.random.default_rng([self.seed, epoch, 1]).integers(
            len(self.features), size=len(rows)
        )
        for start in _starts(len(rows), self.batch):
            batch = slice(start, start + self.batch)
            yield self._tensors(views[batch], rows[batch])

    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        """All watched images, plain, in one batch."""
        rows = self.parts.watched
        yield self._tensors(np.zeros(len(rows), np.int64), rows)

    def _tensors(self, views: Rows, rows: Rows) -> tuple[Tensor, Tensor]:
        inputs = torch.from_numpy(self.features[views, rows])
        return inputs, torch.from_numpy(self.parts.labels[rows])


@dataclass(frozen=True, slots=True)
class PixelBatches:
    """Prepared pixels (image, height, width), augmented afresh in every epoch."""

    stack: Stack8
    sample_ids: tuple[str, ...]
    parts: PartIndices
    ranges: AugmentationRanges
    batch: int
    seed: int
    device: str = "cpu"
    side: int = 0  # images are shrunk to this height, in proportion; 0: as prepared
    replicas: Replicas = field(default_factory=InTurn)  # whose images are read here

    def train(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Shuffled, augmented batches, the next one prepared while the network works."""
        rows = self.parts.order(self.seed, epoch)
        names = np.array(numbered([self.sample_ids[row] for row in rows]), object)
        # BatchNorm averages two images at least, in each part of a batch
        starts = _starts(len(rows), self.batch, 2 * self.replicas.count)
        chunks = [slice(start, start + self.batch) for start in starts]
        return files.prefetch(self._augmented(rows[chunk], names[chunk], epoch) for chunk in chunks)

    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Plain batches of the watched images in a fixed order."""
        rows = self.parts.watched
        for number, start in enumerate(range(0, len(rows), self.batch)):
            if self.replicas.validated_by(number) is not None:
                chunk = np.sort(rows[start : start + self.batch])
                yield self._tensors(np.asarray(self.stack[chunk]), chunk)

    def _augmented(
        self, rows: Rows, names: npt.NDArray[np.object_], epoch: int
    ) -> tuple[Tensor, Tensor]:
        share = self.replicas.share(len(rows))
        stack = np.asarray(self.stack[rows[share]])
        if not sample.is_identity(self.ranges):
            parameters = sample.sample(self.ranges, list(names[share]), self.seed, epoch)
            stack = sample.apply(stack, parameters, 1)
        return self._tensors(stack, rows)

    def _tensors(self, stack: Stack8, rows: Rows) -> tuple[Tensor, Tensor]:
        inputs = torch.from_numpy(shrunk(stack, self.side))[:, None]  # (image, 1, height, width)
        labels = torch.from_numpy(self.parts.labels[rows])
        return (
            inputs.to(self.device, non_blocking=True),
            labels.to(self.device, non_blocking=True),
        )


def shrunk(stack: Stack8, side: int) -> Stack8:
    """(image, height, width) -> the same images `side` high, by area; 0 leaves them alone."""
    height, width = stack.shape[1:]
    if side in (0, height):
        return stack
    size = (round(width * side / height), side)
    return np.stack([cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in stack])


def _starts(rows: int, batch: int, least: int = 2) -> Iterable[int]:
    """Starts of batches; a last batch of one image joins none, BatchNorm could not average it.

    `least` is of a last batch. Ioffe & Szegedy 2015, arXiv:1502.03167.
    """
    return [start for start in range(0, rows, batch) if rows - start >= least or rows < least]
