"""Scores of predictions tables: against scikit-learn, by hand, and at every edge."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference
from statsmodels.stats.proportion import proportion_confint
from synthetic_predictions import Request, spell, table

from hilum.metrics import calibration, intervals, predictions, scores
from hilum.metrics.registry import METRICS, classes_of
from hilum.types import HilumError, Score

CLASSES = Request().classes


def by_key(rows: pd.DataFrame, classes: tuple[str, ...] = CLASSES) -> dict[tuple[str, str], Score]:
    found = scores.score(rows, list(classes), "only")
    assert len({(s.name, s.class_) for s in found}) == len(found)
    return {(s.name, s.class_): s for s in found}


def arrays(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return (
        rows["label"].map(CLASSES.index).to_numpy(),
        rows[[f"p_{name}" for name in CLASSES]].to_numpy(),
    )


def test_values_equal_scikit_learn() -> None:
    rows = table()
    labels, p = arrays(rows)
    said, found = p.argmax(1), by_key(rows)
    value = {key: one.value for key, one in found.items()}
    exact = {"abs": 1e-12}
    assert value["accuracy", "overall"] == (said == labels).mean()
    assert value["balanced_accuracy", "overall"] == pytest.approx(
        reference.balanced_accuracy_score(labels, said), **exact
    )
    assert value["kappa", "overall"] == pytest.approx(
        reference.cohen_kappa_score(labels, said), **exact
    )
    assert value["mcc", "overall"] == pytest.approx(
        reference.matthews_corrcoef(labels, said), **exact
    )
    assert value["log_loss", "overall"] == pytest.approx(reference.log_loss(labels, p), **exact)
    for average in ("macro", "micro", "weighted"):
        expected = reference.precision_recall_fscore_support(labels, said, average=average)
        names = ("precision", "sensitivity", "f1")
        assert [value[name, average] for name in names] == pytest.approx(expected[:3], **exact)
    assert value["auroc", "macro"] == pytest.approx(
        reference.roc_auc_score(labels, p, multi_class="ovr"), **exact
    )
    for c, name in enumerate(CLASSES):
        assert value["auroc", name] == pytest.approx(
            reference.roc_auc_score(labels == c, p[:, c]), **exact
        )
        assert value["auprc", name] == pytest.approx(
            reference.average_precision_score(labels == c, p[:, c]), **exact
        )
        assert value["brier", name] == pytest.approx(
            ((p[:, c] - (labels == c)) ** 2).mean(), **exact
        )
    assert value["brier", "overall"] == pytest.approx(
        reference.brier_score_loss(labels, p, scale_by_half=False), **exact
    )
    assert value["ece", "overall"] == pytest.approx(
        calibration.ece(p.max(1), said == labels), **exact
    )


def test_every_metric_of_the_table_is_scored() -> None:
    found = by_key(table())
    for name, row in METRICS.items():
        wanted = [class_ for scope in row.scopes for class_ in classes_of(scope, CLASSES)]
        assert [key[1] for key in found if key[0] == name] == wanted


def test_independent_images_have_wilson_and_delong() -> None:
    rows = table()
    labels, p = arrays(rows)
    said = p.argmax(1)
    found = by_key(rows)
    shares = {
        "sensitivity": ((labels == 1) & (said == 1), labels == 1),
        "specificity": ((labels != 1) & (said != 1), labels != 1),
        "precision": ((labels == 1) & (said == 1), said == 1),
        "npv": ((labels != 1) & (said != 1), said != 1),
    }
    for name, (right, counted) in shares.items():
        one = found[name, "normal"]
        assert (one.k, one.n, one.method) == (right.sum(), counted.sum(), "wilson")
        assert one.value == one.k / one.n
        expected = proportion_confint(one.k, one.n, method="wilson")
        assert (one.low, one.high) == pytest.approx(expected, abs=1e-12)
    area = found["auroc", "normal"]
    assert area.method == "delong"
    assert (area.low, area.high) == intervals.auroc_interval(labels == 1, p[:, 1])
    assert found["f1", "normal"].method == "bootstrap by patient"
    assert found["accuracy", "overall"].method == "wilson"


def test_every_interval_holds_its_value() -> None:
    for request in (Request(), Request(per=3, folds=4), Request(seeds=3), Request(n=30)):
        for one in by_key(table(request)).values():
            if one.low is not None and one.name != "ece":
                assert one.low <= one.value <= one.high, one


def test_patients_with_several_images_widen_the_interval() -> None:
    """Ten images of a patient say hardly more than one: the interval must not shrink."""
    rows = table(Request(n=600, per=10, separation=1.0))
    one = by_key(rows)["accuracy", "overall"]
    assert one.method == "bootstrap by patient"
    assert (one.k, one.n) == (round(one.value * 600), 600)
    naive = intervals.wilson(one.k, one.n)
    assert one.high - one.low > 1.7 * (naive.high - naive.low)


def test_unknown_patients_are_told() -> None:
    rows = table().assign(patient_id=pd.NA)
    found = by_key(rows)
    assert found["accuracy", "overall"].method == "wilson, patients unknown"
    assert found["f1", "macro"].method == "bootstrap by image"
    known = by_key(table())
    assert found["accuracy", "overall"].low == known["accuracy", "overall"].low


def test_the_seed_decides_the_intervals_and_nothing_else() -> None:
    rows = table()
    first, again, other = (scores.score(rows, list(CLASSES), "only", seed) for seed in (1, 1, 2))
    assert first == again
    assert [s.value for s in first] == [s.value for s in other]
    assert first != other
    shuffled = rows.sample(frac=1, random_state=0)
    moved = scores.score(shuffled, list(CLASSES), "only", 1)
    assert [s.value for s in moved] == pytest.approx([s.value for s in first])


def test_several_folds_are_pooled_and_told_apart() -> None:
    rows = table(Request(folds=4))
    found = by_key(rows)
    labels, p = arrays(rows)
    right = p.argmax(1) == labels
    per_fold = [right[rows["fold"] == fold].mean() for fold in range(4)]
    assert found["accuracy", "overall"].value == right.mean()
    assert found["accuracy (mean of folds)", "overall"].value == pytest.approx(np.mean(per_fold))
    assert found["accuracy (sd of folds)", "overall"].value == pytest.approx(
        np.std(per_fold, ddof=1)
    )
    assert found["auroc", "normal"].method == "delong, 4 folds pooled"
    assert ("accuracy (mean of folds)", "overall") not in by_key(table())


def test_several_seeds_are_averaged_and_their_images_counted_once() -> None:
    rows = table(Request(seeds=4))
    found = by_key(rows)
    singles = [by_key(rows[rows["seed"] == seed]) for seed in range(4)]
    for key in (("accuracy", "overall"), ("auroc", "macro"), ("f1", "normal"), ("ece", "overall")):
        assert found[key].value == pytest.approx(np.mean([one[key].value for one in singles]))
        assert found[key].k is None
        assert "mean of 4 seeds" in found[key].method
    accuracy, single = found["accuracy", "overall"], singles[0]["accuracy", "overall"]
    assert accuracy.high - accuracy.low > 0.6 * (single.high - single.low)  # four would give 0.5
    values = [one["accuracy", "overall"].value for one in singles]
    assert found["accuracy (sd of seeds)", "overall"].value == pytest.approx(np.std(values, ddof=1))


def test_seed_spread_enters_the_interval() -> None:
    """Seeds that disagree as a whole must widen the interval beyond that of the images."""
    rows = table(Request(n=400, seeds=4, separation=3))
    columns = [f"p_{name}" for name in CLASSES]
    spoilt = rows.copy()
    half = spoilt["seed"] < 2  # two seeds fall apart
    spoilt.loc[half, columns] = spoilt.loc[half, columns].to_numpy()[:, [1, 2, 0]]
    calm, wild = (by_key(r)["accuracy", "overall"] for r in (rows, spoilt))
    assert wild.high - wild.low > 5 * (calm.high - calm.low)


def test_an_image_predicted_twice_counts_as_one_patient() -> None:
    rows = table().assign(patient_id=pd.NA)
    twice = pd.concat([rows, rows.assign(fold=1)], ignore_index=True)
    one, two = by_key(rows)["accuracy", "overall"], by_key(twice)["accuracy", "overall"]
    assert two.method == "bootstrap by image"
    assert two.high - two.low == pytest.approx(one.high - one.low, rel=0.15)


# --- edges ----------------------------------------------------------------------------------------


def test_a_class_without_images_is_undefined_not_dropped() -> None:
    found = by_key(spell(["covid19", "normal"] * 9, ["covid19", "normal"] * 9, CLASSES))
    missing = found["sensitivity", "pneumonia"]
    assert np.isnan(missing.value)
    assert (missing.k, missing.n, missing.low, missing.method) == (
        0,
        0,
        None,
        "undefined: no image of pneumonia",
    )
    assert np.isnan(found["auroc", "pneumonia"].value)
    assert found["sensitivity", "macro"].value == 1
    assert found["specificity", "pneumonia"].value == 1


def test_perfect_predictions_do_not_claim_certainty() -> None:
    truth = ["covid19"] * 10 + ["normal"] * 30
    found = by_key(spell(truth, truth, CLASSES[:2]), CLASSES[:2])
    assert found["accuracy", "overall"].low == intervals.wilson(40, 40).low
    assert found["auroc", "macro"].low == pytest.approx(intervals.newcombe(1, 10, 30).low)
    assert found["f1", "macro"].value == 1
    assert found["f1", "macro"].low is None
    assert "no spread" in found["f1", "macro"].method


def test_perfect_clusters_count_their_patients() -> None:
    rows = spell(["covid19"] * 20 + ["normal"] * 40, ["covid19"] * 20 + ["normal"] * 40, CLASSES)
    rows["patient_id"] = [f"x:{i // 5}" for i in range(60)]
    one = by_key(rows)["sensitivity", "covid19"]
    assert (one.k, one.n) == (20, 20)
    assert (one.low, one.high) == pytest.approx(tuple(intervals.wilson(4, 4)))
    assert one.method == "wilson over 4 patients: no spread"


def test_constant_probabilities_are_chance_and_the_first_class() -> None:
    rows = table()
    rows[[f"p_{name}" for name in CLASSES]] = 1 / 3
    found = by_key(rows)
    assert found["sensitivity", "covid19"].value == 1  # ties go to the first class
    assert found["sensitivity", "normal"].value == 0
    assert found["auroc", "macro"].value == 0.5
    assert found["auroc", "macro"].low < 0.5 < found["auroc", "macro"].high
    assert np.isnan(found["mcc", "overall"].value)
    assert np.isnan(found["precision", "macro"].value)


def test_one_image_and_one_class() -> None:
    one = by_key(spell(["normal"], ["normal"], CLASSES))
    assert one["accuracy", "overall"].value == 1
    assert one["accuracy", "overall"].low == pytest.approx(intervals.wilson(1, 1).low)
    assert np.isnan(one["auroc", "normal"].value)


def test_tables_that_cannot_be_scored_are_refused() -> None:
    rows = table()
    for bad in (np.nan, np.inf, -0.5, 0.9999):
        broken = rows.copy()
        broken.loc[3, "p_normal"] = bad
        with pytest.raises(HilumError, match=r"set/0003\.png"):
            by_key(broken)
    columns = [f"p_{name}" for name in CLASSES]
    for row, accepted in (
        ((1.2, -0.2, 0.0), False),  # they add up, but are no shares
        ((0.0, 0.5, 0.498), False),
        ((1.002, 0.0, 0.0), False),
        ((1.0005, -0.0005, 0.0), True),
        ((0.0, 0.5, 0.4995), True),
    ):
        broken = rows.copy()
        broken.loc[3, columns] = row
        if accepted:
            assert by_key(broken)
        else:
            with pytest.raises(HilumError, match=r"set/0003\.png' and 0 more"):
                by_key(broken)
    with pytest.raises(HilumError, match="did you mean 'normal'"):
        by_key(rows.assign(label="norml"))
    with pytest.raises(HilumError, match="1 of 120 without"):
        by_key(rows.assign(label=rows["label"].where(rows.index != 5)))
    with pytest.raises(HilumError, match="p_extra"):
        by_key(rows, (*CLASSES, "extra"))
    with pytest.raises(HilumError, match="did you mean 'only'"):
        scores.score(rows, list(CLASSES), "olny")
    with pytest.raises(HilumError, match="empty"):
        by_key(rows.iloc[:0])
    two = pd.concat([rows, rows.assign(cell="other")])
    assert len(by_key(two)) == len(by_key(rows))
    with pytest.raises(HilumError, match="scores need one cell; got 2"):
        predictions.read_predictions(two, CLASSES)


# --- what the figures show ------------------------------------------------------------------------


def test_confusion_table_counts_truth_in_rows() -> None:
    rows = spell(["covid19", "covid19", "normal"], ["covid19", "normal", "normal"], CLASSES)
    counts = scores.confusion_table(rows, list(CLASSES))
    assert counts.loc["covid19"].tolist() == [1, 1, 0]
    assert counts.loc["normal", "normal"] == 1
    assert counts.to_numpy().sum() == 3
    assert (counts.index.name, counts.columns.name) == ("truth", "prediction")
    seeds = table(Request(seeds=2))
    assert scores.confusion_table(seeds, list(CLASSES)).to_numpy().sum() == 240


def test_curves_equal_scikit_learn() -> None:
    rows = table()
    rows["p_normal"] = rows["p_normal"].round(1)  # ties
    positive = rows["label"] == "normal"
    roc = scores.roc_points(rows, "normal")
    fpr, tpr, t = reference.roc_curve(positive, rows["p_normal"], drop_intermediate=False)
    assert roc["false_positive_rate"].to_numpy() == pytest.approx(fpr)
    assert roc["true_positive_rate"].to_numpy() == pytest.approx(tpr)
    assert roc["threshold"].to_numpy() == pytest.approx(t)
    points = scores.pr_points(rows, "normal")
    precision, recall, t = reference.precision_recall_curve(positive, rows["p_normal"])
    assert points["recall"].to_numpy()[1:] == pytest.approx(recall[:-1][::-1])
    assert points["precision"].to_numpy()[1:] == pytest.approx(precision[:-1][::-1])
    assert points["threshold"].to_numpy()[1:] == pytest.approx(t[::-1])
    assert points["recall"][0] == 0
    assert points["precision"][0] == points["precision"][1]
    with pytest.raises(HilumError, match="120 of them without"):
        scores.roc_points(rows.assign(p_normal=np.nan), "normal")


def test_reliability_and_histogram_count_every_image() -> None:
    rows = table(Request(seeds=2))
    bins = scores.reliability_curve(rows, list(CLASSES))
    assert bins["n"].sum() == 240
    labels, p = arrays(rows)
    assert bins["k"].sum() == (p.argmax(1) == labels).sum()
    histogram = scores.score_histogram(rows, "normal")
    own = histogram[histogram["truth"] == "own"]["n"].to_numpy()
    assert own.sum() == (labels == 1).sum()
    assert (own == np.histogram(p[labels == 1, 1], np.linspace(0, 1, 21))[0]).all()
    assert histogram["n"].sum() == 240


@pytest.mark.slow
def test_coverage_of_the_bootstrapped_macro_f1() -> None:
    """The truth comes from a huge table; intervals of 300 small ones hold it 95 % of the time."""
    request = Request(n=200, per=2)
    many = table(replace(request, n=200_000, draw=99))
    truth = by_key_value(many)
    hits = 0
    for draw in range(300):
        one = by_key(table(replace(request, draw=draw)))["f1", "macro"]
        hits += one.low <= truth <= one.high
    assert 0.91 < hits / 300 < 0.985


@pytest.mark.slow
@pytest.mark.parametrize(("error", "least"), [(0.1, 0.8), (0.0, 0.6)])
def test_coverage_of_the_calibration_error(error: float, least: float) -> None:
    """Probabilities too high by a known amount; the basic interval is approximate, and says so."""
    rows, hits = table(Request(n=400, classes=("a", "b"))), 0
    for draw in range(150):
        rng = np.random.default_rng(draw)
        confidence = rng.uniform(0.55, 0.95, 400)
        rows["label"] = np.where(rng.random(400) < confidence - error, "a", "b")
        rows["p_a"], rows["p_b"] = confidence, 1 - confidence
        one = by_key(rows, ("a", "b"))["ece", "overall"]
        hits += one.low <= error <= one.high
    assert hits / 150 > least


def by_key_value(rows: pd.DataFrame) -> float:
    labels, p = arrays(rows)
    return float(reference.f1_score(labels, p.argmax(1), average="macro"))


def test_an_average_names_the_classes_that_it_is_over() -> None:
    """Of three classes two are tested: scikit-learn's macro figures over these two labels."""
    rng = np.random.default_rng(3)
    truth = ["covid19", "normal"] * 20
    said = [str(rng.choice(CLASSES)) if rng.random() < 0.4 else t for t in truth]
    found = by_key(spell(truth, said, CLASSES))
    for name in ("f1", "sensitivity", "precision", "auroc"):
        assert found[name, "macro"].over == ("covid19", "normal")
    assert found["balanced_accuracy", "overall"].over == ("covid19", "normal")
    assert found["accuracy", "overall"].over == ()
    expected = reference.f1_score(truth, said, labels=["covid19", "normal"], average="macro")
    assert found["f1", "macro"].value == pytest.approx(expected)
    whole = by_key(table())
    assert {score.over for score in whole.values()} == {()}


def test_one_class_alone_has_no_auroc_and_the_reason_is_given() -> None:
    found = by_key(spell(["normal"] * 12, ["normal"] * 9 + ["covid19"] * 3, CLASSES))
    for class_ in ("normal", "macro"):
        assert np.isnan(found["auroc", class_].value)
        assert found["auroc", class_].method == "undefined: every image is of normal"
    assert found["specificity", "normal"].method == "undefined: 0 of 0"
