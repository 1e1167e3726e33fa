"""Fine-tuning every layer on the CPU: hilum's loop against the plain PyTorch loop, in turn.

    python benchmarks/fine_tuning.py [--backbone NAME] [--rounds N]

Same network, first weights, films, order and optimiser; the peer is what a tutorial writes: fp32,
default memory layout, films decoded and turned by Pillow and torchvision in a DataLoader of as many
workers as there are cores. Each round trains both for one epoch; the ratio of the medians is
printed, and how far the losses of the last epoch are apart.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from hilum import files
from hilum.data import phantom
from hilum.models import backbones, shim
from hilum.models.normalise import NORMALISE, Door
from hilum.prepare.augment import Ranges
from hilum.train import loop
from hilum.train.batches import Parts, PixelBatches
from hilum.types import Stack8

IMAGES, SIDE, BATCH, RATE = 160, 224, 32, 1e-2
ROTATION = 10


@dataclass(frozen=True)
class Films(Dataset[tuple[torch.Tensor, int]]):
    """The peer's data: paths and labels, decoded one by one."""

    paths: list[str]
    labels: list[int]
    change: Any

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        with Image.open(self.paths[i]) as film:
            return self.change(film.convert("RGB")), self.labels[i]


def network(name: str) -> nn.Module:
    """The backbone and a new head of two classes, the same at every call."""
    torch.manual_seed(0)
    backbone = backbones.build(name)
    return nn.Sequential(backbone, nn.Linear(backbone.card.features, 2))


def peer(name: str, table: pd.DataFrame) -> Any:
    """One epoch at a call: (seconds, mean loss)."""
    shim.timm()  # before torchvision, whose compiled operators may be those of another build
    from torchvision import transforms

    row = NORMALISE[backbones.card(name).normalise]
    change = transforms.Compose(
        [
            transforms.Resize((SIDE, SIDE)),
            transforms.RandomHorizontalFlip(),
            transforms.RandomRotation(ROTATION),
            transforms.ToTensor(),
            transforms.Normalize(row.mean, row.std),
        ]
    )
    films = Films(list(table["path"]), list(table["number"]), change)
    loader = DataLoader(films, BATCH, shuffle=True, num_workers=files.cores())
    model = network(name).train()
    optimiser = torch.optim.SGD(model.parameters(), RATE)  # no memory between epochs

    def epoch() -> tuple[float, float]:
        start, losses = time.perf_counter(), []
        for images, labels in loader:
            optimiser.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(loss.item())
        return time.perf_counter() - start, statistics.fmean(losses)

    return epoch


def ours(name: str, stack: Stack8, table: pd.DataFrame) -> Any:
    """One epoch at a call, through the training loop that every run uses."""
    model = nn.Sequential(Door(backbones.card(name).normalise), network(name))
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    labels = table["number"].to_numpy(np.int64)
    parts = Parts(np.arange(len(labels)), np.arange(2), labels)
    done = iter(range(10**6))

    def epoch() -> tuple[float, float]:
        batches = PixelBatches(
            stack, tuple(table["sample_id"]), parts, Ranges(rotation=ROTATION, flip=0.5), BATCH,
            next(done),
        )  # fmt: skip
        start = time.perf_counter()
        course = loop.fit(model, batches, loop.Plan("sgd", (RATE,), 0.0, keep="last"))
        return time.perf_counter() - start, float(course.rows[0]["loss"])

    return epoch


def main() -> None:
    """Print images per second of both, the ratio of medians, and the losses at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--rounds", type=int, default=4)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        request = phantom.Request(images=IMAGES, size=SIDE, seed=1)
        table = phantom.write(request, Path(folder)).table
        table = table.assign(number=pd.factorize(table["label"], sort=True)[0])
        stack = np.stack([np.asarray(Image.open(path).convert("L")) for path in table["path"]])
        runs = {
            "plain PyTorch": peer(asked.backbone, table),
            "hilum": ours(asked.backbone, stack, table),
        }
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        last: dict[str, float] = {}
        for turn in range(asked.rounds + 1):
            for name, epoch in runs.items():
                took, last[name] = epoch()
                if turn:  # the first epoch warms up
                    seconds[name].append(took)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    for name, value in median.items():
        print(
            f"{name:>14}: {IMAGES / value:6.1f} images/s, loss of the last epoch {last[name]:.3f}"
        )
    print(f"ratio of the medians: {median['plain PyTorch'] / median['hilum']:.2f}")


if __name__ == "__main__":
    main()
