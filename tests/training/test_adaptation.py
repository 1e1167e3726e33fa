"""Moving a head to another hospital: against other solvers, limits, and what few films allow."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from hilum.training import adaptation
from hilum.training.adaptation import NewFilms
from hilum.types import HilumError


def films(count: int, seed: int = 0, width: int = 40, useful: float = 0.0) -> NewFilms:
    """Two classes; the old head knows one direction, a new one (`useful`) helps as well."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    features = random.normal(size=(count, width))
    features[:, 0] += 1.0 * labels
    features[:, 1] += useful * (labels - 0.5)
    logits = np.stack([-features[:, 0], features[:, 0]], axis=1)
    return NewFilms(logits, features, labels, np.arange(count) // 2)


def test_the_shift_is_the_one_that_another_solver_finds() -> None:
    some, strength = films(12, width=6), 0.3

    def loss(flat: np.ndarray) -> float:
        layer, offset, scale = flat[:12].reshape(2, 6), flat[12:14], flat[14]
        logits = scale * some.logits + offset + some.features @ layer.T
        out = -log_softmax(logits, axis=1)[np.arange(12), some.labels].mean()
        prior = (offset @ offset) / 9 + (scale - 1) ** 2 / 0.25
        return float(out + strength / 2 * (layer**2).sum() + prior / 2 / 12)

    found = adaptation.fit_shift(some, strength)
    start = np.concatenate([np.zeros(14), [1.0]])
    other = minimize(loss, start, method="BFGS", options={"gtol": 1e-8}).x
    assert found.layer == pytest.approx(other[:12].reshape(2, 6), abs=1e-4)
    assert found.offset == pytest.approx(other[12:14], abs=1e-3)
    assert found.scale == pytest.approx(other[14], abs=1e-3)


def test_without_an_old_head_it_is_logistic_regression(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptation, "OFFSET_SPREAD", 1e6)
    some = films(60, width=5)
    blank = NewFilms(np.zeros((60, 2)), some.features, some.labels, some.patients)
    found = adaptation.fit_shift(blank, 0.1)
    # two layers that mirror each other are one of twice the penalty
    other = LogisticRegression(C=2 / (0.1 * 60), tol=1e-10, max_iter=1000).fit(
        some.features, some.labels
    )
    assert found.layer[1] - found.layer[0] == pytest.approx(other.coef_[0], abs=1e-3)


def test_a_stronger_penalty_stays_nearer_and_an_infinite_one_adds_no_layer() -> None:
    some = films(30, useful=3.0)
    sizes = [
        float(np.abs(adaptation.fit_shift(some, s).layer).sum()) for s in (np.inf, 100, 1, 0.1)
    ]
    assert sizes[0] == 0
    assert sizes == sorted(sizes)


def test_a_layer_is_chosen_where_films_ask_for_it_and_left_out_films_gain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(adaptation, "PATH", (np.inf, 100.0, 3.0, 0.3))
    plain, useful = films(60, 1), films(60, 1, useful=3.0)
    first, second = adaptation.weigh_strengths(plain), adaptation.weigh_strengths(useful)
    assert first.sum() == pytest.approx(1)
    assert first[:2].sum() > 0.5  # no layer, or hardly any
    assert second[2:].sum() > 0.8
    before = -log_softmax(useful.logits, axis=1)[np.arange(60), useful.labels].mean()
    after = -log_softmax(adaptation.out_of_fold(useful), axis=1)[np.arange(60), useful.labels]
    assert after.mean() < before - 0.05


def test_a_film_is_answered_without_its_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    some = films(24, 3, useful=3.0)
    fold = adaptation.folds_of(some, 0)
    assert all(len(set(fold[some.patients == number])) == 1 for number in range(12))
    assert sorted(set(fold.tolist())) == [0, 1, 2, 3, 4]
    monkeypatch.setattr(adaptation, "folds_of", lambda films, _: films.patients % 4)
    monkeypatch.setattr(adaptation, "PATH", (np.inf, 3.0))
    first = adaptation.out_of_fold(some)
    labels = some.labels.copy()
    labels[:2] = 1 - labels[:2]  # both films of the first patient
    other = NewFilms(some.logits, some.features, labels, some.patients)
    second = adaptation.out_of_fold(other)
    assert second[:2] == pytest.approx(first[:2])
    assert np.abs(second[2:8] - first[2:8]).max() > 1e-4  # the folds that learn from them


def test_shares_of_classes_are_found_without_labels() -> None:
    random = np.random.default_rng(4)
    true = np.array([0.15, 0.6, 0.25])
    labels = random.choice(3, 4000, p=true)
    points = np.eye(3)[labels] * 2.0 + random.normal(size=(4000, 3))
    p = softmax(2.0 * points, axis=1)  # the posterior of equal shares: unit normals, 2 apart
    shares = adaptation.class_shares(p, np.full(3, 1 / 3))
    assert shares == pytest.approx(true, abs=0.03)
    assert (p * shares * 3 / (p * shares * 3).sum(1, keepdims=True)).mean(0) == pytest.approx(
        shares, abs=1e-6
    )  # a fixed point
    with pytest.raises(HilumError, match="a share above 0 of each"):
        adaptation.class_shares(p, np.array([1.0, 0.0, 0.0]))


def test_weights_are_those_of_the_left_out_likelihood_and_the_mean_is_a_shift(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(adaptation, "PATH", (np.inf, 3.0))
    some = films(20, 5, width=30, useful=2.0)
    fold = adaptation.folds_of(some, 0)
    likelihood = np.zeros(2)
    for number in range(5):
        rows, rest = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        left = some.take(rows)
        for step, strength in enumerate(adaptation.PATH):
            logits = adaptation.fit_shift(some.take(rest), strength)(left.logits, left.features)
            p = softmax(logits, axis=1)[np.arange(len(left)), left.labels]
            likelihood[step] += np.log(p).sum()
    ratio = np.exp(adaptation.FLATTENED * (likelihood[1] - likelihood[0]))
    weights = adaptation.weigh_strengths(some)
    assert weights[1] / weights[0] == pytest.approx(ratio, rel=1e-2)
    both = [adaptation.fit_shift(some, s)(some.logits, some.features) for s in adaptation.PATH]
    mean = adaptation.fit_weighed(some, weights)(some.logits, some.features)
    assert mean == pytest.approx(weights[0] * both[0] + weights[1] * both[1])
