"""COVID-19 or other pneumonia inside Cohen's collection: what sites, their number and labels cost.

    python benchmarks/cohen_sites.py --data DIR

A site is the web site that a film was taken from. Means of maps of EfficientNet-Lite0 are
classified by ridge regression in closed form; its penalty comes from five rounds inside the
training films, patients apart. Every AUROC is of pairs inside one site, so that no site can be
recognised instead: the mean over the sites that have both classes, each by its number of pairs.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from ct_maps import means_of_maps
from hilum import preprocess
from hilum.data import manifest as manifests
from hilum.data import prepared_dataset
from hilum.data.prepared_dataset import PreparedDataset
from hilum.datasets.registry import DATASETS
from hilum.preprocess.lungs.segmenter import load_segmenter
from ridge import Array, Rows, fit, kernel_of, loss_inside, rounds, tied

BACKBONE = "tf_efficientnet_lite0"
SIDE = 224
PICTURES = {
    "whole film": [{"step": "letterbox", "side": SIDE}],
    "lungs' box": [
        {"step": "crop_lungs", "failed": "whole"},
        {"step": "equalise"},
        {"step": "letterbox", "side": SIDE},
    ],
}
MAPS = {"last maps": (32,), "early": (8, 16), "stages": (8, 16, 32)}
FEWEST = 10  # pairs inside a site, else it is not tested
DRAWS, RESAMPLES = 20, 400  # of sites or of flipped labels; of patients, for intervals
SITES = (2, 4, 8, 16, 32)
FLIPPED = (0.1, 0.2)


@dataclass(frozen=True, slots=True)
class Films:
    """Features (film, feature) by name, labels (film,) 0 or 1, patients and sites (film,)."""

    features: dict[str, Array]
    labels: Rows
    patients: Rows
    sites: npt.NDArray[np.str_]

    def mixed(self) -> list[str]:
        """Sites with both classes, those with the most pairs first."""
        return sorted(
            (site for site in np.unique(self.sites) if self.pairs(site) >= FEWEST),
            key=lambda site: -self.pairs(site),
        )

    def pairs(self, site: str) -> int:
        """Films of one class times films of the other."""
        return int(np.prod(np.bincount(self.labels[self.sites == site], minlength=2)))


def read(data: Path) -> Films:
    """Films of the two classes, read once for each picture."""
    dataset = DATASETS["cohen"]
    manifest = dataset.read(data / dataset.card.folder)
    wanted = manifest.table["label"].isin(["covid19", "pneumonia"])
    manifest = manifests.select(manifest, wanted, "another class")
    means: dict[str, dict[int, Array]] = {}
    images: PreparedDataset | None = None
    for name, steps in PICTURES.items():
        images = prepared_dataset.prepare_dataset(
            manifest, preprocess.from_list(steps, load_segmenter)
        )
        means[name] = means_of_maps(images.pixels.stack, BACKBONE)
    assert images is not None
    features = {
        f"{picture}, {maps}": np.concatenate([means[picture][stride] for stride in strides], 1)
        for picture in PICTURES
        for maps, strides in MAPS.items()
    }
    both = [features[f"{picture}, stages"] for picture in PICTURES]
    features["both pictures, stages"] = np.concatenate(both, 1)
    table = images.manifest.table
    return Films(
        features,
        (table["label"] == "covid19").to_numpy().astype(np.int64),
        tied(images),
        table["site"].fillna("unknown").to_numpy().astype(str),
    )


def answers(films: Films, name: str, train: Rows, test: Rows, labels: Rows) -> Array:
    """Scores (test film,) of a model of the training films with these labels (film,)."""
    features = films.features[name]
    kernel = kernel_of(features, train)
    own = kernel[np.ix_(train, train)]
    loss = loss_inside(own, labels[train], films.patients[train], 0)
    model = fit(own, labels[train])
    return model.scores(kernel[np.ix_(test, train)])[int(loss.argmin())]


def inside_sites(films: Films, scores: Array, sites: Sequence[str]) -> float:
    """Mean AUROC of pairs inside one site, each site by its number of pairs."""
    values = [
        roc_auc_score(films.labels[films.sites == site], scores[films.sites == site])
        for site in sites
    ]
    return float(np.average(values, weights=[films.pairs(site) for site in sites]))


def by_patient(films: Films, name: str, seed: int) -> Array:
    """Scores (film,) of five folds, patients apart, sites not."""
    scores = np.zeros(len(films.labels))
    for train, test in rounds(films.labels, films.patients, seed):
        scores[test] = answers(films, name, train, test, films.labels)
    return scores


def by_site(
    films: Films, name: str, rng: np.random.Generator, count: int = 0, flipped: float = 0.0
) -> Array:
    """Scores (film,) of the tested sites, each by a model of other sites.

    Of `count` other sites drawn at random, one with both classes among them; 0: of all. A share
    of the training labels is flipped. A patient of the tested site trains nothing.
    """
    scores = np.zeros(len(films.labels))
    labels = np.where(rng.random(len(films.labels)) < flipped, 1 - films.labels, films.labels)
    for site in films.mixed():
        test = np.flatnonzero(films.sites == site)
        chosen = np.isin(films.sites, _drawn(films, site, rng, count))
        chosen &= ~np.isin(films.patients, films.patients[test])
        scores[test] = answers(films, name, np.flatnonzero(chosen), test, labels)
    return scores


def _drawn(films: Films, site: str, rng: np.random.Generator, count: int) -> list[str]:
    """Sites to train on."""
    others = [other for other in np.unique(films.sites) if other != site]
    if not count:
        return others
    first = str(rng.choice([other for other in films.mixed() if other != site]))
    rest = [other for other in others if other != first]
    return [first, *rng.choice(rest, count - 1, replace=False).tolist()]


def fewer_films(films: Films, name: str, rng: np.random.Generator, share: float) -> Array:
    """As `by_site`, of all other sites but a share of their patients."""
    scores = np.zeros(len(films.labels))
    for site in films.mixed():
        test = np.flatnonzero(films.sites == site)
        own = films.patients[test]
        others = np.setdiff1d(films.patients, own)
        kept = rng.choice(others, max(20, round(share * len(others))), replace=False)
        scores[test] = answers(
            films, name, np.flatnonzero(np.isin(films.patients, kept)), test, films.labels
        )
    return scores


def inside_one(films: Films, name: str, site: str, seed: int) -> float:
    """AUROC of five folds, patients apart, of a site's own films."""
    own = np.flatnonzero(films.sites == site)
    scores = np.zeros(len(own))
    for train, test in rounds(films.labels[own], films.patients[own], seed):
        scores[test] = answers(films, name, own[train], own[test], films.labels)
    return float(roc_auc_score(films.labels[own], scores))


def interval(films: Films, scores: Array, rng: np.random.Generator) -> str:
    """95% of `inside_sites` over resampled patients of each site (Efron 1979, percentiles)."""
    found = []
    for _ in range(RESAMPLES):
        values, weights = [], []
        for site in films.mixed():
            at = np.flatnonzero(films.sites == site)
            groups = [at[films.patients[at] == patient] for patient in set(films.patients[at])]
            drawn = np.concatenate([groups[i] for i in rng.integers(0, len(groups), len(groups))])
            if 0 < films.labels[drawn].mean() < 1:
                values.append(roc_auc_score(films.labels[drawn], scores[drawn]))
                weights.append(films.pairs(site))
        found.append(np.average(values, weights=weights))
    low, high = np.percentile(found, (2.5, 97.5))
    return f"{low:.3f}-{high:.3f}"


def print_row(name: str, values: Sequence[float]) -> None:
    """Mean and range of the draws."""
    spread = f" ({min(values):.3f}-{max(values):.3f})" if len(values) > 1 else ""
    print(f"| {name} | {np.mean(values):.3f}{spread} |", flush=True)


def main() -> None:
    """Measure and print the tables."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--data", type=Path, required=True)
    films = read(given.parse_args().data)
    sites, rng = films.mixed(), np.random.default_rng(0)
    print(f"{len(films.labels)} films; tested: " + ", ".join(
        f"{site} {np.bincount(films.labels[films.sites == site]).tolist()}" for site in sites
    ))  # fmt: skip
    with threadpool_limits(1):
        print(
            "| features | all pairs, patients apart | pairs inside a site | and the site unseen |"
        )
        print("|---|---|---|---|")
        for name in films.features:
            folds = [by_patient(films, name, seed) for seed in range(3)]
            whole = np.mean([roc_auc_score(films.labels, scores) for scores in folds])
            inner = np.mean([inside_sites(films, scores, sites) for scores in folds])
            scores = by_site(films, name, rng)
            unseen = f"{inside_sites(films, scores, sites):.3f} ({interval(films, scores, rng)})"
            print(f"| {name} | {whole:.3f} | {inner:.3f} | {unseen} |", flush=True)
        name = "both pictures, stages"
        for site in sites[:2]:
            values = [inside_one(films, name, site, seed) for seed in range(3)]
            print(f"{name}: {site} alone, patients apart: {np.mean(values):.3f}")
        print("| trained on | AUROC inside an unseen site |\n|---|---|")
        for count in SITES:
            draws = [by_site(films, name, rng, count) for _ in range(DRAWS)]
            print_row(f"{count} sites", [inside_sites(films, each, sites) for each in draws])
        for share in (0.25, 0.5):
            draws = [fewer_films(films, name, rng, share) for _ in range(DRAWS)]
            words = f"{share:.0%} of the patients of all other sites"
            print_row(words, [inside_sites(films, each, sites) for each in draws])
        for flipped in FLIPPED:
            draws = [by_site(films, name, rng, flipped=flipped) for _ in range(DRAWS)]
            words = f"all other sites, {flipped:.0%} of the labels flipped"
            print_row(words, [inside_sites(films, each, sites) for each in draws])


if __name__ == "__main__":
    main()
