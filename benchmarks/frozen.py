"""A frozen study, whole: films in folders to tested classifier, as `hilum run` does it.

    python benchmarks/frozen.py [--quick] [--full] [--data FOLDER_OF_CLASS_FOLDERS]

About 755 training films, 100 epochs, augmentation, a held-out test. The peer is the papers' way: a
plain PyTorch loop that decodes every film and runs the frozen network in every epoch. Its epochs
are alike, so two are timed and multiplied by 50, unless --full asks for all 100; its head then
goes on to its hundredth epoch on the features of those two. hilum's cache is empty at the start.
"""

import json
import os
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

from hilum import experiment, files, recipes
from hilum.models import backbones, torchvision_compat
from hilum.models.normalise import NORMALISE
from side_by_side import Right, Row, Size, absent, asked, difference, films, finish, peer, workplace

NETWORK, SIDE, BATCH, EPOCHS, ROTATION = "tf_efficientnet_lite0", 224, 32, 100, 15
LAST = "score, audit, report"  # the first step that the peer does not take
RECIPE = """
name = "bench"
title = "A frozen network"
cost = "minutes"
classes = {classes}
[[data]]
path = {path}
[split]
kind = "holdout"
test = 0.2
validation = 0.055
group = "image"
[model]
backbone = "{network}"
[prepare]
steps = [{{ step = "resize" }}]
[train]
balance = "none"
[augment]
views = 4
rotation = {rotation}
flip = 0.5
"""


@dataclass(frozen=True, slots=True)
class Told:
    """How long a rival took, and which test films it told rightly."""

    seconds: float
    right: Right


class Films(Dataset[tuple[torch.Tensor, int]]):
    """The peer's films, decoded one by one, changed at random in training."""

    def __init__(self, table: pd.DataFrame, change: Any) -> None:
        self.paths, self.numbers, self.change = list(table["path"]), list(table["number"]), change

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        with Image.open(self.paths[i]) as film:
            return self.change(film.convert("RGB")), self.numbers[i]


def hilum(folder: Path, classes: list[str]) -> tuple[Told, float, pd.DataFrame]:
    """The run, the seconds up to its last step, and its split (path, number, part)."""
    plan = folder / "bench.toml"
    plan.write_text(
        RECIPE.format(
            classes=json.dumps(classes), path=json.dumps(str(folder / "classes")),
            network=NETWORK, rotation=ROTATION,
        )
    )  # fmt: skip
    reached: dict[str, float] = {}
    start = time.perf_counter()

    def step(name: str) -> Any:
        reached.setdefault(name, time.perf_counter() - start)
        return lambda done, total: None

    experiment.run_recipe(recipes.load_recipe(str(plan)), None, folder / "run", step)
    whole = time.perf_counter() - start
    told = pd.read_csv(folder / "run" / "predictions.csv")
    best = told[[f"p_{name}" for name in classes]].to_numpy().argmax(1)
    right = best == np.array([classes.index(name) for name in told["label"]])
    table = pd.read_parquet(folder / "run" / "manifest.parquet")
    table = table.merge(pd.read_csv(folder / "run" / "splits.csv")[["sample_id", "part"]])
    table["number"] = [classes.index(name) for name in table["label"]]
    order = told.set_index("sample_id").index
    tested = table.set_index("sample_id").loc[order].reset_index()
    return Told(whole, right), reached[LAST], pd.concat([table[table["part"] == "train"], tested])


def plain(table: pd.DataFrame, epochs: int) -> Told:
    """The papers' loop; seconds are those of EPOCHS epochs and the test."""
    torchvision_compat.timm()
    from torchvision import transforms

    row = NORMALISE[backbones.backbone_card(NETWORK).normalise]
    tail = [transforms.ToTensor(), transforms.Normalize(row.mean, row.std)]
    turned = [transforms.RandomHorizontalFlip(), transforms.RandomRotation(ROTATION)]
    resize = [transforms.Resize((SIDE, SIDE))]
    train = Films(table[table["part"] == "train"], transforms.Compose([*resize, *turned, *tail]))
    test = Films(table[table["part"] == "test"], transforms.Compose([*resize, *tail]))
    network, width = (
        backbones.build_backbone(NETWORK).eval(),
        backbones.backbone_card(NETWORK).features,
    )
    torch.manual_seed(0)
    head = nn.Linear(width, len(set(train.numbers)))
    optimiser = torch.optim.Adam(head.parameters(), 1e-3)
    spent, kept = [], []
    for _ in range(epochs):
        start = time.perf_counter()
        for x, y in DataLoader(train, BATCH, shuffle=True, num_workers=files.available_cpus()):
            with torch.no_grad():
                features = network(x).flatten(1)
            _step(head, optimiser, features, y)
            kept.append((features, y))
        spent.append(time.perf_counter() - start)
    for epoch in range(epochs, EPOCHS):  # on the features of the epochs that were run
        part = len(kept) // epochs * (epoch % epochs)
        for features, y in kept[part : part + len(kept) // epochs]:
            _step(head, optimiser, features, y)
    start, right = time.perf_counter(), []
    with torch.no_grad():
        for x, y in DataLoader(test, BATCH, num_workers=files.available_cpus()):
            right.append((head(network(x).flatten(1)).argmax(1) == y).numpy())
    tested = time.perf_counter() - start
    return Told(float(np.median(spent)) * EPOCHS + tested, np.concatenate(right))


def _step(head: nn.Module, optimiser: Any, features: torch.Tensor, y: torch.Tensor) -> None:
    optimiser.zero_grad()
    F.cross_entropy(head(features), y).backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def keras(table: pd.DataFrame) -> float | None:
    """Seconds of EPOCHS epochs of Keras's own loop on the torch backend; None without Keras."""
    os.environ["KERAS_BACKEND"] = "torch"
    package: Any = peer("keras")
    if package is None:
        return None
    train = table[table["part"] == "train"]

    class Batches(package.utils.PyDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return len(range(0, len(train), BATCH))

        def __getitem__(self, i: int) -> tuple[Any, Any]:
            rows = train.iloc[i * BATCH : (i + 1) * BATCH]
            shown = [
                np.asarray(Image.open(path).convert("RGB").resize((SIDE, SIDE)), np.float32)
                for path in rows["path"]
            ]
            return np.stack(shown), rows["number"].to_numpy()

    base = package.applications.EfficientNetB0(include_top=False, weights=None, pooling="avg")
    base.trainable = False
    layers = package.layers
    network = package.Sequential(
        [
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(ROTATION / 360),
            base,
            layers.Dense(train["number"].nunique(), activation="softmax"),
        ]
    )
    network.compile("adam", "sparse_categorical_crossentropy")
    network.fit(
        Batches(workers=files.available_cpus()), epochs=1, steps_per_epoch=1, verbose=0
    )  # warms up
    start = time.perf_counter()
    network.fit(
        Batches(workers=files.available_cpus(), use_multiprocessing=False), epochs=1, verbose=0
    )
    return (time.perf_counter() - start) * EPOCHS


def measure(size: Size, folder: Path) -> list[Row]:
    """hilum's run, then the peers on the same split."""
    drawn = films(size, size.pick(128, 1000, 1000), 256, folder / "films")
    for path, label in drawn.itertuples(index=False):
        place = folder / "classes" / label / Path(path).name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(path)
    classes = sorted(drawn["label"].unique())
    ours, learnt, table = hilum(folder, classes)
    epochs = size.pick(1, 2, EPOCHS)
    theirs = plain(table, epochs)
    count = int((table["part"] == "train").sum())
    what = f"{count} training films, {EPOCHS} epochs, Lite0"
    note = "" if epochs == EPOCHS else f"{epochs} of {EPOCHS} epochs timed and multiplied"
    told = difference(ours.right, theirs.right)
    rows = [
        Row("frozen", what, "hilum, up to the test", learnt, "s"),
        Row("frozen", what, "hilum run, with audits and report", ours.seconds, "s",
            theirs.seconds / ours.seconds, note="plain PyTorch does none of that"),
        Row("frozen", what, "plain PyTorch", theirs.seconds, "s",
            theirs.seconds / learnt, ">= 40 x", told, note),
    ]  # fmt: skip
    slow = keras(table)
    if slow is None:
        return [*rows, absent("frozen", what, "Keras 3")]
    note = (
        f"EfficientNetB0 with random weights, 1 of {EPOCHS} epochs timed and multiplied: time alone"
    )
    ratio = slow / learnt
    return [*rows, Row("frozen", what, "Keras 3 on torch", slow, "s", ratio, ">= 40 x", "", note)]


def main() -> None:
    """Print and store the table."""
    size = asked(__doc__, "frozen")
    with workplace(converted=False) as folder:
        rows = measure(size, folder)
    finish(rows, size.out)


if __name__ == "__main__":
    main()
