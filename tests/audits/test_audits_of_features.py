"""Audits of features and predictions: what is missing is no pass, and figures have their proof."""

from dataclasses import replace
from pathlib import Path

import controls_of_tables
import numpy as np
import pandas as pd
import pytest
from controls_of_tables import Cohort
from scipy.optimize import minimize_scalar
from scipy.stats import fisher_exact, norm
from sklearn.metrics import roc_auc_score

from hilum import datasets
from hilum.audits import (
    AUDITS,
    Evidence,
    c18_threshold,
    c19_subgroups,
    c20_decision_curve,
    c22_out_of_distribution,
    c23_other_sources,
    c24_seed_variance,
    c26_prevalence_shift,
    look_alikes,
)
from hilum.data import prepared_dataset, splits
from hilum.inference import model as models
from hilum.metrics.intervals import proportion
from hilum.models import backbones
from hilum.preprocess import from_list
from hilum.types import Fingerprints, Manifest

NAMES = ["C-05", "C-10", "C-12", "C-18", "C-19", "C-20", "C-21", "C-23", "C-24", "C-26", "C-27"]


def clean() -> Evidence:
    return Cohort(np.random.default_rng(0)).evidence()


@pytest.mark.parametrize("name", [*NAMES, "C-22"])
def test_what_is_missing_is_no_pass(name: str) -> None:
    whole = clean()
    unknown = whole.manifest.assign(source=pd.NA, sex=pd.NA, age=pd.NA, patient_id=pd.NA)
    bare = replace(
        whole,
        manifest=unknown,
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
    assert found.sentence.startswith("Not checked: ")


def slices() -> tuple[Evidence, np.ndarray]:
    """150 nameless people of four look-alike slices, divided slice by slice; whose each is."""
    evidence = controls_of_tables.look_alikes(np.random.default_rng(0), 1.0)
    return evidence, np.arange(len(evidence.manifest)) // 4


def test_clusters_are_the_people_whose_slices_are_alike() -> None:
    evidence, person = slices()
    found = look_alikes.look_alike_groups(evidence)
    first = pd.Series(found).groupby(person).first().to_numpy()
    assert (found == first[person]).all()  # nobody's slices are torn apart
    assert len(np.unique(found)) >= 0.9 * len(np.unique(person))
    every = np.arange(len(found))
    single, without = look_alikes.side_by_side(evidence, found, every, every)
    assert single == 1.0
    assert without < 0.65


@pytest.mark.parametrize("chunk", [1, 3, 7, 1000])
def test_look_alikes_are_the_same_in_any_portions(
    monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(look_alikes, "CHUNK", chunk)
    looks = np.random.default_rng(0).normal(size=(20, 2))
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    every = [(i, j) for i in range(20) for j in range(20) if looks[i] @ looks[j] > 0.9]
    assert [tuple(pair) for pair in look_alikes._by_features(looks, 0.9).tolist()] == every


def test_the_limit_joins_one_image_in_a_hundred_to_another_class() -> None:
    evidence, _ = slices()
    assert evidence.features is not None
    looks = look_alikes.whitened(evidence.features)
    limit = look_alikes.limit(looks, evidence.labels)
    other = evidence.labels[:, None] != evidence.labels[None]
    joined = ((looks @ looks.T > limit) & other).any(1)
    assert joined.mean() == pytest.approx(0.01, abs=0.003)
    assert look_alikes.limit(looks, 0 * evidence.labels) == look_alikes.ALIKE


def test_near_duplicates_are_one_cluster_whatever_their_features() -> None:
    """The last two nameless images look alike; those of known patients stay theirs.

    The third, of a known patient, looks like a nameless one.
    """
    random, count = np.random.default_rng(1), 120
    features = random.normal(size=(count, 60)).astype(np.float32)
    far = Cohort(random, count).evidence(features=features)
    hashes = random.integers(0, 256, (count, 32), np.uint8)
    thumbnails = random.integers(0, 256, (count, 32, 32), np.uint8)
    for images in (hashes, thumbnails):
        images[-1], images[1], images[2] = images[-2], images[0], images[-3]
    known = [f"p{i}" if i < count // 2 else pd.NA for i in range(count)]
    keys = tuple(f"{i:064x}" for i in range(count))
    prints = Fingerprints(tuple(far.manifest["sample_id"]), keys, keys, hashes, thumbnails)
    some = replace(far, manifest=far.manifest.assign(patient_id=known))
    plain = look_alikes.look_alike_groups(replace(some))
    found = look_alikes.look_alike_groups(replace(some, fingerprints=prints))
    assert plain[-1] != plain[-2]
    assert found[-1] == found[-2]
    assert found[0] != found[1]
    assert len(np.unique(found)) == len(np.unique(plain)) - 1


def test_a_split_keeps_look_alikes_together() -> None:
    evidence, person = slices()
    names = look_alikes.named(evidence)
    whole = Manifest(evidence.manifest, (), ())
    split = splits.holdout(whole, splits.SplitFractions(), 0, "cluster", names)
    part = split.table.set_index("sample_id")["part"].reindex(evidence.manifest["sample_id"])
    assert split.grouped_by == "cluster"
    assert part.groupby(person).nunique().max() == 1
    divided = replace(evidence, split=split)
    assert AUDITS["C-10"](divided).status == "warn"
    assert AUDITS["C-12"](divided).status == "pass"


def test_labels_of_chance_agree_as_often_as_two_strangers_do() -> None:
    assert AUDITS["C-12"](clean()).value == pytest.approx(0.5, abs=0.03)


def test_the_matrix_has_every_pair_of_sources() -> None:
    table = c23_other_sources.matrix(clean())
    pairs = table[table["train"] != c23_other_sources.REST]
    assert set(zip(pairs["train"], pairs["test"], strict=True)) == {
        (a, b) for a in "AB" for b in "AB"
    }
    assert (table["drop"] == table["inside"] - table["auroc"]).all()
    assert table["auroc"].min() > 0.75
    left = table[table["train"] == c23_other_sources.REST]
    assert (left["sure"] < left["drop"]).all()
    assert pairs["sure"].isna().all()


def answers(apart: float, images: int, classes: list[str], seed: int) -> pd.DataFrame:
    """Predictions of two classes whose logits lie so many deviations apart."""
    random = np.random.default_rng(seed)
    second = np.arange(images) % 2
    p = 1 / (1 + np.exp(-(apart * second + random.normal(size=images))))
    ids = [f"{seed}-{i}" for i in range(images)]
    named = {"sample_id": ids, "path": ids, "patient_id": ids, "source": "elsewhere"}
    shares = {f"p_{classes[0]}": 1 - p, f"p_{classes[1]}": p}
    label = np.array(classes)[second]
    return pd.DataFrame({**named, "label": label, "cell": "main", "fold": 0, "seed": 0, **shares})


@pytest.mark.parametrize(
    ("there", "images", "status"),
    [(0.2, 400, "fail"), (2.0, 400, "pass"), (1.1, 9000, "warn"), (1.2, 22, "pass")],
)
def test_the_external_test_decides_on_other_sources(there: float, images: int, status: str) -> None:
    """AUROC of two normals d apart is Phi(d / sqrt 2); a fall that chance explains is none."""
    evidence = clean()
    two = replace(evidence, classes=evidence.classes[:2], model=None)
    home, away = answers(1.5, 1000, two.classes, 1), answers(there, images, two.classes, 2)
    found = AUDITS["C-23"](replace(two, predictions=home, external=away))
    assert found.status == status, found.sentence
    assert f"On the {images:,} images of the external test AUROC is" in found.sentence
    wanted = norm.cdf(1.5 / 2**0.5) - norm.cdf(there / 2**0.5)
    assert found.value == pytest.approx(wanted, abs=0.07 if images > 100 else 0.3)
    positive = two.classes[1]
    area = roc_auc_score(away["label"] == positive, away[f"p_{positive}"])
    assert f"AUROC is {area:.2f} (" in found.sentence
    one_class = away[away["label"] == positive]
    kept = AUDITS["C-23"](replace(evidence, external=one_class))  # as if there were none
    assert kept == AUDITS["C-23"](evidence)


def test_a_promise_is_broken_as_often_as_two_binomials_say() -> None:
    """The p of a sensitivity of 0.9 that validation and test both only estimate."""
    share = proportion(80, 100)
    alone = norm.cdf((0.8 - 0.9) / np.sqrt(0.09 / 100))
    assert c18_threshold.p_kept(share, 0) == pytest.approx(alone)
    assert c18_threshold.p_kept(share, 50) == pytest.approx(norm.cdf(-0.1 / np.sqrt(0.09 * 0.03)))


def test_no_gain_is_the_worse_of_two_paired_tests() -> None:
    random = np.random.default_rng(0)
    sick = random.random(300) < 0.4
    p = np.clip(0.5 + 0.15 * (2 * sick - 1) + 0.2 * random.normal(size=300), 0, 1)
    t, called = 0.3, p >= 0.3
    model = called & sick, called & ~sick
    over_none = model[0] - t / (1 - t) * model[1]
    over_all = over_none - (sick - t / (1 - t) * ~sick)
    each = [gain.mean() / gain.std(ddof=1) * np.sqrt(300) for gain in (over_none, over_all)]
    assert c20_decision_curve.no_gain(sick, p, t) == pytest.approx(norm.sf(min(each)))
    assert c20_decision_curve.no_gain(sick, np.ones(300), t) == 0.5  # it is treating everyone


def test_prior_shift_is_found_to_the_share_that_was_drawn() -> None:
    """Two Gaussians, Bayes' own probabilities at 50 %, tested at 20 %."""
    random = np.random.default_rng(4)
    sick = random.random(20000) < 0.2
    x = random.normal(size=20000) + np.where(sick, 1.0, -1.0)
    p = 1 / (1 + np.exp(-2 * x))
    shares, corrected = c26_prevalence_shift.estimated(
        np.stack([p, 1 - p], 1), np.array([0.5, 0.5])
    )
    assert shares[0] == pytest.approx(0.2, abs=0.01)
    bayes = 0.2 * p / (0.2 * p + 0.8 * (1 - p))
    assert corrected[:, 0] == pytest.approx(bayes, abs=0.01)


def test_the_first_step_to_the_shares_is_the_mean_probability(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Saerens et al. 2002, eq. 2.4, begun at the shares in training."""
    monkeypatch.setattr(c26_prevalence_shift, "ROUNDS", 1)
    p = np.random.default_rng(0).dirichlet([1, 2, 3], 50)
    shares, corrected = c26_prevalence_shift.estimated(p, np.array([0.2, 0.3, 0.5]))
    np.testing.assert_allclose(shares, p.mean(0), atol=1e-12)
    np.testing.assert_allclose(corrected, p, atol=1e-12)


@pytest.mark.parametrize(("apart", "converges"), [(2.0, True), (0.05, False)])
def test_shares_are_those_of_the_greatest_likelihood_or_on_the_way(
    apart: float, converges: bool
) -> None:
    """Classes that hardly differ are not waited for: EM never goes down, and stops at a bound."""
    random = np.random.default_rng(0)
    sick = random.random(400) < 0.2
    x = random.normal(size=400) + np.where(sick, apart, -apart)
    p = 1 / (1 + np.exp(-2 * apart * x))
    prior = np.array([0.5, 0.5])

    def loss(share: float) -> float:
        return -float(np.log(share * p / 0.5 + (1 - share) * (1 - p) / 0.5).sum())

    best = minimize_scalar(loss, bounds=(0, 1), method="bounded", options={"xatol": 1e-9})
    shares, corrected = c26_prevalence_shift.estimated(np.stack([p, 1 - p], 1), prior)
    away = shares[0] - best.x
    assert abs(away) < 1e-6 if converges else 0.01 < away < 0.5 - best.x
    assert best.fun <= loss(shares[0]) < loss(0.5)
    assert shares.sum() == pytest.approx(1)
    assert corrected.mean(0) == pytest.approx(shares, abs=1e-6 if converges else 1e-3)


def test_a_gap_has_the_p_of_fishers_test() -> None:
    called = np.array([True] * 18 + [False] * 12 + [True] * 36 + [False] * 4)
    inside = np.arange(70) < 30
    gap = c19_subgroups._rate("sensitivity", ("F", "x"), called, (inside, ~inside))
    assert gap.p == pytest.approx(fisher_exact([[18, 12], [36, 4]]).pvalue)
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
    found = c24_seed_variance.superiority(replace(evidence, predictions=mine, all_predictions=both))
    assert found["noise"] < 0.001
    assert found["twin"] == 1.0


def test_strangers_are_many_and_of_one_size() -> None:
    far = [*c22_out_of_distribution.noises(0), *c22_out_of_distribution.photographs()]
    assert len(far) == 54
    assert {image.shape for image in far} == {
        (c22_out_of_distribution.SIDE, c22_out_of_distribution.SIDE)
    }


@pytest.mark.slow
def test_slices_of_one_patient_are_found_on_real_ct(shared: Path) -> None:
    """COVID-CT, whose patients are known: half of the siblings meet, few strangers do."""
    pipeline = from_list([{"step": "letterbox", "side": 224}])
    taken = prepared_dataset.prepare_dataset(datasets.read("covid_ct", shared), pipeline)
    table, stack = taken.manifest.table, np.array(taken.pixels.stack)
    name = "tf_efficientnet_lite0"
    normalise = backbones.backbone_card(name).normalise
    features = models.compile_backbone(backbones.build_backbone(name), normalise, pipeline, "auto")(
        stack
    )
    nameless = table.assign(patient_id=pd.NA)
    classes = ["covid19", "non_covid"]
    evidence = Evidence(
        classes, nameless, pd.DataFrame(), features=features, fingerprints=taken.fingerprints
    )
    found, person = look_alikes.look_alike_groups(evidence), pd.factorize(table["patient_id"])[0]
    joined, same = found[:, None] == found[None], person[:, None] == person[None]
    siblings = same & ~np.eye(len(person), dtype=bool)
    assert (joined & siblings).any(1)[siblings.any(1)].mean() > 0.45
    assert (joined & ~same).any(1).mean() < 0.1
    every = np.arange(len(found))
    single, by_cluster = look_alikes.side_by_side(evidence, found, every, every)
    by_patient = look_alikes.side_by_side(evidence, person, every, every)[1]
    assert single - 0.05 > by_cluster > by_patient
