"""Fine-tuning every layer on the CPU, files to a trained network: hilum and its peers in turn.

    python benchmarks/fine_tuning.py [--quick] [--full] [--data FOLDER_OF_CLASS_FOLDERS]

Same network, first weights, films and optimiser. hilum trains in bf16 where the processor has it,
as every run does, and its row says so; the peer is what a tutorial writes: fp32, default memory
layout, films decoded and turned by Pillow and torchvision in a DataLoader of as many workers as
there are cores. Lightning trains the same in its own loop, fastai with its own loaders and
transforms. They take turns epoch by epoch; hilum's first epoch fills its pixel store. The second
row of hilum sees films of half the side in all but the last quarter of its epochs (`side` of a
stage in a recipe). At the end each is tested on the same films, which none has seen.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
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
from hilum import files, preprocess
from hilum.augment.sample import AugmentationRanges
from hilum.data import manifest, prepared_dataset
from hilum.models import backbones, torchvision_compat
from hilum.models.normalise import NORMALISE, InputNormalisation
from hilum.models.runtime.torch import has_bf16
from hilum.training import loop
from hilum.training.batches import PartIndices, PixelBatches
from hilum.types import Manifest
from side_by_side import Right, Row, Size

SIDE, SMALL, BATCH, RATE = 224, 112, 32, 3e-2
ROTATION = 10
BF16 = has_bf16(torch.device("cpu"))  # what a run trains in here
NETWORKS = ("tf_efficientnet_lite0", "resnet18", "resnet50")
PIPELINE = preprocess.from_list([{"step": "resize", "side": SIDE}])
OURS, SMALL_FIRST = "hilum", "hilum, small films first"


@dataclass(frozen=True, slots=True)
class Task:
    """The films of one benchmark: those that teach and those that test."""

    taught: Manifest
    tested: Manifest
    classes: list[str]
    epochs: int

    def numbers(self, found: Manifest) -> list[int]:
        """The class index of each image."""
        return [self.classes.index(label) for label in found.table["label"]]


@dataclass(frozen=True, slots=True)
class Rival:
    """Trains one epoch at a call, of the number given; then says which films it tells rightly."""

    epoch: Callable[[int], None]
    right: Callable[[], Right]


@dataclass(frozen=True)
class Films(Dataset[tuple[torch.Tensor, int]]):
    """The peers' data: paths and labels, decoded one by one."""

    paths: list[str]
    labels: list[int]
    change: Any

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        with Image.open(self.paths[i]) as film:
            return self.change(film.convert("RGB")), self.labels[i]


def network(name: str, classes: int) -> nn.Module:
    """The backbone and a new head, the same at every call."""
    torch.manual_seed(0)
    backbone = side_by_side.backbone(name)
    return nn.Sequential(backbone, nn.Linear(backbone.card.features, classes))


def loader(name: str, task: Task, *, taught: bool) -> Any:
    """What a tutorial does: films are turned when they teach, and as they are when they test."""
    torchvision_compat.timm()  # before torchvision, whose operators may be of another build
    from torchvision import transforms

    row = NORMALISE[backbones.backbone_card(name).normalise]
    turned = [transforms.RandomHorizontalFlip(), transforms.RandomRotation(ROTATION)]
    change = transforms.Compose(
        [
            transforms.Resize((SIDE, SIDE)),
            *(turned if taught else []),
            transforms.ToTensor(),
            transforms.Normalize(row.mean, row.std),
        ]
    )
    found = task.taught if taught else task.tested
    films = Films(list(found.table["path"]), task.numbers(found), change)
    return DataLoader(films, BATCH, shuffle=taught, num_workers=files.available_cpus())


def told(model: nn.Module, batches: Any) -> Right:
    """Whether the class with the highest logit is the true one, film by film."""
    model.eval()
    with torch.no_grad():
        return np.concatenate([(model(x).argmax(1) == y).numpy() for x, y in batches])


def ours(name: str, task: Task, sides: tuple[int, ...]) -> Rival:
    """The training loop that every run uses, on films of one side in each epoch."""
    door = InputNormalisation(backbones.backbone_card(name).normalise)
    model = nn.Sequential(door, network(name, len(task.classes)))
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    # no momentum: nothing lasts between epochs
    plan = loop.LoopConfig("sgd", (RATE,), 0.0, bf16=BF16, keep="last")
    store = cache(
        lambda: prepared_dataset.prepare_dataset(task.taught, PIPELINE).pixels
    )  # in the first epoch

    def epoch(number: int) -> None:
        taken = store()
        labels = np.array(task.numbers(task.taught), np.int64)
        parts = PartIndices(np.arange(len(labels)), np.arange(2), labels)
        turned = AugmentationRanges(rotation=ROTATION, flip=0.5)
        batches = PixelBatches(
            taken.stack, taken.sample_ids, parts, turned, BATCH, number, side=sides[number]
        )
        loop.train_network(model, batches, plan)

    def right() -> Right:
        films = torch.from_numpy(
            np.array(prepared_dataset.prepare_dataset(task.tested, PIPELINE).pixels.stack)
        )
        labels = torch.tensor(task.numbers(task.tested)).split(BATCH)
        return told(model, zip(films[:, None].split(BATCH), labels, strict=True))

    return Rival(epoch, right)


def plain(name: str, task: Task) -> Rival:
    """The loop of a tutorial."""
    taught, tested = loader(name, task, taught=True), loader(name, task, taught=False)
    model = network(name, len(task.classes))
    optimiser = torch.optim.SGD(model.parameters(), RATE)

    def epoch(number: int) -> None:
        model.train()
        for images, labels in taught:
            optimiser.zero_grad()
            F.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
            optimiser.step()

    return Rival(epoch, lambda: told(model, tested))


def lightning(name: str, task: Task) -> Rival | None:
    """The same training by Lightning's Trainer, with its defaults for one process."""
    package: Any = side_by_side.peer("lightning")
    if package is None:
        return None
    taught, tested = loader(name, task, taught=True), loader(name, task, taught=False)
    model = network(name, len(task.classes))

    class Training(package.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: Any, number: int) -> torch.Tensor:
            return F.cross_entropy(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.model.parameters(), RATE)

    training = Training()

    def epoch(number: int) -> None:
        trainer = package.Trainer(
            max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        training.train()
        trainer.fit(training, taught)

    return Rival(epoch, lambda: told(model, tested))


def fastai(name: str, task: Task) -> Rival | None:
    """The same training by fastai's Learner, with its image loaders and its own transforms."""
    if side_by_side.peer("fastai") is None:
        return None
    from fastai.vision import all as vision

    row = NORMALISE[backbones.backbone_card(name).normalise]
    turned = vision.aug_transforms(max_rotate=ROTATION, max_zoom=1, max_lighting=0, max_warp=0)
    table = pd.DataFrame({"path": task.taught.table["path"], "number": task.numbers(task.taught)})
    shown = vision.ImageDataLoaders.from_df(
        table, path="/", valid_pct=0.0, bs=BATCH, num_workers=files.available_cpus(),
        item_tfms=vision.Resize(SIDE, method="squish"),
        batch_tfms=[*turned, vision.Normalize.from_stats(row.mean, row.std)],
    )  # fmt: skip
    model = network(name, len(task.classes))
    learner = vision.Learner(
        shown, model, loss_func=nn.CrossEntropyLoss(), opt_func=vision.SGD, lr=RATE
    )

    def epoch(number: int) -> None:
        with learner.no_bar(), learner.no_logging():
            learner.fit(1)

    return Rival(epoch, lambda: told(model, loader(name, task, taught=False)))


def measure(name: str, task: Task) -> list[Row]:
    """All rivals in turn, one epoch at a time; then each is tested."""
    first = task.epochs - max(1, task.epochs // 4)
    sides = (SMALL,) * first + (0,) * (task.epochs - first)
    made = {
        OURS: ours(name, task, (0,) * task.epochs),
        SMALL_FIRST: ours(name, task, sides),
        "plain PyTorch": plain(name, task),
        "Lightning": lightning(name, task),
        "fastai": fastai(name, task),
    }
    rivals = {who: rival for who, rival in made.items() if rival is not None}
    seconds = dict.fromkeys(rivals, 0.0)
    for number in range(task.epochs):
        for who, rival in rivals.items():
            start = time.perf_counter()
            rival.epoch(number)
            seconds[who] += time.perf_counter() - start
    right = {who: rival.right() for who, rival in rivals.items()}
    what = f"{name}, {len(task.taught.table)} films, {task.epochs} epochs"
    films = len(task.taught.table) * task.epochs
    rates = {who: films / spent for who, spent in seconds.items()}
    peers = [who for who in rivals if who not in (OURS, SMALL_FIRST)]
    row = partial(Row, "fine-tuning", what)
    rows = [side_by_side.absent("fine-tuning", what, who) for who in made if who not in rivals]
    for own, wanted in ((OURS, ">= 3 x"), (SMALL_FIRST, "")):
        told = side_by_side.share(right[own])
        rows.append(
            row(own, rates[own], "images/s", agreement=told, note="bf16" if BF16 else "fp32")
        )
        for who in peers:
            ratio = rates[own] / rates[who]
            apart = side_by_side.difference(right[own], right[who])
            rows.append(row(who, rates[who], "images/s", ratio, wanted, apart, f"against {own}"))
    return rows


def drawn(size: Size, folder: Path) -> Task:
    """Films to learn from and others to be tested on, divided at random."""
    taught, tested = size.pick(96, 320, 640), size.pick(96, 160, 320)
    table = side_by_side.films(size, taught + tested, SIDE, folder / "films")
    table = table.sample(frac=1, random_state=0)
    parts = [manifest.assemble_manifest(part, "bench") for part in (table[:taught], table[taught:])]
    return Task(*parts, sorted(table["label"].unique()), size.pick(2, 4, 8))


def main() -> None:
    """Print and store the table."""
    size = side_by_side.asked(__doc__, "fine_tuning")
    with side_by_side.workplace() as folder:
        task = drawn(size, folder)
        rows = [row for name in NETWORKS[: size.pick(1, 2, 3)] for row in measure(name, task)]
    side_by_side.finish(rows, size.out)


if __name__ == "__main__":
    main()
