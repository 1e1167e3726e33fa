"""A hospital that no training image came from: each source of `robust` left out in turn.

    python benchmarks/other_hospital.py --data DATA alarm   # the two-sample test of a batch
    python benchmarks/other_hospital.py --data DATA adapt   # the curve of `hilum adapt`
    python benchmarks/other_hospital.py --data DATA train   # what lowers errors there

Features are those of the recipe `robust` (both pictures, earlier maps), computed once and kept in
hilum's cache. Nothing is chosen on a source that a row is tested on.
"""

import argparse
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum import recipes
from hilum.data import prepared_dataset
from hilum.experiment import cell_context, cell_features, dataset
from hilum.experiment.cell_context import CellData
from hilum.experiment.context import preprocessing_of
from hilum.inference import new_source, two_sample
from hilum.inference.temperature import fit_temperature, softmax
from hilum.metrics.calibration import ece
from hilum.metrics.intervals import wilson
from hilum.metrics.metrics import auroc, log_loss
from hilum.models.numpy_head import Standardise
from hilum.progress import silent
from hilum.training.adaptation import (
    NewFilms,
    class_shares,
    fit_shift,
    fit_weighed,
    weigh_strengths,
)
from hilum.training.linear_probe import (
    PATH,
    LabelledFeatures,
    fit_probe,
    loss_and_accuracy,
    solve_alone,
)
from hilum.types import Floats, Labels

Rows = npt.NDArray[np.int64]
CLASSES = ["covid19", "pneumonia", "normal"]
SIZES = (10, 30, 100)  # films of a new hospital
OWN_DRAWS = 2  # of the model that is trained there: it takes longest


@dataclass(frozen=True, slots=True)
class Films:
    """Features and facts of films, in one order."""

    plain: Floats  # (film, feature)
    mirror: Floats  # (film, feature)
    labels: Labels  # (film,) of CLASSES
    source: npt.NDArray[np.str_]
    patient: npt.NDArray[np.str_]

    def take(self, rows: Rows) -> "Films":
        """Some of them."""
        return Films(
            self.plain[rows], self.mirror[rows], self.labels[rows], self.source[rows],
            self.patient[rows],
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.labels)


def read_films(data: Path) -> Films:
    """The films of `robust` and their features."""
    recipe = recipes.load_recipe("robust")
    with tempfile.TemporaryDirectory() as out:
        manifest = dataset.load_manifest(recipe, data, Path(out), silent)
    prepared = prepared_dataset.prepare_dataset(manifest, preprocessing_of(recipe), silent("p"))
    context = cell_context.set_up(
        recipe, CellData(CLASSES, prepared.manifest, prepared.pixels), silent
    )
    table = prepared.manifest.table
    return Films(
        np.asarray(cell_features.features(context)),
        np.asarray(cell_features.mirrored_features(context)),
        context.labels,
        table["source"].astype(str).to_numpy(str),
        table["patient_id"].fillna(table["sample_id"]).astype(str).to_numpy(str),
    )


def by_patient(films: Films, rows: Rows, share: float, random: np.random.Generator) -> list[Rows]:
    """Rows of `share` of the patients of each source, and those of the others."""
    first = []
    for name in sorted(set(films.source[rows].tolist())):
        patients = np.unique(films.patient[rows][films.source[rows] == name])
        first += random.permutation(patients)[: round(share * len(patients))].tolist()
    inside = np.isin(films.patient[rows], first)
    return [rows[inside], rows[~inside]]


def draw(films: Films, rows: Rows, count: int, random: np.random.Generator) -> Rows:
    """Rows of patients in random order, until there are `count`."""
    patients, place = np.unique(films.patient[rows], return_inverse=True)
    order = random.permutation(len(patients))[place]
    return rows[np.argsort(order, kind="stable")][:count]


def reference(films: Films, rows: Rows) -> new_source.SourceReference:
    """As training makes it of a frozen network."""
    _, number = np.unique(films.patient[rows], return_inverse=True)
    basis, known = rows[number % 2 == 0], rows[number % 2 == 1]
    groups = [(films.source[i], CLASSES[films.labels[i]]) for i in known.tolist()]
    return new_source.fit_reference(
        films.plain[basis], films.plain[known], groups, films.patient[known].tolist()
    )


def measure_alarm(films: Films, splits: int, batches: int) -> pd.DataFrame:
    """One row per batch: which source is left out, where the batch is from, its size, p."""
    rows, names = [], sorted(set(films.source.tolist()))
    for left_out in names:
        inside = np.flatnonzero(films.source != left_out)
        for split in range(splits):
            random = np.random.default_rng([split, names.index(left_out)])
            fit, held = by_patient(films, inside, 0.7, random)
            known = reference(films, fit)
            places = {name: held[films.source[held] == name] for name in names if name != left_out}
            places["both"] = held
            places |= {
                f"{name}, {CLASSES[label]} alone": at
                for name in places
                for label in range(len(CLASSES))
                if len(at := places[name][films.labels[places[name]] == label]) >= 60
            }
            places["left out"] = np.flatnonzero(films.source == left_out)
            for place, at in places.items():
                for size in (10, 30, 100):
                    for _ in range(batches if size < len(at) else 0):
                        batch = draw(films, at, size, random)
                        found = two_sample.measure_apart(
                            known.known, known.project(films.plain[batch])
                        )
                        rows.append((left_out, place, size, found.used, found.p))
    return pd.DataFrame(rows, columns=["left_out", "batch", "films", "used", "p"])


def alarm_table(measured: pd.DataFrame, level: float = new_source.LEVEL) -> str:
    """Markdown: the share of batches that count as new."""
    lines = [
        "| source left out | batch of | 10 films | 30 films | 100 films |",
        "|---|---|---|---|---|",
    ]
    for (left_out, batch), part in measured.groupby(["left_out", "batch"], sort=False):
        cells = []
        for size in (10, 30, 100):
            p = part.loc[part["films"] == size, "p"]
            low, high = wilson(int((p <= level).sum()), len(p)) if len(p) else (np.nan, np.nan)
            cells.append(f"{(p <= level).mean():.1%} ({low:.3f}-{high:.3f})" if len(p) else "-")
        lines.append(f"| {left_out} | {batch} | {' | '.join(cells)} |")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Head:
    """A linear head on standardised features of both pictures, and its temperature."""

    standard: Standardise
    weights: npt.NDArray[np.float64]  # (class, feature)
    bias: npt.NDArray[np.float64]  # (class,)
    temperature: float

    def features(self, films: Films) -> npt.NDArray[np.float64]:
        """(film, feature) Standardised, the mean of film and mirror image: the head is linear."""
        both = (films.plain.astype(np.float64) + films.mirror) / 2
        return (both - self.standard.mean) / self.standard.deviation

    def logits(self, films: Films) -> npt.NDArray[np.float64]:
        """(film, class) at its temperature."""
        return (self.features(films) @ self.weights.T + self.bias) / self.temperature


def train_head(
    films: Films,
    rows: Rows,
    seed: int = 0,
    by_source: bool = False,
    strengths: list[float] | None = None,
) -> Head:
    """As the recipe does: a head for each picture, strength and temperature by validation."""
    train, validation = by_patient(films, rows, 0.82, np.random.default_rng(seed))

    def data(at: Rows, standard: Standardise, views: int = 2) -> LabelledFeatures:
        stack = [films.plain[at], films.mirror[at]][:views]
        labels = films.labels[at]
        shares = None
        if by_source:
            pairs = [f"{films.source[i]} {films.labels[i]}" for i in at.tolist()]
            names, place, counts = np.unique(pairs, return_inverse=True, return_counts=True)
            shares = np.tile(len(at) / counts[place] / len(names), views)
        return LabelledFeatures(
            np.concatenate([standard(view) for view in stack]), np.tile(labels, views), shares
        )

    def fit(at: Rows, strengths: list[float] | None) -> tuple[Head, list[float]]:
        standard = Standardise.of(np.stack([films.plain[at], films.mirror[at]]))
        counts = np.bincount(films.labels[at], minlength=len(CLASSES))
        weights = np.where(counts, len(at) / np.maximum(counts, 1) / (counts > 0).sum(), 0.0)
        if by_source:
            weights = np.ones(len(CLASSES))
        half = films.plain.shape[1] // 2
        layers, chosen = [], []
        for number, block in enumerate((slice(0, half), slice(half, None))):
            ours = replace(known := data(at, standard), features=known.features[:, block])
            if strengths is None:
                asked = data(validation, standard, 1)
                probe = fit_probe(ours, replace(asked, features=asked.features[:, block]), weights)
                layers.append((probe.weights, probe.bias))
                chosen.append(probe.strength)
            else:
                theta = solve_alone(ours, weights, strengths[number])
                layers.append((theta[:, :-1], theta[:, -1]))
        joined = np.concatenate([weight for weight, _ in layers], axis=1) / 2
        bias = np.mean([bias for _, bias in layers], axis=0)
        absent = counts == 0
        bias[absent] = bias[~absent].min() - 20  # a class that it never saw
        return Head(standard, joined, bias, 1.0), chosen

    first, chosen = fit(train, strengths)
    held = films.take(validation)
    temperature = fit_temperature(held.labels, first.logits(held)).value
    return replace(fit(rows, strengths or chosen)[0], temperature=temperature)


def scores_of(labels: Labels, p: npt.NDArray[np.float64]) -> dict[str, float]:
    """AUROC (mean over the classes that are there), calibration error, log loss, share right."""
    there = [c for c in range(len(CLASSES)) if 10 <= (labels == c).sum() < len(labels)]
    confidence, right = p.max(1), p.argmax(1) == labels
    return {
        "auroc": float(np.mean([auroc(labels == c, p[:, c]) for c in there])),
        "ece": ece(confidence, right, 10),
        "gap": abs(float(confidence.mean() - right.mean())),
        "loss": log_loss(labels, np.clip(p, 1e-9, 1)),
        "right": float(right.mean()),
    }


def measure_adapt(films: Films, draws: int) -> pd.DataFrame:
    """One row per source left out, number of films, draw and way of adapting."""
    rows = []
    for name in sorted(set(films.source.tolist())):
        old = train_head(films, np.flatnonzero(films.source != name))
        there = np.flatnonzero(films.source == name)
        for seed in range(draws):
            random = np.random.default_rng([seed, 5])
            pool, test = by_patient(films, there, 0.5, random)
            asked = films.take(test)
            answers = {(0, "as it was"): softmax(old.logits(asked))}
            if seed < OWN_DRAWS:
                own = train_head(films, pool, seed)
                answers[len(films.take(there)) // 2, "trained there"] = softmax(own.logits(asked))
            for size in SIZES:
                some = films.take(draw(films, pool, size, random))
                answers |= {(size, way): p for way, p in adapted_answers(old, some, asked).items()}
            rows += [
                {"source": name, "films": size, "way": way, "draw": seed,
                 **scores_of(asked.labels, p)}
                for (size, way), p in answers.items()
            ]  # fmt: skip
            print(name, seed, flush=True)
    return pd.DataFrame(rows)


def adapted_answers(old: Head, some: Films, asked: Films) -> dict[str, npt.NDArray[np.float64]]:
    """Way of adapting a head to `some` films -> probabilities (film, class) of `asked`."""
    _, patients = np.unique(some.patient, return_inverse=True)
    new = NewFilms(old.logits(some), old.features(some), some.labels, patients)
    logits, features = old.logits(asked), old.features(asked)
    fresh = replace(new, logits=np.zeros_like(new.logits))
    alone = fit_weighed(fresh, weigh_strengths(fresh))
    even = np.full(len(CLASSES), 1 / len(CLASSES))
    moved = replace(old.standard, mean=_moved(old, some))
    shares = class_shares(softmax(new.logits), even)
    return {
        "hilum adapt": softmax(fit_weighed(new, weigh_strengths(new))(logits, features)),
        "scale and offsets alone": softmax(fit_shift(new, np.inf)(logits, features)),
        "a head of these films alone": softmax(alone(np.zeros_like(logits), features)),
        "no labels: shares of classes": softmax(logits + np.log(shares / even + 1e-3)),
        "no labels: mean of features": softmax(replace(old, standard=moved).logits(asked)),
    }


def _moved(old: Head, some: Films) -> npt.NDArray[np.float64]:
    """The old mean of features, moved towards that of films, the more of them the further."""
    share = len(some) / (len(some) + 30)
    own = np.concatenate([some.plain, some.mirror]).astype(np.float64).mean(0)
    return (1 - share) * old.standard.mean + share * own


def adapt_table(measured: pd.DataFrame) -> str:
    """Markdown: means over draws."""
    lines = [
        "| source | films | way | AUROC | calibration error | right |",
        "|---|---|---|---|---|---|",
    ]
    for (source, size, way), part in measured.groupby(["source", "films", "way"], sort=False):
        mean = part.mean(numeric_only=True)
        lines.append(
            f"| {source} | {size} | {way} | {mean.auroc:.3f} | {mean.ece:.3f} | {mean.right:.3f} |"
        )
    return "\n".join(lines)


def matched(films: Films) -> Films:
    """Features with each source's own mean and spread taken off: needs films, not labels, of it."""
    plain, mirror = films.plain.copy(), films.mirror.copy()
    for name in sorted(set(films.source.tolist())):
        rows = np.flatnonzero(films.source == name)
        standard = Standardise.of(np.stack([plain[rows], mirror[rows]]))
        plain[rows], mirror[rows] = standard(plain[rows]), standard(mirror[rows])
    return replace(films, plain=plain, mirror=mirror)


def worst_source_strengths(films: Films, rows: Rows) -> list[float]:
    """Of each picture's head: the strength whose worst loss at a training source is the lowest.

    A head fitted on one training source is tried on the other, on classes that both have.
    """
    names = sorted(set(films.source[rows].tolist()))
    there = [set(films.labels[rows][films.source[rows] == name].tolist()) for name in names]
    both = sorted(set.intersection(*there))
    rows = rows[np.isin(films.labels[rows], both)]
    half, chosen = films.plain.shape[1] // 2, []
    weights = np.ones(len(both))
    for block in (slice(0, half), slice(half, None)):
        losses = []
        for name in names:
            fit, test = rows[films.source[rows] != name], rows[films.source[rows] == name]
            standard = Standardise.of(films.plain[fit])
            first, second = (
                LabelledFeatures(
                    standard(films.plain[at])[:, block],
                    np.searchsorted(both, films.labels[at]).astype(np.int64),
                )
                for at in (fit, test)
            )
            losses.append([
                loss_and_accuracy(solve_alone(first, weights, s), second, weights)[0] for s in PATH
            ])  # fmt: skip
        chosen.append(PATH[int(np.max(losses, axis=0).argmin())])
    return chosen


def measure_train(films: Films) -> pd.DataFrame:
    """One row per source left out and way of training."""
    rows = []
    level = matched(films)
    for name in sorted(set(films.source.tolist())):
        inside, there = (np.flatnonzero((films.source == name) == same) for same in (False, True))
        worst = worst_source_strengths(films, inside)
        ways = {
            "classes balanced (the recipe)": (films, train_head(films, inside)),
            "sources balanced": (films, train_head(films, inside, by_source=True)),
            "moments of each source matched": (level, train_head(level, inside)),
            "strength by the worst source": (films, train_head(films, inside, strengths=worst)),
        }
        for way, (seen, head) in ways.items():
            p, labels = softmax(head.logits(seen.take(there))), films.labels[there]
            pair = np.isin(labels, (1, 2))
            rest = p[pair, 1] / np.maximum(p[pair, 1] + p[pair, 2], 1e-12)
            rows.append({
                "source": name, "way": way,
                "pneumonia_or_normal": auroc(labels[pair] == 1, rest),
                "called_covid19": float((p[pair].argmax(1) == 0).mean()),
                "right_of_both": float((p[pair].argmax(1) == labels[pair]).mean()),
                "loss_of_both": log_loss(labels[pair], np.clip(p[pair], 1e-9, 1)),
            })  # fmt: skip
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def main() -> None:
    """Measure, write a CSV, print the table."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("what", choices=["alarm", "adapt", "train"])
    given.add_argument("--data", type=Path, required=True, help="datasets as published")
    given.add_argument("--out", type=Path, default=Path())
    given.add_argument("--splits", type=int, default=5)
    given.add_argument("--batches", type=int, default=20)
    asked = given.parse_args()
    films = read_films(asked.data)
    print(pd.crosstab(films.source, np.array(CLASSES)[films.labels]))
    if asked.what == "alarm":
        measured = measure_alarm(films, asked.splits, asked.batches)
        print(alarm_table(measured))
    if asked.what == "train":
        measured = measure_train(films)
        print(measured.round(3).to_string())
    if asked.what == "adapt":
        measured = measure_adapt(films, asked.splits)
        print(adapt_table(measured))
    measured.to_csv(asked.out / f"other_hospital_{asked.what}.csv", index=False)


if __name__ == "__main__":
    main()
