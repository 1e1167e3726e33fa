"""Audits of features and predictions: planted, they must complain; clean, they must pass."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact

from hilum.audit import AUDITS, Evidence, clusters, probes, seeds, shift, strangers, subgroups
from hilum.evaluate import conformal, gate
from hilum.types import MANIFEST_COLUMNS, Finding, Published, Split

CLASSES = ["covid19", "normal"]
IMAGES, WIDTH = 600, 24
NAMES = ["C-05", "C-10", "C-12", "C-18", "C-19", "C-20", "C-21", "C-23", "C-24", "C-26", "C-27"]


@dataclass
class Parts:
    """What evidence is made of, so that a control can spoil one part."""

    random: np.random.Generator
    label: np.ndarray = field(init=False)
    source: np.ndarray = field(init=False)
    features: np.ndarray = field(init=False)
    p: np.ndarray = field(init=False)  # of covid19
    more: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.label = np.arange(IMAGES) % 2
        self.source = np.arange(IMAGES) // 2 % 2
        self.features = self.random.normal(size=(IMAGES, WIDTH)) + 0.2
        self.features[:, 0] += 2.0 * self.label  # disease, the same everywhere
        logits = self.random.normal(size=IMAGES) * 1.2 + np.where(self.label == 0, 1.5, -1.5)
        self.p = 1 / (1 + np.exp(-2 * logits))


def built(parts: Parts) -> Evidence:
    ids = [f"s/{i}" for i in range(IMAGES)]
    labels = np.array(CLASSES)[parts.label]
    table = pd.DataFrame({name: pd.Series([pd.NA] * IMAGES) for name in MANIFEST_COLUMNS})
    table = table.assign(
        sample_id=ids,
        label=labels,
        patient_id=[f"p{i}" for i in range(IMAGES)],
        source=np.array(["A", "B"])[parts.source],
        sex=np.array(["F", "M"])[parts.random.integers(0, 2, IMAGES)],
        age=parts.random.integers(20, 90, IMAGES).astype(float),
    )
    part = np.where(np.arange(IMAGES) % 3 == 0, "test", "train")
    split = pd.DataFrame({"sample_id": ids, "fold": 0, "part": part})
    rows = pd.DataFrame(
        {"cell": "main", "sample_id": ids, "fold": 0, "seed": 0, "label": labels}
    ).assign(p_covid19=parts.p, p_normal=1 - parts.p)
    tested = rows[part == "test"].reset_index(drop=True)
    p = rows[["p_covid19", "p_normal"]].to_numpy()
    facts = SimpleNamespace(
        provenance={"fold": 0, "seed": 0},
        thresholds={"covid19": 0.1, "normal": 0.1},
        conformal=conformal.limits(parts.label.astype(np.int64), p, CLASSES),
        seen=(),
    )
    made: dict[str, Any] = {
        "model": SimpleNamespace(facts=facts, gate=None),
        "features": parts.features.astype(np.float32),
        "all_predictions": tested,
        "published": PRINTED,
    }
    evidence = Evidence(
        CLASSES, table, tested, Split(split, "holdout", "patient", 0), **{**made, **parts.more}
    )
    return over_seeds(evidence, 0.1)


def over_seeds(evidence: Evidence, noise: float) -> Evidence:
    """The same predictions under five seeds, each with noise of its own."""
    tables = []
    for seed in range(5):
        random = np.random.default_rng(seed)
        shaken = evidence.predictions["p_covid19"] + noise * seed * random.normal(
            size=len(evidence.predictions)
        )
        p = np.clip(shaken, 0.001, 0.999) if noise > 0.1 else evidence.predictions["p_covid19"]
        tables.append(evidence.predictions.assign(seed=seed, p_covid19=p, p_normal=1 - p))
    table = pd.concat(tables, ignore_index=True)
    return replace(evidence, predictions=table, all_predictions=table)


def number(name: str, value: float) -> Published:
    return Published("Table 2, net", name, "covid19", value, None, None, None, None)


PRINTED = (number("precision", 0.8), number("sensitivity", 0.9), number("f1", 0.847))


def clean() -> Evidence:
    return built(Parts(np.random.default_rng(0)))


def planted(name: str) -> Evidence:
    """The same with one fault that audit `name` must find."""
    parts = Parts(np.random.default_rng(0))
    if name in ("C-05", "C-23"):  # the source is written into the features
        parts.source = (parts.random.random(IMAGES) < np.where(parts.label, 0.9, 0.1)).astype(int)
        sign = parts.source if name == "C-05" else np.where(parts.source, parts.label, -parts.label)
        parts.features[:, 1] += 4.0 * sign
        parts.features[:, 0] -= 2.0 * parts.label * (name == "C-23")
    if name in ("C-10", "C-12"):  # four slices of each person, divided singly
        person = np.arange(IMAGES) // 8 * 2 + parts.label
        looks = parts.random.normal(size=(IMAGES, WIDTH))
        parts.features = looks[person] + 0.01 * parts.random.normal(size=(IMAGES, WIDTH))
    if name == "C-20":
        parts.p = np.where(parts.label == 0, 0.001, 0.999)
    evidence = built(parts)
    if name in ("C-10", "C-12"):
        return replace(evidence, manifest=evidence.manifest.assign(patient_id=pd.NA))
    return spoilt(name, evidence)


def spoilt(name: str, evidence: Evidence) -> Evidence:
    """Evidence whose answers, limits or printed numbers are at fault."""
    if name == "C-18":
        facts = SimpleNamespace(**{**vars(evidence.model.facts), "thresholds": {"covid19": 0.97}})
        return replace(evidence, model=SimpleNamespace(facts=facts, gate=None))
    if name == "C-19":
        women = evidence.manifest.set_index("sample_id")["sex"] == "F"
        hit = women.loc[evidence.predictions["sample_id"]].to_numpy()
        worse = np.where(
            hit, 0.3 * evidence.predictions["p_covid19"], evidence.predictions["p_covid19"]
        )
        return replace(
            evidence, predictions=evidence.predictions.assign(p_covid19=worse, p_normal=1 - worse)
        )
    if name == "C-21":
        facts = SimpleNamespace(
            **{**vars(evidence.model.facts), "conformal": {"covid19": 0.99, "normal": 0.99}}
        )
        return replace(evidence, model=SimpleNamespace(facts=facts, gate=None))
    if name == "C-24":
        return over_seeds(evidence, 0.6)
    if name == "C-26":
        low = 0.3 * evidence.predictions["p_covid19"]
        return replace(
            evidence, predictions=evidence.predictions.assign(p_covid19=low, p_normal=1 - low)
        )
    if name == "C-27":
        return replace(evidence, published=(*PRINTED[:2], number("f1", 0.95)))
    return evidence


@pytest.fixture(scope="module")
def good() -> dict[str, Finding]:
    evidence = clean()
    return {name: AUDITS[name](evidence) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_clean_study_passes(name: str, good: dict[str, Finding]) -> None:
    assert good[name].status == "pass", good[name].sentence


@pytest.mark.parametrize("name", NAMES)
def test_a_planted_fault_is_found(name: str) -> None:
    found = AUDITS[name](planted(name))
    assert found.status in ("warn", "fail"), found.sentence
    if name not in ("C-20", "C-24", "C-26", "C-27"):  # these only warn
        assert found.status == "fail", found.sentence


@pytest.mark.parametrize("name", [*NAMES, "C-22"])
def test_what_is_missing_is_no_pass(name: str) -> None:
    whole = clean()
    unknown = whole.manifest.assign(source=pd.NA, sex=pd.NA, age=pd.NA, patient_id=pd.NA)
    bare = replace(
        whole,
        manifest=unknown,
        predictions=whole.predictions[whole.predictions["seed"] == 0],
        split=None,
        model=None,
        features=None,
        all_predictions=None,
        published=(),
    )
    if name == "C-20":
        bare = replace(bare, predictions=bare.predictions[bare.predictions["label"] == "normal"])
    found = AUDITS[name](bare)
    assert found.status == "unknown"
    assert found.sentence.startswith("Cannot be checked, because ")


def test_clusters_are_the_people_whose_slices_are_alike() -> None:
    evidence = planted("C-12")
    found = clusters.of(evidence)
    person = np.arange(IMAGES) // 8 * 2 + np.arange(IMAGES) % 2
    assert len(np.unique(found)) == len(np.unique(person))
    assert (found == pd.factorize(person)[0]).all()
    single, together = clusters.side_by_side(evidence, found)
    assert single == 1.0
    assert together < 0.65


def test_labels_of_chance_agree_as_often_as_two_strangers_do(good: dict[str, Finding]) -> None:
    assert good["C-12"].value == pytest.approx(0.5, abs=0.03)


def test_the_matrix_has_every_pair_of_sources() -> None:
    table = probes.matrix(clean())
    pairs = table[table["train"] != probes.REST]
    assert set(zip(pairs["train"], pairs["test"], strict=True)) == {
        (a, b) for a in "AB" for b in "AB"
    }
    assert (table["drop"] == table["inside"] - table["auroc"]).all()
    assert table["auroc"].min() > 0.85


def test_prior_shift_is_found_to_the_share_that_was_drawn() -> None:
    """Two Gaussians, Bayes' own probabilities at 50 %, tested at 20 %."""
    random = np.random.default_rng(4)
    sick = random.random(20000) < 0.2
    x = random.normal(size=20000) + np.where(sick, 1.0, -1.0)
    p = 1 / (1 + np.exp(-2 * x))
    shares, corrected = shift.estimated(np.stack([p, 1 - p], 1), np.array([0.5, 0.5]))
    assert shares[0] == pytest.approx(0.2, abs=0.01)
    bayes = 0.2 * p / (0.2 * p + 0.8 * (1 - p))
    assert corrected[:, 0] == pytest.approx(bayes, abs=0.01)


def test_a_gap_has_the_p_of_fishers_test() -> None:
    called = np.array([True] * 18 + [False] * 12 + [True] * 27 + [False] * 3)
    inside = np.arange(60) < 30
    gap = subgroups._rate("sensitivity", ("F", "x"), called, (inside, ~inside))
    assert gap.p == pytest.approx(fisher_exact([[18, 12], [27, 3]]).pvalue)
    assert (gap.inside, gap.outside) == (0.6, 0.9)


def test_a_cell_that_is_no_better_is_said_to_be_none() -> None:
    evidence = clean()
    mine = evidence.predictions[evidence.predictions["seed"] == 0]
    random = np.random.default_rng(1)
    p = random.random(len(mine))
    both = pd.concat(
        [
            mine,
            mine.assign(cell="twin", p_covid19=mine["p_covid19"] * 0.999),
            mine.assign(cell="noise", p_covid19=p),
        ]
    )
    found = seeds.superiority(replace(evidence, predictions=mine, all_predictions=both))
    assert found["noise"] < 0.001
    assert found["twin"] == 1.0


class Brightness:
    """A network of three features: mean, spread and slope from the top to the bottom."""

    def __call__(self, stack: np.ndarray) -> np.ndarray:
        films = stack.astype(np.float32) / 255
        slope = films[:, :32].mean((1, 2)) - films[:, 32:].mean((1, 2))
        across = films[:, :, :32].mean((1, 2)) - films[:, :, 32:].mean((1, 2))
        return np.stack([films.mean((1, 2)), films.std((1, 2)), slope, across], 1) * 10


class Prepared:
    """64 x 64, whatever comes."""

    decode_side = None

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        import cv2

        grey = pixels if pixels.dtype == np.uint8 else np.rint(pixels * 255).astype(np.uint8)
        return cv2.resize(grey, (64, 64), interpolation=cv2.INTER_AREA)


def at_the_gate(tmp_path: Any, *, blind: bool) -> Evidence:
    """Films that are dark above and to the left; a gate that sees that, or one that lets all in."""
    import cv2

    random = np.random.default_rng(0)
    ramp = np.add.outer(np.linspace(20, 70, 96), np.linspace(0, 40, 96))
    films = np.clip(ramp + random.normal(0, 6, (IMAGES, 96, 96)), 0, 255).astype(np.uint8)
    prepare, network = Prepared(), Brightness()
    features = network(np.stack([prepare(film) for film in films]))
    turned = {
        pose: network(np.stack([prepare(gate.posed(film, pose)) for film in films[:60]]))
        for pose in gate.POSES
    }
    fitted = gate.fit(features[:300], turned, features[300:400])
    if blind:
        random.shuffle(features)
        fitted = replace(fitted, weights=0 * fitted.weights, mean=fitted.mean + 5)
        noise = random.normal(size=(200, 4)).astype(np.float32)
        fitted = gate.fit(noise, dict.fromkeys(gate.POSES, noise[:60]), noise)
    evidence = clean()
    paths = []
    for i, film in enumerate(films):
        paths.append(str(tmp_path / f"{i}.png"))
        if i % 3 == 0:
            cv2.imwrite(paths[-1], film)
    facts = evidence.model.facts
    model = SimpleNamespace(facts=facts, gate=fitted, runtime=network, pipeline=prepare)
    return replace(
        evidence, manifest=evidence.manifest.assign(path=paths), model=model, features=features
    )


def test_a_gate_that_sees_passes_and_one_that_does_not_fails(tmp_path: Any) -> None:
    seeing = AUDITS["C-22"](at_the_gate(tmp_path, blind=False))
    assert seeing.status == "pass", seeing.sentence
    assert AUDITS["C-22"](at_the_gate(tmp_path, blind=True)).status == "fail"


def test_strangers_are_many_and_of_one_size() -> None:
    far = [*strangers.noises(0), *strangers.photographs()]
    assert len(far) == 54
    assert {image.shape for image in far} == {(strangers.SIDE, strangers.SIDE)}
