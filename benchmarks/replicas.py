"""Fine-tuning in parts: by one core, and by two workers of Ray Train.

    python benchmarks/replicas.py [--films 256] [--epochs 3] [--backbone NAME]

Drawn films of 224 x 224, every layer trained, batches of 16. Both leave a network, and these
have to be the same to the last bit, or the benchmark fails. An epoch's time is the difference
between a training of all epochs and one of the first alone, so that starting Ray and its workers
(given apart) is left out.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn

from hilum import files
from hilum.augment.sample import AugmentationRanges
from hilum.files.ray_executor import connected
from hilum.models import backbones
from hilum.models.normalise import InputNormalisation
from hilum.models.runtime.torch import has_bf16
from hilum.training import ray_train
from hilum.training.batches import PartIndices, PixelBatches
from hilum.training.loop import LoopConfig, TrainingHistory
from hilum.training.ray_train import TrainingJob
from hilum.training.replicas import InTurn

SIDE, BATCH = 224, 16


def job(backbone: str, films: int, epochs: int, count: int) -> TrainingJob:
    """A network with its head, and noise to train it on."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    stack = random.integers(0, 256, (films, SIDE, SIDE), dtype=np.uint8)
    labels = np.arange(films, dtype=np.int64) % 2
    card = backbones.backbone_card(backbone)
    body = backbones.build_backbone(backbone, "random")
    with torch.no_grad():
        width = body(torch.zeros(1, 3, SIDE, SIDE)).shape[1]
    network = nn.Sequential(InputNormalisation(card.normalise), body, nn.Linear(width, 2))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    batches = PixelBatches(
        stack,
        tuple(map(str, range(films))),
        PartIndices(np.arange(films), np.arange(4), labels),
        AugmentationRanges(rotation=10),
        BATCH,
        0,
    )
    plan = LoopConfig("sgd", (1e-3,) * epochs, bf16=has_bf16(torch.device("cpu")), keep="last")
    return TrainingJob(network, batches, plan, InTurn(count, 0))


def timed(train: Callable[[int], TrainingHistory], epochs: int) -> tuple[float, float, bytes]:
    """Seconds of an epoch, those of the rest, and the network's bytes."""
    spent, course = [], TrainingHistory()
    for some in (1, 1 + epochs):
        start = time.perf_counter()
        course = train(some)
        spent.append(time.perf_counter() - start)
    state = b"".join(value.float().numpy().tobytes() for value in course.state.values())
    each = (spent[1] - spent[0]) / epochs
    return each, spent[0] - each, state


def main() -> None:
    """Time both, one after the other, and print them."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--films", type=int, default=256)
    given.add_argument("--epochs", type=int, default=3)
    given.add_argument("--backbone", default="tf_efficientnet_lite0")
    asked = given.parse_args()

    def run(count: int, shared: Path | None) -> tuple[float, float, bytes]:
        def train(epochs: int) -> TrainingHistory:
            made = job(asked.backbone, asked.films, epochs, count)
            return ray_train.train_job(made, shared, lambda done, total: None)

        return timed(train, asked.epochs)

    files.limit_threads(1)
    alone, _, one = run(2, None)
    with TemporaryDirectory() as folder, connected("local", 2):
        together, starting, two = run(2, Path(folder))
    print(f"one core: {alone:.1f} s an epoch of {asked.films} films")
    print(f"two workers of Ray Train: {together:.1f} s; start {starting:.0f} s")
    print(f"gain: {alone / together:.2f}")
    if one != two:
        raise SystemExit("the networks differ")


if __name__ == "__main__":
    main()
