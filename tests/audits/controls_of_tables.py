"""Controls of the audits that read tables: a simulated study, whole or with one fault.

600 images of 300 people from two hospitals, which differ in size, in their mix of classes (V about
0.1) and in one direction of the features, as honest studies do; the probabilities are calibrated.
A fault's strength is the share of images or people that bear it: 0 for the clean control.
"""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.audits import Evidence
from hilum.data import leakage, splits
from hilum.inference import conformal, ood
from hilum.inference.ood import OodDetector
from hilum.metrics import thresholds
from hilum.types import MANIFEST_COLUMNS, Fingerprints, Manifest, Published, Split

CLASSES = ["covid19", "normal"]
WIDTH = 24  # features
COLUMNS = ["p_covid19", "p_normal"]


@dataclass
class Cohort:
    """What evidence is made of, so that a control can spoil one part."""

    random: np.random.Generator
    images: int = 600
    person: npt.NDArray[np.int64] = field(init=False)
    label: npt.NDArray[np.int64] = field(init=False)  # 0: covid19
    source: npt.NDArray[np.int64] = field(init=False)
    women: npt.NDArray[np.bool_] = field(init=False)
    age: npt.NDArray[np.float64] = field(init=False)
    features: npt.NDArray[np.float64] = field(init=False)
    logit: npt.NDArray[np.float64] = field(init=False)  # of covid19, calibrated
    part: npt.NDArray[np.str_] = field(init=False)

    def __post_init__(self) -> None:
        count, draw = self.images, self.random
        self.person = np.arange(count) // 2
        self.label = self.person % 2
        self.source = self.people(np.where(np.arange(count)[::2] // 2 % 2, 0.35, 0.45)).astype(int)
        self.women = self.people(0.5)
        self.age = draw.integers(20, 85, count // 2)[self.person] + 5.0 * (self.label == 0)
        self.features = draw.normal(size=(count, WIDTH))
        self.features[:, 0] += 1.5 * self.label  # disease, the same everywhere
        self.features[:, 1] += 0.5 * self.source
        # two Gaussians one apart at +-0.8: their log-likelihood ratio is 1.6 x
        self.logit = 1.6 * (draw.normal(size=count) + np.where(self.label, -0.8, 0.8))
        kinds = np.repeat(["train", "validation", "test"], [3, 1, 2])
        self.part = kinds[draw.permutation(count // 2) % 6][self.person]

    def people(self, share: Any) -> npt.NDArray[np.bool_]:
        """(image,) whether each person belongs to a random `share` of them."""
        return np.asarray(self.random.random(self.images // 2) < share)[self.person]

    @property
    def ids(self) -> list[str]:
        return [f"s/{i:04d}" for i in range(self.images)]

    @property
    def rows(self) -> pd.DataFrame:
        """Predictions of every image."""
        p = 1 / (1 + np.exp(-self.logit))
        labels = np.array(CLASSES)[self.label]
        table = pd.DataFrame({"cell": "main", "sample_id": self.ids, "fold": 0, "seed": 0})
        return table.assign(label=labels, p_covid19=p, p_normal=1 - p)

    @property
    def split(self) -> Split:
        table = pd.DataFrame({"sample_id": self.ids, "fold": 0, "part": self.part})
        return Split(table, "holdout", "patient", 0)

    def evidence(self, **more: Any) -> Evidence:
        """The study as the audits see it; thresholds and limits come from validation images."""
        empty = {name: pd.Series([pd.NA] * self.images) for name in MANIFEST_COLUMNS}
        table = pd.DataFrame(empty).assign(
            sample_id=self.ids,
            label=np.array(CLASSES)[self.label],
            patient_id=[f"p{i:04d}" for i in self.person],
            source=np.array([*"ABCDEF"])[self.source],
            dataset="s",
            sex=np.where(self.women, "F", "M"),
            age=self.age,
        )
        tested = self.rows[self.part == "test"].reset_index(drop=True)
        made: dict[str, Any] = {
            "split": self.split,
            "model": SimpleNamespace(facts=self.facts(), gate=None),
            "features": self.features.astype(np.float32),
            "all_predictions": tested,
            **more,
        }
        return Evidence(CLASSES, table, tested, **made)

    def facts(self) -> SimpleNamespace:
        held = self.part == "validation"
        p = self.rows[held][COLUMNS].to_numpy()
        labels = self.label[held]
        named = [(i, name) for i, name in enumerate(CLASSES) if (labels == i).any()]
        cuts = {name: thresholds.choose_threshold(labels == i, p[:, i]) for i, name in named}
        return SimpleNamespace(
            provenance={"fold": 0, "seed": 0},
            thresholds={name: cut.threshold for name, cut in cuts.items()},
            conformal=conformal.class_limits(labels, p, CLASSES),
            seen=(),
        )


def sources(random: np.random.Generator, share: float) -> Evidence:
    """C-02: a class comes from its own hospital; else six hospitals, 200 images, and chance."""
    one = Cohort(random, 200)
    drawn = random.integers(0, 6, 100)[one.person]
    one.source = np.where(one.people(share), one.label, drawn)
    return one.evidence()


def frames(random: np.random.Generator, share: float) -> Evidence:
    """C-03: 200 pictures, bright in the corner that is usual in their class, or in either."""
    one = Cohort(random, 200)
    coarse = random.uniform(0, 200, (one.images, 4, 4)).astype(np.float32)
    films = (
        np.stack([cv2.resize(film, (64, 64)) for film in coarse]) + 20.0 * one.source[:, None, None]
    )
    usual = np.where(random.random(one.images) < (share or 0.5), one.label, 1 - one.label)
    films[usual == 0, 2:8, 2:12] += 60
    films[usual == 1, 2:8, -12:-2] += 60
    return one.evidence(stack=np.clip(films, 0, 255).astype(np.uint8))


def grey_levels(random: np.random.Generator, share: float) -> Evidence:
    """C-04: films of a class have their hospital's grey levels; disease alone brightens."""
    one = Cohort(random)
    tied = np.where(one.people(share), one.label, random.integers(0, 2, one.images))
    hospital = tied if share else one.source
    facts = pd.DataFrame(
        {
            "width": random.choice([1024, 2048, 2500], one.images),
            "height": random.choice([1024, 2048, 2500], one.images),
            "mean": random.normal(120 + 25 * hospital + 3 * one.label, 8),
            "std": random.normal(55 + 8 * hospital, 6),
        },
        index=pd.Index(one.ids, name="sample_id"),
    )
    return one.evidence(facts=facts)


def hospital_in_features(random: np.random.Generator, share: float) -> Evidence:
    """C-05: the hospital is written into the features, and goes with the label."""
    one = Cohort(random)
    if share:
        one.source = np.where(one.people(0.8), one.label, 1 - one.label)
        one.features[:, 1] += 4.0 * one.source * one.people(share)
    return one.evidence()


def ages(random: np.random.Generator, share: float) -> Evidence:
    """C-09: normal films are children's, covid19 films adults'; else one in ten is young."""
    one = Cohort(random)
    young = one.people(share) & (one.label == 1) if share else one.people(0.1)
    one.age = np.where(young, random.integers(1, 6, one.images), one.age)
    return one.evidence()


def patients_apart(random: np.random.Generator, share: float) -> Evidence:
    """C-10: a person's two images are divided singly; else by the project's own split."""
    one = Cohort(random)
    known = one.evidence()
    whole = Manifest(known.manifest, (), ())
    split = splits.holdout(whole, splits.SplitFractions(), int(random.integers(2**31)))
    part = split.table.set_index("sample_id")["part"].reindex(one.ids).to_numpy()
    singly = one.people(share)
    part = np.where(singly, random.permutation(part), part)
    split = replace(split, table=pd.DataFrame({"sample_id": one.ids, "fold": 0, "part": part}))
    keys = tuple(f"{i:064x}" for i in range(one.images))
    hashes = random.integers(0, 256, (one.images, 32), np.uint8)
    miniatures = random.integers(0, 256, (one.images, 32, 32), np.uint8)
    prints = Fingerprints(tuple(one.ids), keys, keys, hashes, miniatures)
    return replace(known, split=split, leaks=leakage.find_leaks(split, whole, prints))


def look_alikes(random: np.random.Generator, share: float) -> Evidence:
    """C-10 and C-12: people of four look-alike slices divided singly, or else by person."""
    one = Cohort(random)
    person = np.arange(one.images) // 4
    one.label = person % 2
    looks = random.normal(size=(one.images, WIDTH))
    alike = random.random(one.images) < share if share else np.ones(one.images, bool)
    near = looks[4 * person] + 0.01 * random.normal(size=looks.shape)
    one.features = np.where(alike[:, None], near, looks)
    whole = np.array(["train", "train", "test"])[person % 3]
    one.part = random.permutation(whole) if share else whole
    nameless = one.evidence()
    split = replace(nameless.split, grouped_by="image" if share else "cluster")  # type: ignore[type-var]
    table = nameless.manifest.assign(patient_id=pd.NA)
    return replace(nameless, manifest=table, split=split)


def sharpened(random: np.random.Generator, share: float) -> Evidence:
    """C-17: answers three times as sure as they should be."""
    one = Cohort(random)
    one.logit = np.where(random.random(one.images) < share, 3 * one.logit, one.logit)
    return one.evidence()


def fitted_on_validation(random: np.random.Generator, share: float) -> Evidence:
    """C-18 and C-21: threshold and limits come from images that the model was fitted on."""
    one = Cohort(random)
    held = (one.part == "validation") & (random.random(one.images) < share)
    one.logit = np.where(held, one.logit + np.where(one.label, -2.5, 2.5), one.logit)
    return one.evidence()


def worse_for_women(random: np.random.Generator, share: float) -> Evidence:
    """C-19: sick women are missed."""
    one = Cohort(random)
    hit = one.women & (one.label == 0) & (random.random(one.images) < share)
    one.logit = one.logit - 2.5 * hit
    return one.evidence()


def ignorant(random: np.random.Generator, share: float) -> Evidence:
    """C-20: answers that have nothing to do with the image."""
    one = Cohort(random)
    blind = random.random(one.images) < share
    one.logit = np.where(blind, random.permutation(one.logit), one.logit)
    return one.evidence()


def upside_down_elsewhere(random: np.random.Generator, share: float) -> Evidence:
    """C-23: at one hospital the features of disease are those of health at the other."""
    one = Cohort(random)
    one.source = one.people(0.5).astype(int)
    other = (one.source == 1) & one.people(share)
    one.features[:, 0] -= 1.5 * one.label
    one.features[:, 0] += 1.5 * np.where(other, 1 - one.label, one.label)
    return one.evidence()


def lucky_seeds(random: np.random.Generator, share: float) -> Evidence:
    """C-24: five seeds, some of which learnt less; else a little noise in each."""
    one = Cohort(random)
    known, tables = one.evidence(), []
    luck = random.permutation(np.linspace(0, 1, 5)) * share
    for seed, lost in enumerate(luck):
        noise = random.normal(size=len(known.predictions))
        p = known.predictions["p_covid19"].to_numpy()
        shaken = (1 - lost) * np.log(p / (1 - p)) + (0.1 + 2 * lost) * noise
        p = 1 / (1 + np.exp(-shaken))
        tables.append(known.predictions.assign(seed=seed, p_covid19=p, p_normal=1 - p))
    table = pd.concat(tables, ignore_index=True)
    return replace(known, predictions=table, all_predictions=table)


def under_called(random: np.random.Generator, share: float) -> Evidence:
    """C-26: covid19 is rarer among the tested, and its probabilities are all too low as well."""
    one = Cohort(random)
    one.logit = one.logit - 2.0 * (random.random(one.images) < share)
    known = one.evidence()
    rare = (known.predictions["label"] == "normal") | (random.random(len(known.predictions)) < 0.5)
    return replace(known, predictions=known.predictions[rare].reset_index(drop=True))


def printed(random: np.random.Generator, share: float) -> Evidence:
    """C-27: precision, sensitivity and F1 of 100 images each; an F1 is 0.03 too high, or two."""
    hits, spared = random.integers(70, 96, 2)
    counts = ((hits, 100 - spared, 100 - hits), (spared, 100 - hits, 100 - spared))
    rows = []
    for i, (name, (tp, fp, fn)) in enumerate(zip(CLASSES, counts, strict=True)):
        wrong = 0.03 if share == 1 or (share and i == 0) else 0.0
        figures = {
            "precision": tp / (tp + fp),
            "sensitivity": tp / (tp + fn),
            "f1": 2 * tp / (2 * tp + fp + fn) + wrong,
        }
        rows += [
            Published("Table 2, net", metric, name, round(float(value), 3), None, None, None, None)
            for metric, value in figures.items()
        ]
    return Cohort(random, 60).evidence(published=tuple(rows))


class Brightness:
    """A network of four features: mean, spread, and slopes downwards and across."""

    def __init__(self, *, blind: bool) -> None:
        self.blind = blind

    def __call__(self, stack: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        films = stack.astype(np.float32) / 255
        half = films.shape[1] // 2
        down = films[:, :half].mean((1, 2)) - films[:, half:].mean((1, 2))
        across = films[:, :, :half].mean((1, 2)) - films[:, :, half:].mean((1, 2))
        slopes = [0 * down, 0 * across] if self.blind else [down, across]
        return np.stack([films.mean((1, 2)), films.std((1, 2)), *slopes], 1) * 10


class Shrunk:
    """64 x 64, whatever comes."""

    decode_side = None

    def __call__(self, pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        grey = pixels if pixels.dtype == np.uint8 else np.rint(pixels * 255).astype(np.uint8)
        return np.asarray(cv2.resize(grey, (64, 64), interpolation=cv2.INTER_AREA), np.uint8)


def gate_of(random: np.random.Generator, share: float, folder: Any) -> Evidence:
    """C-22: films dark above and to the left; a gate that sees no direction, or one fit for noise.

    At 90 % the gate's network does not see where a film is dark; at 100 % its gate was fitted on
    noise as well.
    """
    one = Cohort(random, 300)
    ramp = np.add.outer(np.linspace(20, 70, 96), np.linspace(0, 40, 96))
    films = ramp + random.normal(0, 6, (one.images, 96, 96)) + random.normal(0, 4, (300, 1, 1))
    films = np.clip(films, 0, 255).astype(np.uint8)
    prepare, network = Shrunk(), Brightness(blind=share > 0)
    features = network(np.stack([prepare(film) for film in films]))
    turned = {
        pose: network(np.stack([prepare(ood.posed(film, pose)) for film in films[:60]]))
        for pose in ood.POSES
    }
    fitted: OodDetector = ood.fit_detector(features[:150], turned, features[150:200])
    if share == 1:
        noise = random.normal(size=(150, 4)).astype(np.float32)
        fitted = ood.fit_detector(noise, dict.fromkeys(ood.POSES, noise[:60]), noise)
    one.part = np.where(np.arange(300) < 200, "train", "test")
    one.part[150:200] = "validation"
    paths = [str(folder / f"{i}.png") for i in range(300)]
    for i in range(200, 300):
        cv2.imwrite(paths[i], films[i])
    known = one.evidence(features=features)
    facts = known.model.facts  # type: ignore[union-attr]
    model: Any = SimpleNamespace(facts=facts, gate=fitted, runtime=network, pipeline=prepare)
    return replace(known, manifest=known.manifest.assign(path=paths), model=model)
