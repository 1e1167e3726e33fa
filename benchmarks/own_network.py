"""The source network of own_source.py: films, the network's fixed start, and how its end is taught.

The stages of EfficientNet-Lite0 up to stride 16 stay as ImageNet left them. Their maps are computed
once for each film, its mirror image and a few augmented views. The two stages after them and the
last convolution learn, from labels, from pairs of views (SimSiam), or from both.
"""

import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hilum import files, recipes
from hilum.augment import sample
from hilum.augment.sample import AugmentationRanges
from hilum.data import prepared_dataset
from hilum.experiment import dataset
from hilum.experiment.context import preprocessing_of
from hilum.models import backbones
from hilum.models.backbone import BackboneWithMaps
from hilum.models.normalise import InputNormalisation
from hilum.models.runtime.compiling import compile_network
from hilum.training.depthwise import Depthwise
from hilum.training.loop import learning_rates
from hilum.types import Floats, Stack8
from ridge import Rows, rounds, tied

BACKBONE = "tf_efficientnet_lite0"
CUT = (8, 16)  # strides of the fixed maps; what follows the last of them is taught
PLAIN, AUGMENTED, CHUNK = 2, 6, 128  # plain views: the film and its mirror image
RANGES = AugmentationRanges(
    rotation=10, crop_scale=(0.5, 1.0), crop_aspect=(0.8, 1.25), value=0.2, contrast=0.4, flip=0.5
)
FEWEST = 20  # films with a finding and without it, else it is not taught
MOST = 10.0  # that a rare finding counts, against its absence
BATCH, RATE, DECAY = 64, 5e-4, 0.01  # pictures of a batch: half as many films where they are pairs
LOOKS = 4  # at validation films
PROJECTED, PREDICTED = 512, 128
KERMANY = {"normal": 500, "bacterial_pneumonia": 500, "viral_pneumonia": 500}  # of its films
RECIPE = {
    "name": "own-source",
    "data": [{"card": "cohen"}, {"card": "nih"}, {"card": "kermany", "take": KERMANY}],
    "prepare": {"steps": [{"step": "equalise"}, {"step": "letterbox", "side": 224}]},
    "split": {"kind": "holdout"},
}


@dataclass(frozen=True, slots=True)
class Films:
    """All films in one order: the manifest's rows, what is fixed of each, and who belongs together.

    `targets` (film, finding) are 1 or 0, and nan where the film's source does not name the finding.
    """

    table: pd.DataFrame
    groups: Rows  # (film,) patients and near duplicates, of several sources as well
    means: Floats  # (film, channel) of the fixed maps, over the film and its mirror image
    maps: npt.NDArray[np.float16]  # (view, film, channel, row, column), the last fixed ones
    targets: Floats
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """A way of teaching: what the loss of labels and that of pairs of views count."""

    name: str
    labels: float
    pairs: float


class SourceNetwork(nn.Module):
    """The end of the backbone that is taught, and the layers that serve its teaching alone."""

    def __init__(self, findings: int) -> None:
        super().__init__()
        self.end = end_of_backbone()
        width = backbones.backbone_card(BACKBONE).features
        self.labels = nn.Linear(width, findings)
        self.projector = nn.Sequential(
            nn.Linear(width, PROJECTED, bias=False), nn.BatchNorm1d(PROJECTED), nn.ReLU(),
            nn.Linear(PROJECTED, PROJECTED, bias=False), nn.BatchNorm1d(PROJECTED, affine=False),
        )  # fmt: skip
        self.predictor = nn.Sequential(
            nn.Linear(PROJECTED, PREDICTED, bias=False), nn.BatchNorm1d(PREDICTED), nn.ReLU(),
            nn.Linear(PREDICTED, PROJECTED),
        )  # fmt: skip


@cache
def _start() -> backbones.Backbone:
    return backbones.build_backbone(BACKBONE, pool=CUT).eval()


def end_of_backbone() -> nn.Module:
    """The last fixed maps (film, channel, row, column) -> features (film, feature): ImageNet's."""
    net = copy.deepcopy(backbones.build_backbone(BACKBONE).net)
    rest = net.blocks[len(_start().net.blocks) :]
    return nn.Sequential(rest, net.conv_head, net.bn2, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def read_films(data: Path) -> Films:
    """The films of three sources, prepared once, and the fixed maps of all views."""
    recipe = recipes.parse_recipe(RECIPE)
    manifest = dataset.load_manifest(recipe, data, Path())
    images = prepared_dataset.prepare_dataset(manifest, preprocessing_of(recipe))
    table, stack = images.manifest.table, np.asarray(images.pixels.stack)
    means, maps = kept_maps(stack, table["sample_id"].tolist(), images.pixels.digest)
    targets, findings = targets_of(table)
    return Films(table, tied(images), means, maps, targets, findings)


def kept_maps(
    stack: Stack8, names: Sequence[str], digest: str
) -> tuple[Floats, npt.NDArray[np.float16]]:
    """Means of plain views and maps of all views, from hilum's cache where they are there."""
    settings = asdict(RANGES), AUGMENTED, list(names)
    key = files.stable_digest(digest, _start().weights.digest, CUT, settings)
    kept = files.cache_home() / "bench" / f"{key}.npz"
    if not kept.is_file():
        views = [stack, np.ascontiguousarray(stack[:, :, ::-1])]
        for view in range(AUGMENTED):
            views.append(sample.apply(stack, sample.sample(RANGES, names, 0, view), 1))
        found = [fixed_maps(view) for view in views]
        means = np.mean([own for own, _ in found[:PLAIN]], axis=0)
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, means=means, maps=np.stack([own for _, own in found]))
    stored = np.load(kept)
    return stored["means"], stored["maps"]


def fixed_maps(stack: Stack8) -> tuple[Floats, npt.NDArray[np.float16]]:
    """Prepared (film, height, width) -> means (film, channel) of all fixed maps, and the last."""
    start = _start()
    layer = nn.Sequential(InputNormalisation(start.card.normalise), BackboneWithMaps(start)).eval()
    run = compile_network(layer, (stack.shape[1], stack.shape[2]))
    side, last = stack.shape[1] // CUT[-1], [*start.earlier.values()][-1]
    means, maps = [], []
    for at in range(0, len(stack), CHUNK):
        out = run(stack[at : at + CHUNK])
        means.append(out[:, : start.channels])
        both = out[:, start.channels :].reshape(len(out), start.channels, side, side)
        maps.append(both[:, -last:].astype(np.float16))
    return np.concatenate(means), np.concatenate(maps)


def targets_of(table: pd.DataFrame) -> tuple[Floats, tuple[str, ...]]:
    """(film, finding) of every source's own findings, and their names."""
    columns: dict[str, npt.NDArray[np.float32]] = {}
    words = [set(re.split(r"\s*[|,]\s*", str(text))) for text in table["finding"]]
    for source in sorted(table["dataset"].unique()):
        own = (table["dataset"] == source).to_numpy()
        for word in sorted(set().union(*(words[i] for i in np.flatnonzero(own)))):
            there = np.array([word in each for each in words])
            if FEWEST <= there[own].sum() <= own.sum() - FEWEST:
                columns[f"{source}: {word}"] = np.where(own, there, np.nan).astype(np.float32)
    return np.stack([*columns.values()], 1), tuple(columns)


def divide(films: Films, left_out: str) -> tuple[Rows, Rows]:
    """Rows that teach and rows that validate, no group in both, and nothing of the left-out source.

    A film of another source that belongs to a group of the left-out one does neither.
    """
    own = (films.table["dataset"] == left_out).to_numpy()
    others = np.flatnonzero(~own & ~np.isin(films.groups, films.groups[own]))
    kinds = (films.table["dataset"] + films.table["label"]).factorize()[0][others]
    taught, held = next(rounds(kinds.astype(np.int64), films.groups[others], 0))
    return others[taught], others[held]


def teach(films: Films, left_out: str, way: Way, steps: int) -> tuple[nn.Module, list[str]]:
    """The end of the backbone, taught without a source, and lines of its course.

    With labels the state of the lowest loss on validation films is kept, else the last.
    """
    torch.manual_seed(0)
    taught, held = divide(films, left_out)
    network = SourceNetwork(len(films.findings)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    rates = learning_rates(RATE, steps, "cosine", 0, 0)
    weights = rarity(films.targets[taught])
    best, kept, course = np.inf, copy.deepcopy(network.end.state_dict()), []
    chosen = batches(taught, steps, BATCH // 2 if way.pairs else BATCH)
    for step, (rate, batch) in enumerate(zip(rates, chosen, strict=True), 1):
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad(set_to_none=True)
        loss = lesson(network.train(), films, batch, way, weights)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % max(1, steps // LOOKS) == 0 or step == steps:
            watched = validation_loss(network, films, held, weights)
            course.append(f"{step}: {loss.item():.4f}, validation {watched:.4f}")
            if watched < best or not way.labels:
                best, kept = watched, copy.deepcopy(network.end.state_dict())
    if way.pairs:
        course.append(f"spread {spread(network.eval(), films, held):.2f}")
    network.end.load_state_dict(kept)
    return network.end.eval(), course


def batches(rows: Rows, steps: int, most: int) -> Iterator[tuple[Rows, Rows]]:
    """Rows of each batch, shuffled and gone through again, and two different views of each row."""
    random = np.random.default_rng(0)
    count, size = PLAIN + AUGMENTED, min(most, len(rows))
    passes = -(-steps * size // len(rows))
    order = np.concatenate([random.permutation(rows) for _ in range(passes)])
    for step in range(steps):
        first = random.integers(0, count, size)
        second = (first + random.integers(1, count, size)) % count
        yield order[step * size : (step + 1) * size], np.stack([first, second])


def lesson(
    network: SourceNetwork, films: Films, batch: tuple[Rows, Rows], way: Way, weights: Tensor
) -> Tensor:
    """The loss of one batch (rows, views); without pairs the second view is left alone."""
    rows, views = batch[0], batch[1] if way.pairs else batch[1][:1]
    maps = np.concatenate([films.maps[view, rows] for view in views])
    loss = torch.zeros(())
    with torch.autocast("cpu", torch.bfloat16), Depthwise():
        features = network.end(as_input(maps))
        if way.labels:
            targets = torch.from_numpy(np.tile(films.targets[rows], (len(views), 1)))
            logits = network.labels(features).float()
            loss = loss + way.labels * loss_of_labels(logits, targets, weights)
        if way.pairs:
            projected = network.projector(features)
            predicted = network.predictor(projected).float()
            loss = loss + way.pairs * loss_of_pairs(predicted, projected.float())
    return loss


def as_input(maps: npt.NDArray[np.float16]) -> Tensor:
    """Kept maps as the network takes them."""
    return torch.from_numpy(maps).float().contiguous(memory_format=torch.channels_last)


def rarity(targets: Floats) -> Tensor:
    """(finding,) what a film with the finding counts, so that both sides count alike."""
    there, absent = (targets == 1).sum(0), (targets == 0).sum(0)
    return torch.from_numpy(np.clip(absent / np.maximum(there, 1), 1 / MOST, MOST)).float()


def loss_of_labels(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Mean over films of the mean over the findings that the film's source names."""
    asked = ~targets.isnan()
    each = F.binary_cross_entropy_with_logits(
        logits, targets.nan_to_num(), reduction="none", pos_weight=weights
    )
    return ((each * asked).sum(1) / asked.sum(1).clamp(min=1)).mean()


def loss_of_pairs(predicted: Tensor, projected: Tensor) -> Tensor:
    """Each view's prediction against the other view, which gets no gradient.

    SimSiam: Chen & He 2021, arXiv:2011.10566, algorithm 1.
    """
    first, second = predicted.chunk(2)
    fixed_first, fixed_second = projected.detach().chunk(2)
    alike = F.cosine_similarity(first, fixed_second) + F.cosine_similarity(second, fixed_first)
    return -alike.mean() / 2


def spread(network: SourceNetwork, films: Films, rows: Rows) -> float:
    """How far apart projections of films are: 0 where all collapse into one, 1 at most."""
    with torch.no_grad():
        found = torch.from_numpy(features_of(network.end, films, rows, views=1))
        unit = F.normalize(network.projector(found))
    return float(unit.std(0).mean() * PROJECTED**0.5)


def validation_loss(network: SourceNetwork, films: Films, rows: Rows, weights: Tensor) -> float:
    """The loss of labels on plain films."""
    network.eval()
    with torch.no_grad():
        found = torch.from_numpy(features_of(network.end, films, rows, views=1))
        targets = torch.from_numpy(films.targets[rows])
        return float(loss_of_labels(network.labels(found), targets, weights))


def features_of(end: nn.Module, films: Films, rows: Rows, views: int = PLAIN) -> Floats:
    """(film, feature) in fp32, the mean over the film and its mirror image."""
    found = []
    with torch.no_grad():
        for at in range(0, len(rows), CHUNK):
            maps = films.maps[:views, rows[at : at + CHUNK]]
            found.append(np.mean([end(as_input(view)).numpy() for view in maps], axis=0))
    return np.concatenate(found)
