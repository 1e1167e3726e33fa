"""The training loop: best epoch kept, schedules exact, a loss that is no number is refused."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from hilum.training import loop
from hilum.training.ema import WeightEma
from hilum.types import HilumError


@dataclass
class Blobs:
    """Two Gaussian blobs, one batch an epoch."""

    inputs: Tensor
    labels: Tensor

    def train(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        yield self.inputs[::2], self.labels[::2]

    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        yield self.inputs[1::2], self.labels[1::2]


@pytest.fixture
def blobs() -> Blobs:
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(200) // 2 % 2
    inputs = torch.randn(200, 5, generator=random) + labels[:, None] * 1.5
    return Blobs(inputs, labels)


def test_rates_follow_the_papers_schedule() -> None:
    rates = loop.learning_rates(1e-3, 100, "step", 5, 0.9)
    assert rates[0] == rates[4] == 1e-3
    assert rates[5] == pytest.approx(9e-4)
    assert rates[99] == pytest.approx(1.3509e-4, rel=1e-4)  # spec S3-11
    cosine = loop.learning_rates(1.0, 10, "cosine", 1, 1.0)
    assert cosine[0] == 1
    assert cosine[5] == pytest.approx(0.5)
    assert loop.learning_rates(0.1, 3, "constant", 1, 1.0) == (0.1, 0.1, 0.1)


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd"])
def test_learns_and_keeps_the_best_epoch(blobs: Blobs, optimiser: str) -> None:
    torch.manual_seed(0)
    network = nn.Linear(5, 2)
    plan = loop.LoopConfig(optimiser, (0.1,) * 30, weights=torch.tensor([1.0, 2.0]))  # type: ignore[arg-type]
    course = loop.train_network(network, blobs, plan)
    assert loop.validate_network(network, blobs, plan)[0] == pytest.approx(course.loss, abs=1e-6)
    losses = [row["loss"] for row in course.rows if row["part"] == "validation"]
    assert course.loss == min(losses)
    assert len(losses) == 30
    assert max(row["accuracy"] for row in course.rows) > 0.85


def test_patience_stops_early(blobs: Blobs) -> None:
    network = nn.Linear(5, 2)
    plan = loop.LoopConfig("sgd", (0.0,) * 50, patience=3)  # a rate of zero never improves
    course = loop.train_network(network, blobs, plan)
    assert len(course.rows) == 2 * 4


def test_frozen_parameters_do_not_move(blobs: Blobs) -> None:
    network = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 2))
    network[0].requires_grad_(False)
    before = network[0].weight.clone()
    loop.train_network(network, blobs, loop.LoopConfig("adam", (0.1,) * 3))
    assert torch.equal(before, network[0].weight)


def test_infinite_loss_is_refused(blobs: Blobs) -> None:
    blobs.inputs[0] = float("nan")
    with pytest.raises(HilumError, match="finite loss; got nan in epoch 0"):
        loop.train_network(nn.Linear(5, 2), blobs, loop.LoopConfig("adam", (0.1,)))


def test_weighted_loss_equals_torchs(blobs: Blobs) -> None:
    network, weights = nn.Linear(5, 2), torch.tensor([1.0, 3.0])
    loss, _ = loop.validate_network(
        network, blobs, loop.LoopConfig("adam", (0.1,), weights=weights)
    )
    logits = network(blobs.inputs[1::2]).detach()
    reference = nn.functional.cross_entropy(logits, blobs.labels[1::2], weight=weights)
    assert loss == pytest.approx(float(reference), abs=1e-6)


def test_stop_rule_needs_both_in_one_epoch(blobs: Blobs) -> None:
    torch.manual_seed(0)
    plan = loop.LoopConfig("adam", (0.05,) * 200, stop=(0.8, 0.5))
    course = loop.train_network(nn.Linear(5, 2), blobs, plan)
    rows = [row for row in course.rows if row["part"] == "validation"]
    met = [row["accuracy"] >= 0.8 and row["loss"] < 0.5 for row in rows]
    assert course.stopped
    assert met == [False] * (len(met) - 1) + [True]
    never = loop.train_network(
        nn.Linear(5, 2), blobs, loop.LoopConfig("adam", (0.05,) * 3, stop=(1.0, 1e-9))
    )
    assert not never.stopped
    assert len(never.rows) == 6


def test_average_follows_the_closed_form(blobs: Blobs) -> None:
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(0.0)
    average = WeightEma(network, 0.5)
    expected = 0.0
    for step, value in enumerate([1.0, 2.0, 4.0], 1):
        network.weight.data.fill_(value)
        average.follow(network)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    with average.lent(network) as lent:
        assert lent.weight.item() == pytest.approx(expected)
    assert network.weight.item() == 4.0


def test_kept_weights_are_the_averaged_ones(blobs: Blobs) -> None:
    torch.manual_seed(0)
    network = nn.Linear(5, 2)
    plan = loop.LoopConfig("sgd", (0.5,) * 5, average=0.9)
    course = loop.train_network(network, blobs, plan)
    assert loop.validate_network(network, blobs, plan)[0] == pytest.approx(course.loss, abs=1e-6)


@pytest.mark.parametrize("keep", ["loss", "accuracy", "last"])
def test_kept_is_the_epoch_that_was_asked_for(blobs: Blobs, keep: str) -> None:
    torch.manual_seed(3)
    plan = loop.LoopConfig("sgd", (30.0,) * 12, 0.0, weights=torch.tensor([1.0, 9.0]), keep=keep)  # type: ignore[arg-type]
    course = loop.train_network(nn.Linear(5, 2), blobs, plan)
    rows = [row for row in course.rows if row["part"] == "validation"]
    best = {
        "loss": min(rows, key=lambda row: row["loss"]),
        "accuracy": max(rows, key=lambda row: row["accuracy"]),
        "last": rows[-1],
    }
    assert course.loss == best[keep]["loss"]
    assert len({row["epoch"] for row in best.values()}) == 3  # else it would not tell


def test_smoothing_is_torchs_and_touches_training_only(blobs: Blobs) -> None:
    network = nn.Linear(5, 2)
    plan = loop.LoopConfig("sgd", (0.0,), smoothing=0.2)
    course = loop.train_network(network, blobs, plan)
    logits = network(blobs.inputs).detach()
    smooth = nn.functional.cross_entropy(logits[::2], blobs.labels[::2], label_smoothing=0.2)
    plain = nn.functional.cross_entropy(logits[1::2], blobs.labels[1::2])
    assert course.rows[0]["loss"] == pytest.approx(float(smooth), abs=1e-6)
    assert course.rows[1]["loss"] == pytest.approx(float(plain), abs=1e-6)


def test_a_loss_that_is_no_number_only_on_validation_is_refused_too(blobs: Blobs) -> None:
    """One batch an epoch: the loss is taken before the step that breaks the weights."""
    plan = loop.LoopConfig("sgd", (float("inf"),))
    with pytest.raises(HilumError, match="finite validation loss; got none in 1 epochs"):
        loop.train_network(nn.Linear(5, 2), blobs, plan)


@pytest.mark.parametrize("eps", [1e-8, 1e-7, 1e-2])
def test_adams_first_step_by_hand(eps: float) -> None:
    """After bias correction the first step is lr g / (|g| + eps), Kingma & Ba, algorithm 1."""
    network = nn.Linear(1, 2, bias=False)
    nn.init.zeros_(network.weight)
    inputs, labels = torch.tensor([[1e-3], [1e-3]]), torch.tensor([0, 0])

    class One(Blobs):
        def train(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
            yield self.inputs, self.labels

        validation = lambda self: self.train(0)  # noqa: E731

    loop.train_network(network, One(inputs, labels), loop.LoopConfig("adam", (0.1,), eps=eps))
    gradient = torch.tensor([[-0.5e-3], [0.5e-3]])  # softmax is 1/2, the input 1e-3
    wanted = -0.1 * gradient / (gradient.abs() + eps)
    torch.testing.assert_close(network.weight.detach(), wanted, rtol=1e-5, atol=0)


def test_images_seen_are_images_times_epochs(blobs: Blobs) -> None:
    course = loop.train_network(nn.Linear(5, 2), blobs, loop.LoopConfig("sgd", (0.1,) * 3))
    assert [row["images_seen"] for row in course.rows] == [100, 100, 200, 200, 300, 300]
    assert course.images_seen == 300
