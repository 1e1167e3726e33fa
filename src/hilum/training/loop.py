"""The one training loop: for a head on features and for a network on pixels alike."""

import copy
import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hilum import files
from hilum.models.runtime.torch import within_cores
from hilum.training.depthwise import Depthwise
from hilum.training.ema import WeightEma
from hilum.training.replicas import InTurn, Replicas
from hilum.types import HilumError

Progress = Callable[[int, int], None]
Keep: TypeAlias = Literal["loss", "accuracy", "last"]


class Batches(Protocol):
    """Where the loop gets its data; which augmentation an epoch brings is decided there."""

    def train(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Shuffled (inputs, labels) of the training part.

        With several replicas, inputs are of the images that this process computes; labels of all.
        """

    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        """(inputs, labels) of the part that is watched, in a fixed order, not augmented.

        With several replicas, those batches that this process computes.
        """


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """How to optimise; learning rates per epoch, weights (class,) or None.

    Adam: Kingma & Ba 2015, arXiv:1412.6980; AdamW: Loshchilov & Hutter 2019, arXiv:1711.05101;
    label smoothing: Szegedy et al. 2016, arXiv:1512.00567, section 7.
    """

    optimiser: Literal["adam", "adamw", "sgd"]
    rates: tuple[float, ...]  # one per epoch
    momentum: float = 0.9
    weight_decay: float = 0.0
    patience: int = 0
    weights: Tensor | None = None
    bf16: bool = False
    average: float = 0.0  # decay of the averaged weights that are validated and kept
    smoothing: float = 0.0  # of the labels, in training only
    stop: tuple[float, float] | None = None  # accuracy at least, loss below: then stop
    penalty: Callable[[nn.Module], Tensor] | None = None  # of the batch just seen, in training
    eps: float = 1e-8  # Adam's; Keras has 1e-7
    keep: Keep = "loss"  # by what an epoch is the best
    watches: str = "validation"  # the part that is looked at after each epoch
    replicas: Replicas = field(default_factory=InTurn)


@dataclass(slots=True)
class TrainingHistory:
    """What the loop saw: the best state so far and a row per epoch and part."""

    loss: float = math.inf  # validation loss of the epoch that is kept
    badness: float = math.inf  # of the same, by what `Plan.keep` looks at
    state: dict[str, Tensor] = field(default_factory=dict)
    since: int = 0
    rows: list[dict[str, float | int | str]] = field(default_factory=list)
    stopped: bool = False  # whether the stop rule was reached
    steps: int = 0  # of the optimiser
    images_seen: int = 0  # in training: images times epochs (El Azhari 2022, section 3.1.2)


@dataclass(frozen=True, slots=True)
class _TrainingStep:
    """What changes the weights in one epoch."""

    optimiser: torch.optim.Optimizer
    average: WeightEma
    epoch: int


def learning_rates(
    lr: float, epochs: int, kind: str, every: int, factor: float
) -> tuple[float, ...]:
    """Learning rate of each epoch: constant, lr * factor ** (epoch // every), or half a cosine.

    The cosine is that of Loshchilov & Hutter 2017, arXiv:1608.03983, without restarts.
    """
    if kind == "step":
        return tuple(lr * factor ** (epoch // every) for epoch in range(epochs))
    if kind == "cosine":
        return tuple(lr * (1 + math.cos(math.pi * epoch / epochs)) / 2 for epoch in range(epochs))
    return (lr,) * epochs


@files.retain_freed_memory()
def train_network(
    network: nn.Module, batches: Batches, plan: LoopConfig, progress: Progress | None = None
) -> TrainingHistory:
    """Train what requires a gradient and leave `network` with the weights of its best epoch.

    Best is by `plan.keep`: the lowest validation loss or the highest accuracy, the first of equals,
    or the last. Raises HilumError when the loss is no longer a number.
    """
    within_cores()
    optimiser, average = _optimiser(network, plan), WeightEma(network, plan.average)
    course = TrainingHistory(state=copy.deepcopy(network.state_dict()))
    for epoch, rate in enumerate(plan.rates):
        for group in optimiser.param_groups:
            group["lr"] = rate
        sums, steps = _train(network, batches, plan, _TrainingStep(optimiser, average, epoch))
        course.images_seen += round(float(sums[3]))
        course.steps += steps
        _record(course, epoch, "train", _means(sums))
        with average.lent(network):
            plan.replicas.share_buffers(network)
            _record(course, epoch, plan.watches, validate_network(network, batches, plan))
            _keep_best(course, network, plan.keep)
        over = _is_over(course, plan)
        if progress is not None:
            progress(epoch + 1, epoch + 1 if over else len(plan.rates))
        if over:
            break
    if not math.isfinite(course.loss):
        raise HilumError(
            f"training needs a finite validation loss; got none in {len(plan.rates)} epochs; "
            "lower train.stages' lr."
        )
    network.load_state_dict(course.state)
    return course


def _is_over(course: TrainingHistory, plan: LoopConfig) -> bool:
    """Whether patience has run out or the stop rule holds at the end of this epoch.

    Prechelt 1998, doi:10.1007/3-540-49430-8_3.
    """
    if plan.patience and course.since >= plan.patience:
        return True
    if plan.stop is None:
        return False
    last = course.rows[-1]
    course.stopped = float(last["accuracy"]) >= plan.stop[0] and float(last["loss"]) < plan.stop[1]
    return course.stopped


def validate_network(network: nn.Module, batches: Batches, plan: LoopConfig) -> tuple[float, float]:
    """Weighted mean loss and accuracy on the validation part."""
    network.eval()
    replicas = plan.replicas
    owners = (n for batch in itertools.count() if (n := replicas.validated_by(batch)) is not None)
    rows = torch.zeros(replicas.count, 4, dtype=torch.float64)
    with torch.no_grad():
        for inputs, labels in batches.validation():
            rows[next(owners)] += _sums(_logits(network, inputs, plan), labels, plan)[1]
    return _means(replicas.add_rows(rows))


def _train(
    network: nn.Module, batches: Batches, plan: LoopConfig, step: _TrainingStep
) -> tuple[Tensor, int]:
    """Go through one epoch; sums as `_sums` gives them, and the optimiser's steps."""
    network.train()
    rows, steps = torch.zeros(plan.replicas.count, 4, dtype=torch.float64), 0
    for inputs, labels in batches.train(step.epoch):
        step.optimiser.zero_grad(set_to_none=True)
        for number, images, some in plan.replicas.parts(network, inputs, labels):
            logits = _logits(network, images, plan)
            loss, sums = _sums(logits, some, plan, labels, plan.smoothing)
            if not torch.isfinite(loss):
                raise HilumError(
                    f"training needs a finite loss; got {loss.item()} in epoch {step.epoch}; "
                    "lower train.stages' lr."
                )
            if plan.penalty is not None:
                loss = loss + plan.penalty(network) * (len(some) / len(labels))
            loss.backward()  # type: ignore[no-untyped-call]
            rows[number] += sums
        plan.replicas.add_gradients(network)
        step.optimiser.step()
        step.average.follow(network)
        steps += 1
    return plan.replicas.add_rows(rows), steps


def _logits(network: nn.Module, inputs: Tensor, plan: LoopConfig) -> Tensor:
    """(image, class) in fp32; the network itself in bf16 where the plan says so.

    Training in bf16: Kalamkar et al. 2019, arXiv:1905.12322.
    """
    kind = inputs.device.type
    depthwise = Depthwise() if plan.bf16 and kind == "cpu" else nullcontext()
    with torch.autocast(kind, torch.bfloat16, enabled=plan.bf16), depthwise:
        out: Tensor = network(inputs)
    return out.float()


def _sums(
    logits: Tensor,
    labels: Tensor,
    plan: LoopConfig,
    batch: Tensor | None = None,
    smoothing: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Loss of images (image, class), and (weighted loss, weight, correct, images) for means.

    The loss is divided by the weight of a `batch` of labels (image,), or by their own.
    """
    weights = plan.weights
    each = F.cross_entropy(
        logits, labels, weight=weights, reduction="none", label_smoothing=smoothing
    )
    weight = _weights(labels, weights, each)
    correct = (logits.argmax(1) == labels).sum()
    images = each.new_tensor([len(labels)])
    sums = torch.cat([torch.stack([each.sum(), weight.sum(), correct.to(each)]), images])
    # one copy from the device for all four; sums over an epoch in double precision
    total = weight if batch is None else _weights(batch, plan.weights, each)
    return each.sum() / total.sum(), sums.detach().double().cpu()


def _weights(labels: Tensor, weights: Tensor | None, like: Tensor) -> Tensor:
    """(image,) what each image counts in the loss."""
    return like.new_ones(len(labels)) if weights is None else weights[labels]


def _means(sums: Tensor) -> tuple[float, float]:
    loss, weight, correct, images = sums.tolist()
    return loss / max(weight, 1e-12), correct / max(images, 1)


def _record(course: TrainingHistory, epoch: int, part: str, figures: tuple[float, float]) -> None:
    loss, accuracy = figures
    row: dict[str, float | int | str] = {"epoch": epoch, "part": part, "loss": loss}
    seen = {"images_seen": course.images_seen, "steps": course.steps}
    course.rows.append({**row, "accuracy": accuracy, **seen})


def _keep_best(course: TrainingHistory, network: nn.Module, keep: Keep) -> None:
    row = course.rows[-1]
    loss = float(row["loss"])
    badness = {"loss": loss, "accuracy": -float(row["accuracy"]), "last": -float(row["epoch"])}[
        keep
    ]
    better = badness < course.badness and math.isfinite(loss)
    course.since = 0 if better else course.since + 1
    if better:
        course.loss, course.badness = loss, badness
        course.state = copy.deepcopy(network.state_dict())


def _optimiser(network: nn.Module, plan: LoopConfig) -> torch.optim.Optimizer:
    trainable = [p for p in network.parameters() if p.requires_grad]
    rate = plan.rates[0]
    if plan.optimiser == "sgd":
        decay = plan.weight_decay
        return torch.optim.SGD(trainable, rate, plan.momentum, weight_decay=decay, fused=True)
    kind = torch.optim.Adam if plan.optimiser == "adam" else torch.optim.AdamW
    return kind(trainable, rate, weight_decay=plan.weight_decay, eps=plan.eps, fused=True)
