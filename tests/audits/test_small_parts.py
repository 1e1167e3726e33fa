"""Parts of audits against closed forms: one figure each, known without the code."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from controls_of_tables import Cohort
from sklearn.datasets import load_sample_images

from hilum.audits import (
    AUDITS,
    Evidence,
    c03_border_only,
    c11_images_on_both_sides,
    c13_heat_in_lungs,
    c18_threshold,
    c19_subgroups,
    c20_decision_curve,
    c22_out_of_distribution,
    c24_seed_variance,
    c25_corruption,
    c26_prevalence_shift,
    cross_validated_probe,
    look_alikes,
    published_arithmetic,
    published_table,
    sampled_maps,
)
from hilum.types import Leak


@pytest.fixture(scope="module")
def clean() -> Evidence:
    """A study of tables alone, nothing wrong with it."""
    return Cohort(np.random.default_rng(0)).evidence(model=None)


def answers(clean: Evidence, positive: np.ndarray, p: np.ndarray) -> Evidence:
    """The study's first images with these labels and probabilities of its first class."""
    first, second = clean.classes
    table = clean.predictions.iloc[: len(p)]
    table = table.assign(label=np.where(positive, first, second), seed=0)
    return replace(clean, predictions=table.assign(**{f"p_{first}": p, f"p_{second}": 1 - p}))


def test_the_frame_has_nothing_of_the_middle(
    clean: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of films that are bright inside and black in their outer tenth, the probe sees black."""
    seen: list[np.ndarray] = []

    def probe(table: np.ndarray, *asked: object) -> tuple[float, tuple[float, float]]:
        seen.append(table)
        return 0.5, (0.4, 0.6)

    monkeypatch.setattr(cross_validated_probe, "auroc_with_interval", probe)
    stack = np.zeros((len(clean.manifest), 60, 60), np.uint8)
    stack[:, 6:-6, 6:-6] = 255
    c03_border_only.audit(replace(clean, stack=stack))
    assert seen[0].shape[1] == 30**2 - 24**2
    assert not seen[0].any()


@pytest.mark.parametrize(("pairs", "words"), [(1, "1 pair of images is"), (2, "2 pairs of images")])
def test_twins_are_counted_in_words(pairs: int, words: str) -> None:
    """A pair that is alike in two ways is one."""
    ways = [(kind, number) for number in range(pairs) for kind in ("file", "pixels")]
    found = [Leak(kind, 0, f"a{n}", "train", f"b{n}", "test") for kind, n in ways]  # type: ignore[arg-type]
    assert c11_images_on_both_sides._twins(found).startswith(words)


class Panel(SimpleNamespace):
    """A lung mask that can be believed."""


def test_heat_spread_evenly_has_a_lift_of_one(
    clean: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not below 1, so that it is no warning."""
    mask = np.zeros((16, 16), bool)
    mask[:8, :8] = True
    maps = SimpleNamespace(rows=np.arange(16), maps=np.ones((16, 16, 16)))
    monkeypatch.setattr(sampled_maps, "heat_maps", lambda evidence: maps)
    lungs = [[Panel(mask=mask, good=True)]] * 16
    monkeypatch.setattr(c13_heat_in_lungs.sampling, "lungs", lambda evidence, rows: lungs)
    found = AUDITS["C-13"](clean)
    assert (found.status, found.value, found.low, found.high) == ("pass", 1.0, 1.0, 1.0)


@pytest.mark.parametrize(("spearman", "status"), [(0.3, "pass"), (0.31, "fail")])
def test_randomised_maps_are_of_the_seed_and_the_last_counts(
    clean: Evidence, monkeypatch: pytest.MonkeyPatch, spearman: float, status: str
) -> None:
    seeds: list[object] = []

    def course(*asked: object) -> pd.DataFrame:
        seeds.append(asked[4])
        return pd.DataFrame({"spearman": [1.0, 0.9, spearman]})

    sample = sampled_maps.SampledMaps(*[np.zeros((2, 1, 1))] * 4)  # type: ignore[arg-type]
    monkeypatch.setattr(sampled_maps, "heat_maps", lambda evidence: sample)
    monkeypatch.setattr(sampled_maps, "explainable", lambda evidence: None)
    monkeypatch.setattr("hilum.explain.sanity_checks.cascading_randomisation", course)
    found = AUDITS["C-14"](replace(clean, seed=7))
    assert (found.status, found.value, seeds) == (status, spearman, [7])


def test_heat_is_drawn_of_the_class_that_the_model_gives(
    clean: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = len(clean.manifest)
    given = np.arange(count) % 2
    stack = np.zeros((count, 4, 4), np.uint8)
    stack[:, 0, 0] = given
    model: Any = SimpleNamespace(
        probabilities=lambda films: np.eye(2)[films[:, 0, 0]], facts=SimpleNamespace(seen=())
    )
    monkeypatch.setattr(sampled_maps, "explainable", lambda evidence: None)
    heat = lambda subject, film, class_: np.full((4, 4), class_)  # noqa: E731
    monkeypatch.setattr("hilum.explain.cam.heat", heat)
    found = sampled_maps.heat_maps(replace(clean, model=model, stack=stack))
    assert 0 < found.classes.sum() < len(found.classes)
    assert found.classes.tolist() == given[found.rows].tolist()
    assert found.maps[:, 0, 0].tolist() == found.classes.tolist()


def test_few_of_a_class_are_counted_in_either_class(clean: Evidence) -> None:
    facts = SimpleNamespace(thresholds=dict.fromkeys(clean.classes, 0.5), provenance={})
    model: Any = SimpleNamespace(facts=facts)
    few = answers(clean, np.arange(40) < 4, np.linspace(0, 1, 40))
    assert "there are only 4" in c18_threshold.audit(replace(few, model=model)).sentence


def test_two_areas_differ_whichever_comes_first() -> None:
    """Areas of a half and of one; which side comes first is all the same to p."""
    truth = np.arange(40) % 20 < 10
    score = np.where(truth, 1.0, 0.0) + np.linspace(0, 0.1, 40)
    score[:20] = np.tile([0.0, 1.0], 10)  # as if thrown: an area of a half
    inside = np.arange(40) < 20
    gap = c19_subgroups._areas(("F", "x"), truth, score, (inside, ~inside))
    assert (gap.inside, gap.outside) == (0.5, 1.0)
    assert gap.p < 0.01
    back = c19_subgroups._areas(("F", "x"), truth, score, (~inside, inside))
    assert back.p == pytest.approx(gap.p)
    same = c19_subgroups._areas(("F", "x"), truth, score, (inside, inside))
    assert same.p == pytest.approx(1.0)


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_the_gain_of_a_perfect_classifier(
    clean: Evidence, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    """Its net benefit is the share of the sick; of all treated, that less the healthy's odds."""
    sick = np.arange(40) < 40 * share
    monkeypatch.setattr(c20_decision_curve.predictions, "positive_classes", lambda e: e.classes[:1])
    found = AUDITS["C-20"](answers(clean, sick, sick.astype(float)))
    worst = max(0.0, share - (1 - share))  # at a threshold of a half, where odds are 1
    assert found.value == pytest.approx(share - worst)


def test_of_many_test_films_the_gate_is_asked_a_hundred(
    clean: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spread evenly: the first, the last, and none twice."""
    rule, count = c22_out_of_distribution, len(clean.manifest)
    asked: list[list[float]] = []

    def scores(features: np.ndarray) -> np.ndarray:
        asked.append(features[:, 0].tolist())
        return features[:, 0]

    model: Any = SimpleNamespace(
        gate=SimpleNamespace(scores=scores),
        runtime=lambda films: np.full((len(films), 1), 1e6),
        pipeline=lambda image: np.zeros(1),
        facts=SimpleNamespace(provenance={}),
    )
    monkeypatch.setattr(rule, "_films", lambda evidence, at: [np.zeros((8, 8), np.uint8)])
    monkeypatch.setattr(rule, "noises", lambda seed: [np.zeros((8, 8), np.float32)])
    monkeypatch.setattr(rule, "photographs", list)
    table = pd.DataFrame({"sample_id": clean.manifest["sample_id"]})
    numbered = np.arange(count, dtype=np.float64)[:, None]
    AUDITS["C-22"](replace(clean, model=model, features=numbered, predictions=table))
    assert count > len(asked[0]) == len(set(asked[0])) == rule.OWN
    assert np.ptp(np.diff(asked[0])) <= 1


@pytest.mark.parametrize(("p", "said"), [(0.05, "to be better than 1 of 1"), (0.049, "all 1")])
def test_a_cell_is_better_below_one_in_twenty(
    clean: Evidence, monkeypatch: pytest.MonkeyPatch, p: float, said: str
) -> None:
    monkeypatch.setattr(c24_seed_variance, "superiority", lambda evidence: {"other": p})
    assert said in c24_seed_variance._against_other_cells(clean)


def test_noise_leaves_the_mean_and_has_its_spread() -> None:
    """Of 40,000 pixels: the mean is known to a tenth of a grey level, and so is the spread."""
    grey = np.full((200, 200), 128, np.uint8)
    noisy = c25_corruption._noise(grey, 0.04).astype(float)
    assert noisy.mean() == pytest.approx(128, abs=0.2)
    assert noisy.std() == pytest.approx(0.04 * 255, abs=0.2)


def test_principal_components_of_few_images_keep_their_distances() -> None:
    """Five images span four directions, however many features they have."""
    features = np.random.default_rng(3).normal(size=(5, 5))
    found = look_alikes.reduced(features)
    assert found.shape == (5, 4)
    gaps = [np.linalg.norm(table[:, None] - table, axis=-1) for table in (features, found)]
    np.testing.assert_allclose(*gaps, atol=1e-9)


def test_images_all_alike_span_nothing() -> None:
    assert cross_validated_probe._basis(np.zeros((4, 6))).shape == (6, 0)


@pytest.mark.parametrize("images", [100, 400])
def test_frames_that_are_all_black_say_nothing(
    monkeypatch: pytest.MonkeyPatch, images: int
) -> None:
    """Of fewer images than the frame has pixels, as of more: every area is a half."""
    monkeypatch.setattr(cross_validated_probe, "REPLICATES", 20)
    stack = np.zeros((images, 60, 60), np.uint8)
    stack[:, 10:-10, 10:-10] = np.arange(images, dtype=np.uint8)[:, None, None]
    study = Cohort(np.random.default_rng(0), images).evidence(model=None, stack=stack)
    found = AUDITS["C-03"](study)
    assert (found.status, found.value, found.low, found.high) == ("pass", 0.5, 0.5, 0.5)
    assert "the frame says little about the label" in found.sentence


def table_of(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Published figures: class, metric, value."""
    same = dict.fromkeys(published_table.COLUMNS, "x") | {"dataset": "d", "where": "Table 1"}
    columns = ("class", "metric", "value")
    return pd.DataFrame([same | dict(zip(columns, row, strict=True)) for row in rows])


def test_zeros_after_a_count_do_not_sharpen_rates() -> None:
    rows = ("a", "sensitivity", "0.90"), ("a", "TP", "36.0000"), ("b", "specificity", "0.90")
    (experiment,), _ = published_table.parse_published_table(table_of(*rows))
    assert [figure.half for figure in experiment.figures] == [0.005, 0.005]


@pytest.mark.parametrize(("found", "kinds"), [(36, []), (35, ["counts"])])
def test_two_counts_alone_must_add_up_to_the_class(found: int, kinds: list[str]) -> None:
    sizes = published_table.Sizes({"a": 40, "b": 60}, 100, exact=True)
    counts = {"a": {"TP": found, "FN": 4}}
    experiment = published_table.Experiment("A", "B", (), counts, sizes)
    told = [(kind, why) for _, kind, why in published_arithmetic._sums(experiment)]
    assert [kind for kind, why in told if why] == kinds
    assert len(told) == 1


@pytest.mark.parametrize("f1", [0.1, 0.2, 0.3])
def test_the_share_of_pairs_that_print_an_f1_is_that_of_all_pairs_tried(f1: float) -> None:
    """Of figures with one digit, where no precision is high enough for a part of the recalls."""
    rates = [
        published_table.PrintedRate("a", name, "", value, 0.05, "", "")
        for name, value in (("f1", f1), ("precision", 0.2), ("sensitivity", 0.1))
    ]
    precision, recall = np.meshgrid(np.linspace(0.15, 0.25, 1001), np.linspace(0.05, 0.15, 1001))
    printed = np.abs(2 * precision * recall / (precision + recall) - f1) <= 0.05
    assert published_arithmetic.explained(*rates) == pytest.approx(printed.mean(), abs=2e-3)


def test_pieces_of_photographs_reach_all_corners() -> None:
    pictures = [picture.mean(axis=2).astype(np.uint8) for picture in load_sample_images().images]
    pieces, side = c22_out_of_distribution.photographs(), c22_out_of_distribution.SIDE
    assert len(pieces) == 9 * len(pictures)
    for number, picture in enumerate(pictures):
        of_it = pieces[9 * number : 9 * number + 9]
        ends = slice(side), slice(-side, None)
        corners = [picture[y, x] for y in ends for x in ends]
        for at, corner in zip((0, 2, 6, 8), corners, strict=True):
            np.testing.assert_array_equal(of_it[at], corner)


def test_shares_that_answers_give_exactly_are_never_off() -> None:
    """Of certain answers the estimate is the count, in every resample; of wrong ones it is not."""
    labels = np.repeat([0, 1], [60, 40])
    certain, even = np.eye(2)[labels], np.array([0.5, 0.5])
    assert not c26_prevalence_shift.beyond_chance(labels, certain, even, seed=1).any()
    wrong = np.eye(2)[np.repeat([0, 1], [20, 80])]
    assert c26_prevalence_shift.beyond_chance(labels, wrong, even, seed=1).all()
