"""Batches in parts: the sum is the batch's, and it does not matter where a part is computed."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch
import torch.distributed
from torch import nn

from hilum.augment.sample import AugmentationRanges
from hilum.training import loop, replicas
from hilum.training.batches import PartIndices, PixelBatches
from hilum.training.loop import LoopConfig, TrainingHistory
from hilum.training.replicas import InTurn, OneReplica
from hilum.types import HilumError

IMAGES, SIDE, BATCH = 43, 8, 7  # batches of 7, 7, 7 and 4; each of 3 replicas validates one
LABELS = np.arange(IMAGES) % 2
STACK = np.random.default_rng(0).integers(0, 256, (IMAGES, SIDE, SIDE)).astype(np.uint8)
PARTS = PartIndices(np.arange(25), np.arange(25, IMAGES), LABELS)  # a last batch of 4
NAMES = tuple(f"image {number}" for number in range(IMAGES))
COUNTS = (2, 3)  # replicas
Kept: TypeAlias = tuple[dict[str, bytes], list[str]]  # weights, and rows of the history
PLAN = LoopConfig("adamw", (0.01,) * 3, weights=torch.tensor([1.0, 3.0]), smoothing=0.1)


class Scaled(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.float() / 255


def network(*inside: nn.Module) -> nn.Module:
    """A small one; its weights are the same in every process."""
    torch.manual_seed(5)
    first = nn.Conv2d(1, 4, 3)
    return nn.Sequential(Scaled(), first, *inside, nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))


def of_everything() -> nn.Module:
    """With running statistics, with random numbers, and with a weight that is frozen."""
    module = network(nn.BatchNorm2d(4), nn.Dropout(0.3))
    module.get_parameter("1.bias").requires_grad_(False)
    return module


def squares(module: nn.Module) -> torch.Tensor:
    return torch.stack([p.square().sum() for p in module.parameters()]).sum() * 1e-2


def train(module: nn.Module, how: InTurn | OneReplica, plan: LoopConfig = PLAN) -> TrainingHistory:
    batches = PixelBatches(
        STACK, NAMES, PARTS, AugmentationRanges(rotation=5), BATCH, seed=3, replicas=how
    )
    return loop.train_network(module, batches, replace(plan, replicas=how))


def worker(rank: int, count: int, file: str) -> Kept:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{file}", rank=rank, world_size=count
    )
    return kept(train(of_everything(), OneReplica(count, rank, 3), replace(PLAN, average=0.9)))


def workers(folder: Path) -> dict[int, list[Kept]]:
    """What each of so many replicas ends with; their processes are forked: one imports for all."""
    context, found = multiprocessing.get_context("fork"), {}
    for count in COUNTS:
        with ProcessPoolExecutor(count, mp_context=context) as pool:
            running = [
                pool.submit(worker, rank, count, str(folder / f"meeting{count}"))
                for rank in range(count)
            ]
            found[count] = [one.result(timeout=300) for one in running]
    return found


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Kept]]:
    """Trained below a fresh process, which has not computed anything before it forks."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(workers, tmp_path_factory.mktemp("apart")).result(timeout=600)


def kept(course: TrainingHistory) -> Kept:
    state = {name: value.numpy().tobytes() for name, value in course.state.items()}
    return state, list(map(str, course.rows))


@pytest.mark.parametrize("count", COUNTS)
def test_gradients_of_parts_add_up_to_that_of_the_batch(count: int) -> None:
    """One step of plain descent, against the loss of the whole batch by torch alone."""
    plan = replace(PLAN, optimiser="sgd", rates=(0.5,), momentum=0.0, penalty=squares)
    module, alone = network(), network()
    course = train(module, InTurn(count), replace(plan, keep="last"))
    inputs = PixelBatches(STACK, NAMES, PARTS, AugmentationRanges(rotation=5), BATCH, seed=3)
    for images, labels in inputs.train(0):
        if len(labels) < 2 * count:
            continue
        loss = nn.functional.cross_entropy(
            alone(images), labels, plan.weights, label_smoothing=0.1
        ) + squares(alone)
        gradients = torch.autograd.grad(loss, list(alone.parameters()))
        with torch.no_grad():
            for weight, gradient in zip(alone.parameters(), gradients, strict=True):
                weight -= 0.5 * gradient
    for name, value in alone.state_dict().items():
        assert torch.allclose(course.state[name], value, atol=1e-6), name
    assert [row["steps"] for row in course.rows] == ([4, 4] if count == 2 else [3, 3])
    assert [row["images_seen"] for row in course.rows] == ([25, 25] if count == 2 else [21, 21])


@pytest.mark.parametrize("count", COUNTS)
def test_parts_apart_are_the_same_bytes_as_in_turn(
    count: int, apart: dict[int, list[Kept]]
) -> None:
    """With BatchNorm, dropout, averaged weights and validation, in processes that know no other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    expected = kept(train(of_everything(), InTurn(count, 3), replace(PLAN, average=0.9)))
    torch.set_num_threads(threads)
    first, *others = apart[count]
    assert first == expected
    assert all(rows == expected[1] for _, rows in others)  # so that all stop at the same epoch


def test_one_replica_is_the_loop_as_it_was() -> None:
    torch.manual_seed(1)
    one = kept(train(of_everything(), InTurn()))
    plain = PixelBatches(STACK, NAMES, PARTS, AugmentationRanges(rotation=5), BATCH, seed=3)
    assert kept(loop.train_network(of_everything(), plain, PLAN)) == one


def test_statistics_of_batch_norm_follow_the_first_part() -> None:
    module = of_everything()
    images = torch.from_numpy(STACK[:8])[:, None]
    norm = next(part for part in module if isinstance(part, nn.BatchNorm2d))
    seen: list[torch.Tensor] = []
    for number, inputs, labels in InTurn(2).parts(module, images, torch.zeros(8)):
        module.train()(inputs)
        assert len(inputs) == len(labels) == 4
        seen.append(norm.running_mean.clone())
        assert number == len(seen) - 1
    assert torch.equal(norm.running_mean, seen[0])
    assert not torch.equal(*seen)
    assert int(norm.num_batches_tracked) == 1


def test_each_part_of_each_batch_has_random_numbers_of_its_own() -> None:
    """From a range so wide that parts of a long training do not meet."""
    seen = []
    for seed in range(3):
        how = InTurn(3, seed)
        for _ in range(8):
            for _ in how.parts(nn.Identity(), torch.zeros(6), torch.zeros(6)):
                seen.append(torch.initial_seed())
    assert len(set(seen)) == len(seen) == 72
    assert 2**62 < max(seen) < 2**63


@pytest.mark.parametrize(("backend", "device"), [("nccl", "cuda"), ("gloo", "cpu")])
def test_figures_are_added_where_the_group_has_its_numbers(
    monkeypatch: pytest.MonkeyPatch, backend: str, device: str
) -> None:
    monkeypatch.setattr(torch.distributed, "get_backend", lambda: backend)
    assert replicas._device() == device


def test_each_batch_of_validation_has_one_replica_and_all_have_as_many() -> None:
    replica = [OneReplica(3, rank, 0) for rank in range(3)]
    for batch in range(9):
        answers = [one.validated_by(batch) for one in replica]
        assert answers.count(None) == 2
        assert InTurn(3).validated_by(batch) == next(n for n in answers if n is not None)
    for rank, one in enumerate(replica):
        assert [one.validated_by(batch) for batch in range(9)].count(rank) == 3


def test_parts_cover_a_batch_and_differ_by_one_at_most() -> None:
    for images, count in ((7, 2), (8, 3), (64, 5), (3, 3)):
        cut = replicas._cut(images, count)
        assert [n for part in cut for n in range(images)[part]] == list(range(images))
        sizes = {part.stop - part.start for part in cut}
        assert max(sizes) - min(sizes) <= 1


def test_a_loss_that_is_no_number_is_refused_in_parts_too() -> None:
    with pytest.raises(HilumError, match="finite"):
        train(network(), InTurn(2), replace(PLAN, optimiser="sgd", rates=(1e38,) * 3))
