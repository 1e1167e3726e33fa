"""Comparisons: tests against statsmodels and hand counts, and the pairing itself."""

from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests
from synthetic_predictions import Request, table

from hilum.metrics import intervals, metrics, paired_tests
from hilum.metrics.predictions import read_predictions
from hilum.types import HilumError

CLASSES = Request().classes


def by_key(
    first: pd.DataFrame, second: pd.DataFrame
) -> dict[tuple[str, str], paired_tests.Difference]:
    rows = paired_tests.compare_paired(first, second, list(CLASSES))
    return {(row.name, row.class_): row for row in rows}


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_equals_statsmodels_and_fagerland(b: int, c: int) -> None:
    exact = reference_mcnemar([[0, b], [c, 0]], exact=True).pvalue
    assert paired_tests.mcnemar(b, c, mid=False) == pytest.approx(min(exact, 1.0), rel=1e-10)
    if b + c:
        n, k = b + c, min(b, c)
        here = comb(n, k) / 2**n
        mid = 1 - here / 2 if b == c else exact - here
        assert paired_tests.mcnemar(b, c) == pytest.approx(mid, rel=1e-9)


def test_mcnemar_by_hand_and_refusal() -> None:
    assert paired_tests.mcnemar(1, 9, mid=False) == pytest.approx(2 * 11 / 1024)
    assert paired_tests.mcnemar(1, 9) == pytest.approx((2 * 11 - 10) / 1024)
    assert paired_tests.mcnemar(0, 0) == 1
    with pytest.raises(HilumError, match="-1"):
        paired_tests.mcnemar(-1, 3)


@pytest.mark.slow
@settings(deadline=None, max_examples=5)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=12))
def test_holm_equals_statsmodels(percents: list[int]) -> None:
    p = [percent / 50 for percent in percents]
    assert paired_tests.holm(p) == pytest.approx(
        multipletests(p, method="holm")[1].tolist(), abs=1e-12
    )
    with_gap = paired_tests.holm([*p, float("nan")])
    assert np.isnan(with_gap[-1])
    assert with_gap[:-1] == paired_tests.holm(p)


def test_delong_test_equals_the_formula_and_the_bootstrap() -> None:
    rng = np.random.default_rng(0)
    positive = np.arange(400) % 3 == 0
    first = rng.normal(size=400) + positive
    second = first + rng.normal(size=400)
    ends, p = paired_tests.delong_test(positive, first, second)
    areas, spread = intervals.delong(positive, np.stack([first, second]))
    error = np.sqrt(np.array([-1, 1]) @ spread @ np.array([-1, 1]))
    assert p == pytest.approx(2 * norm.sf(abs(areas[1] - areas[0]) / error))
    assert ends == pytest.approx(areas[1] - areas[0] + np.array([-1, 1]) * 1.959964 * error)
    gaps = []
    for _ in range(1500):
        yes = rng.choice(np.flatnonzero(positive), positive.sum())
        no = rng.choice(np.flatnonzero(~positive), (~positive).sum())
        both = np.concatenate([yes, no])
        gaps.append(
            metrics.auroc(positive[both], second[both]) - metrics.auroc(positive[both], first[both])
        )
    assert np.std(gaps) == pytest.approx(error, rel=0.08)


def test_delong_test_at_its_edges() -> None:
    positive = np.arange(20) < 8
    score = np.random.default_rng(1).normal(size=20)
    same = paired_tests.delong_test(positive, score, score * 2)
    assert same == ((0, 0), 1.0)
    constant = paired_tests.delong_test(positive, positive.astype(float), np.zeros(20))
    assert np.isnan(constant[1])  # no variance to test with: the bootstrap decides
    assert np.isnan(paired_tests.delong_test(np.arange(20) < 1, score, -score)[1])


def test_delong_test_keeps_its_level() -> None:
    """Two equally good noisy readers: p below 0.05 about one time in twenty."""
    rng = np.random.default_rng(2)
    positive = np.arange(150) % 2 == 0
    low = 0
    for _ in range(400):
        truth = rng.normal(size=150) + positive
        p = paired_tests.delong_test(positive, *(truth + rng.normal(size=(2, 150))))[1]
        low += p < 0.05
    assert 0.02 < low / 400 < 0.09


def test_a_run_equals_itself() -> None:
    for request in (Request(), Request(per=2), Request(folds=3)):
        rows = table(request)
        for row in by_key(rows, rows.sample(frac=1, random_state=1)).values():
            assert row.difference == pytest.approx(0, abs=1e-15)
            assert (row.low, row.high) == pytest.approx((0, 0), abs=1e-15)
            assert row.p_holm == pytest.approx(1)


def test_a_better_run_is_found_better_everywhere() -> None:
    worse = table(Request(n=400, separation=0.8))
    better = table(Request(n=400, separation=2.5, noise=1))
    found = by_key(worse, better)
    for row in found.values():
        assert row.p_holm < 0.01, row
        assert row.second - row.first == row.difference
        assert row.difference * (1 if row.name != "log_loss" else -1) > 0
        assert row.low > 0 or row.high < 0
    backwards = by_key(better, worse)["accuracy", "overall"]
    assert backwards.difference == -found["accuracy", "overall"].difference
    assert backwards.p == found["accuracy", "overall"].p


def test_rows_carry_the_right_test() -> None:
    first, second = table(), table(Request(noise=1))
    found = by_key(first, second)
    labels = first["label"].map(CLASSES.index).to_numpy()
    right = [t[[f"p_{c}" for c in CLASSES]].to_numpy().argmax(1) == labels for t in (first, second)]
    only = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    assert found["accuracy", "overall"].p == paired_tests.mcnemar(*only)
    own = labels == 2
    only = int((right[0] & ~right[1] & own).sum()), int((right[1] & ~right[0] & own).sum())
    assert found["sensitivity", "pneumonia"].p == paired_tests.mcnemar(*only)
    both = [t["p_pneumonia"].to_numpy() for t in (first, second)]
    expected = paired_tests.delong_test(own, *both)
    area = found["auroc", "pneumonia"]
    assert (area.low, area.high, area.p) == pytest.approx((*expected[0], expected[1]))
    assert found["auroc", "macro"].method == "bootstrap by patient"
    corrected = paired_tests.holm([row.p for row in found.values()])
    assert [row.p_holm for row in found.values()] == corrected


def test_clusters_and_seeds_are_left_to_the_bootstrap() -> None:
    for request in (Request(per=3), Request(seeds=3)):
        found = by_key(table(request), table(Request(**{**vars(request), "noise": 1})))
        assert {row.method for row in found.values()} == {"bootstrap by patient"}


def test_pairing_narrows_the_interval() -> None:
    """Two runs that err on the same images differ less than two that err apart."""
    first = table(Request(n=400))
    close = first.copy()
    columns = [f"p_{c}" for c in CLASSES]
    p = first[columns].to_numpy() * np.exp(np.random.default_rng(3).normal(0, 0.2, (400, 3)))
    close[columns] = p / p.sum(1, keepdims=True)
    apart = table(Request(n=400, noise=5))
    near, far = (by_key(first, other)["accuracy", "overall"] for other in (close, apart))
    assert near.high - near.low < 0.6 * (far.high - far.low)


def test_runs_on_other_images_are_refused() -> None:
    rows = table()
    with pytest.raises(HilumError, match=r"1 in only one.*set/0007\.png"):
        paired_tests.compare_paired(rows, rows.drop(7), list(CLASSES))
    other = rows.copy()
    other.loc[4, "label"] = "normal" if rows["label"][4] != "normal" else "covid19"
    with pytest.raises(HilumError, match=r"1 that differ.*set/0004\.png"):
        paired_tests.compare_paired(rows, other, list(CLASSES))
    with pytest.raises(HilumError, match="120 that differ"):
        paired_tests.compare_paired(rows, rows.assign(patient_id=pd.NA), list(CLASSES))


def test_bootstrap_p_counts_the_far_side() -> None:
    assert paired_tests.bootstrap_p(np.arange(1, 1000)) == pytest.approx(2 / 1000)
    assert paired_tests.bootstrap_p(np.array([-1.0, 1.0, 1.0])) == 1.0
    assert paired_tests.bootstrap_p(np.zeros(99)) == 1
    assert np.isnan(paired_tests.bootstrap_p([np.nan]))


def clustered(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """40 patients of four images each, of either kind, and the scores of two readers."""
    patients = np.repeat(np.arange(40), 4)
    mood = rng.normal(size=40)[patients]
    positive = (rng.random(40) < 0.5)[patients] ^ (rng.random(160) < 0.2)
    first = positive + mood + rng.normal(size=160)
    return patients, positive, np.stack([first, 1.2 * positive + 0.5 * mood + rng.normal(size=160)])


def test_delong_by_patient_has_the_spread_of_new_patients() -> None:
    """Obuchowski's covariance against that of 800 simulated studies; DeLong's is too small."""
    areas, by_patient, by_image = [], [], []
    for draw in range(800):
        patients, positive, scores = clustered(np.random.default_rng(draw))
        found = intervals.delong_by_patient(positive, scores, patients)
        areas.append(found[0])
        by_patient.append(found[1])
        by_image.append(intervals.delong(positive, scores)[1])
    true = np.cov(np.transpose(areas))
    assert np.mean(by_patient, axis=0) == pytest.approx(true, rel=0.15)
    assert np.mean(by_image, axis=0)[0, 0] < 0.8 * true[0, 0]


def test_delong_by_patient_of_one_image_each_is_delong() -> None:
    _, positive, scores = clustered(np.random.default_rng(0))
    one = intervals.delong_by_patient(positive, scores, np.arange(160))
    plain = intervals.delong(positive, scores)
    np.testing.assert_allclose(one[0], plain[0])
    np.testing.assert_allclose(one[1], plain[1], atol=1e-15)
    ends, p = paired_tests.delong_test(positive, *scores, np.arange(160))
    assert (ends, p) == paired_tests.delong_test(positive, *scores)


def test_where_no_patient_is_known_the_method_says_so() -> None:
    first, second = (table(Request(noise=i)).assign(patient_id=None) for i in (0, 1))
    found = by_key(first, second)
    assert found["accuracy", "overall"].method.endswith(", patients unknown")
    assert found["auroc", "pneumonia"].method == "delong, patients unknown"
    assert found["f1", "macro"].method == "bootstrap by image"
    known = by_key(table(Request(per=3)), table(Request(per=3, noise=1)))
    assert {row.method for row in known.values()} == {"bootstrap by patient"}


@pytest.mark.parametrize(
    ("per", "unknown", "said"),
    [
        (1, 0, "Each of 120 images is of another patient."),
        (3, 0, "Patients are the unit: 40 with 120 images."),
        (1, 120, "No patient is known: each of 120 images counts as a patient of its own"),
        (3, 30, "30 of 120 images are of unknown patients"),
    ],
)
def test_what_counts_as_a_patient_is_one_sentence(per: int, unknown: int, said: str) -> None:
    rows = table(Request(per=per))
    rows.loc[: unknown - 1 if unknown else -1, "patient_id"] = None
    assert read_predictions(rows, CLASSES).assumption.startswith(said)
