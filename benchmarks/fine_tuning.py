"""Fine-tuning every layer on the CPU: hilum's loop and its peers' in turn.

    python benchmarks/fine_tuning.py [--quick] [--full]

Same network, first weights, films, order and optimiser; the peer is what a tutorial writes: fp32,
default memory layout, films decoded and turned by Pillow and torchvision in a DataLoader of as many
workers as there are cores. Lightning trains the same in its own loop, fastai with its own loaders
and transforms. Each round trains each for one epoch; the losses of the last epoch stand beside.
"""

import statistics
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

import side_by_side
from hilum import files
from hilum.data import phantom
from hilum.models import backbones, shim
from hilum.models.normalise import NORMALISE, Door
from hilum.prepare.augment import Ranges
from hilum.train import loop
from hilum.train.batches import Parts, PixelBatches
from hilum.types import Stack8
from side_by_side import Row

IMAGES, SIDE, BATCH, RATE = 160, 224, 32, 1e-2
ROTATION = 10
HELD = ("tf_efficientnet_lite0",)  # weights that come with hilum; the others start at random
NETWORKS = ("tf_efficientnet_lite0", "resnet18", "resnet50")


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
    backbone = backbones.build(name) if name in HELD else backbones.build(name, "random")
    return nn.Sequential(backbone, nn.Linear(backbone.card.features, 2))


def transform(name: str) -> Any:
    """What a tutorial does to each film."""
    shim.timm()  # before torchvision, whose compiled operators may be those of another build
    from torchvision import transforms

    row = NORMALISE[backbones.card(name).normalise]
    return transforms.Compose(
        [
            transforms.Resize((SIDE, SIDE)),
            transforms.RandomHorizontalFlip(),
            transforms.RandomRotation(ROTATION),
            transforms.ToTensor(),
            transforms.Normalize(row.mean, row.std),
        ]
    )


def peer(name: str, table: pd.DataFrame) -> Any:
    """One epoch at a call: (seconds, mean loss)."""
    films = Films(list(table["path"]), list(table["number"]), transform(name))
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


def lightning(name: str, table: pd.DataFrame) -> Any:
    """The same training by Lightning's Trainer, with its defaults for one process."""
    package: Any = side_by_side.peer("lightning")
    if package is None:
        return None
    films, model = Films(list(table["path"]), list(table["number"]), transform(name)), network(name)
    model.train()
    loader = DataLoader(films, BATCH, shuffle=True, num_workers=files.cores())
    losses: list[float] = []

    class Training(package.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: Any, number: int) -> torch.Tensor:
            loss = F.cross_entropy(self.model(batch[0]), batch[1])
            losses.append(loss.item())
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.model.parameters(), RATE)

    training = Training()

    def epoch() -> tuple[float, float]:
        losses.clear()
        trainer = package.Trainer(
            max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        start = time.perf_counter()
        trainer.fit(training, loader)
        return time.perf_counter() - start, statistics.fmean(losses)

    return epoch


def fastai(name: str, table: pd.DataFrame) -> Any:
    """The same training by fastai's Learner, with its image loaders and its own transforms."""
    if side_by_side.peer("fastai") is None:
        return None
    from fastai.vision import all as vision

    turned = vision.aug_transforms(max_rotate=ROTATION, max_zoom=1, max_lighting=0, max_warp=0)
    shown = vision.ImageDataLoaders.from_df(
        table[["path", "number"]], path="/", valid_pct=0.0, bs=BATCH, num_workers=files.cores(),
        item_tfms=vision.Resize(SIDE, method="squish"),
        batch_tfms=turned,
    )  # fmt: skip
    learner = vision.Learner(
        shown, network(name), loss_func=nn.CrossEntropyLoss(), opt_func=vision.SGD, lr=RATE
    )

    def epoch() -> tuple[float, float]:
        start = time.perf_counter()
        with learner.no_bar(), learner.no_logging():
            learner.fit(1)
        return time.perf_counter() - start, float(learner.recorder.losses[-1])

    return epoch


def measure(name: str, size: side_by_side.Size, folder: Path) -> list[Row]:
    """All rivals in turn, one epoch at a time."""
    count = size.pick(64, IMAGES, 640)
    request = phantom.Request(images=count, size=SIDE, seed=1)
    table = phantom.write(request, folder / name).table
    table = table.assign(number=pd.factorize(table["label"], sort=True)[0])
    stack = np.stack([np.asarray(Image.open(path).convert("L")) for path in table["path"]])
    made = {
        "hilum": ours(name, stack, table),
        "plain PyTorch": peer(name, table),
        "Lightning": lightning(name, table),
        "fastai": fastai(name, table),
    }
    runs = {who: epoch for who, epoch in made.items() if epoch is not None}
    seconds: dict[str, list[float]] = {who: [] for who in runs}
    last: dict[str, float] = {}
    for turn in range(size.pick(1, 2, 4) + 1):
        for who, epoch in runs.items():
            took, last[who] = epoch()
            if turn:  # the first epoch warms up
                seconds[who].append(took)
    median = {who: statistics.median(values) for who, values in seconds.items()}
    rows = [side_by_side.absent("fine-tuning", name, who) for who in made if who not in runs]
    for who, value in median.items():
        ratio = None if who == "hilum" else value / median["hilum"]
        loss = f"loss of the last epoch {last[who]:.3f}"
        wanted = "" if who == "hilum" else ">= 3 x"
        rows.append(Row("fine-tuning", name, who, count / value, "images/s", ratio, wanted, loss))
    return rows


def main() -> None:
    """Print and store the table."""
    size = side_by_side.asked(__doc__, "fine_tuning")
    with side_by_side.workplace() as folder:
        rows = [
            row for name in NETWORKS[: size.pick(1, 2, 3)] for row in measure(name, size, folder)
        ]
    side_by_side.finish(rows, size.out)


if __name__ == "__main__":
    main()
