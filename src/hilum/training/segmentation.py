"""Training a network that draws masks: augmentation of image and mask alike, Dice, the loop."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hilum import files
from hilum.augment import sample
from hilum.augment.sample import AugmentationRanges
from hilum.metrics.dice import dice
from hilum.models.runtime.torch import within_cores
from hilum.training.ema import WeightEma
from hilum.types import HilumError, Stack8

Rows = npt.NDArray[np.int64]  # (image,) indices
State = dict[str, Tensor]
Keep = Callable[[], None]  # called whenever the network holds better weights than ever before
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ImageMaskPairs:
    """Images and masks (image, height, width), masks 0 to 255, and which rows do what."""

    images: Stack8 = field(repr=False)
    masks: Stack8 = field(repr=False)
    sample_ids: tuple[str, ...]
    train: Rows
    validation: Rows


@dataclass(frozen=True, slots=True)
class SegmentationConfig:
    """How to optimise; learning rates per epoch."""

    rates: tuple[float, ...]
    ranges: AugmentationRanges
    batch: int = 8
    weight_decay: float = 0.0
    average: float = 0.0  # decay of the averaged weights that are validated and kept
    seed: int = 0
    patience: int = 0
    device: str = "cpu"


@dataclass(slots=True)
class SegmentationHistory:
    """The best state so far, its validation Dice, and a row per epoch and part."""

    dice: float = -math.inf
    state: State = field(default_factory=dict)
    since: int = 0
    rows: list[dict[str, float | int | str]] = field(default_factory=list)


@files.retain_freed_memory()
def train_segmenter(
    network: nn.Module,
    pairs: ImageMaskPairs,
    plan: SegmentationConfig,
    progress: Progress | None = None,
    keep: Keep | None = None,
) -> SegmentationHistory:
    """Train and leave `network` with the weights of the highest validation Dice, first of equals.

    The loss is binary cross-entropy plus one minus the soft Dice (Milletari et al. 2016,
    arXiv:1606.04797). Raises HilumError when it is no longer a number.
    """
    within_cores()
    network = network.to(plan.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(_groups(network, plan), plan.rates[0])
    average, course = WeightEma(network, plan.average), SegmentationHistory()
    for epoch, rate in enumerate(plan.rates):
        for group in optimiser.param_groups:
            group["lr"] = rate
        trained = _train(network, pairs, plan, (optimiser, average, epoch))
        course.rows.append({"epoch": epoch, "part": "train", **trained})
        with average.lent(network):
            validated = validate_segmenter(network, pairs, plan)
            course.rows.append({"epoch": epoch, "part": "validation", **validated})
            _keep_best(course, network, validated["dice"], keep)
        over = bool(plan.patience) and course.since >= plan.patience
        if progress is not None:
            progress(epoch + 1, epoch + 1 if over else len(plan.rates))
        if over:
            break
    network.load_state_dict(course.state)
    return course


def validate_segmenter(
    network: nn.Module, pairs: ImageMaskPairs, plan: SegmentationConfig
) -> dict[str, float]:
    """Mean loss, share of right pixels, and Dice of the validation images as they are."""
    network.eval()
    sums = np.zeros(4)
    with torch.no_grad():
        for start in range(0, len(pairs.validation), plan.batch):
            rows = np.sort(pairs.validation[start : start + plan.batch])
            images, masks = _tensors(pairs.images[rows], pairs.masks[rows], plan.device)
            sums += _batch_sums(network(images), masks)
    return _means(sums)


def _train(
    network: nn.Module,
    pairs: ImageMaskPairs,
    plan: SegmentationConfig,
    step: tuple[torch.optim.Optimizer, WeightEma, int],
) -> dict[str, float]:
    optimiser, average, epoch = step
    network.train()
    sums = np.zeros(4)
    for images, masks in _batches(pairs, plan, epoch):
        optimiser.zero_grad(set_to_none=True)
        logits = network(images)
        loss = losses(logits, masks).mean()
        if not torch.isfinite(loss):
            raise HilumError(
                f"training needs a finite loss; got {loss.item()} in epoch {epoch}; "
                "lower train.stages' lr."
            )
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        average.follow(network)
        sums += _batch_sums(logits.detach(), masks)
    return _means(sums)


def losses(logits: Tensor, masks: Tensor) -> Tensor:
    """(image, 1, height, width) logits and masks in [0, 1] -> (image,) losses."""
    p = torch.sigmoid(logits)
    cross = F.binary_cross_entropy_with_logits(logits, masks, reduction="none").mean((1, 2, 3))
    shared, sizes = (p * masks).sum((1, 2, 3)), (p + masks).sum((1, 2, 3))
    return cross + 1 - (2 * shared + 1) / (sizes + 1)


def _batches(
    pairs: ImageMaskPairs, plan: SegmentationConfig, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Shuffled batches, the next one warped while the network works; a lone last image waits."""
    order = np.random.default_rng([plan.seed, epoch]).permutation(pairs.train)
    starts = [s for s in range(0, len(order), plan.batch) if len(order) - s > 1 or len(order) == 1]
    return files.prefetch(_warp(pairs, order[s : s + plan.batch], plan, epoch) for s in starts)


def _warp(
    pairs: ImageMaskPairs, rows: Rows, plan: SegmentationConfig, epoch: int
) -> tuple[Tensor, Tensor]:
    images, masks = np.asarray(pairs.images[rows]), np.asarray(pairs.masks[rows])
    if not sample.is_identity(plan.ranges):
        names = [pairs.sample_ids[row] for row in rows]
        parameters = sample.sample(plan.ranges, names, plan.seed, epoch)
        images = sample.apply(images, parameters, 1)
        # the same places, but a mask has no brightness, and outside the film there is no lung
        masks = sample.apply(masks, parameters.assign(value=1.0, contrast=1.0, fill=0), 1)
    return _tensors(images, masks, plan.device)


def _tensors(images: Stack8, masks: Stack8, device: str) -> tuple[Tensor, Tensor]:
    """(image, 1, height, width): grey levels, and masks in [0, 1]."""
    x, y = (torch.from_numpy(np.ascontiguousarray(a))[:, None].to(device) for a in (images, masks))
    return x, y.float() / 255


def _batch_sums(logits: Tensor, masks: Tensor) -> npt.NDArray[np.float64]:
    """Sums over the batch: loss, share of right pixels, Dice, images."""
    predicted, true = (logits > 0).cpu().numpy()[:, 0], (masks > 0.5).cpu().numpy()[:, 0]
    right = (predicted == true).mean((1, 2)).sum()
    return np.array(
        [losses(logits, masks).sum().item(), right, dice(predicted, true).sum(), len(predicted)]
    )


def _means(sums: npt.NDArray[np.float64]) -> dict[str, float]:
    loss, right, overlap = (sums[:3] / max(sums[3], 1)).tolist()
    return {"loss": loss, "accuracy": right, "dice": overlap}


def _keep_best(
    course: SegmentationHistory, network: nn.Module, overlap: float, keep: Keep | None
) -> None:
    course.since = 0 if overlap > course.dice else course.since + 1
    if course.since == 0:
        course.dice, course.state = overlap, copy.deepcopy(network.state_dict())
        if keep is not None:
            keep()


def _groups(network: nn.Module, plan: SegmentationConfig) -> list[dict[str, object]]:
    """Filters decay; biases and normalisation do not.

    He et al. 2019, arXiv:1812.01187, section 3.1.
    """
    trainable = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": plan.weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
