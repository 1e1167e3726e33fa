"""Each rule at its limits: what a figure just there and just beyond it comes to."""

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from controls_of_tables import Cohort
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from hilum import audits
from hilum.audits import (
    AUDITS,
    Evidence,
    c02_confounding,
    c05_source_in_features,
    c09_age_confounding,
    c10_patients_on_both_sides,
    c17_calibration,
    c19_subgroups,
    c20_decision_curve,
    c22_out_of_distribution,
    c24_seed_variance,
    c26_prevalence_shift,
    cross_validated_probe,
    look_alikes,
    predictions,
    published_arithmetic,
    published_table,
)
from hilum.audits.c19_subgroups import Gap
from hilum.audits.published_table import PrintedRate
from hilum.audits.verdict import kind_of
from hilum.inference.seen_before import Recognised
from hilum.types import Finding, Published, Score


@pytest.fixture(scope="module")
def clean() -> Evidence:
    """A study of tables alone, nothing wrong with it."""
    return Cohort(np.random.default_rng(0)).evidence(model=None)


@pytest.mark.parametrize(
    ("v", "p", "status", "said"),
    [
        (0.3, 0.001, "pass", "almost unrelated (V = 0.30)"),
        (0.31, 0.001, "warn", "The mix of classes differs"),
        (0.31, 0.01, "pass", "by no more than chance allows"),
        (0.9, 0.001, "fail", "The classes come from different sources"),
        (0.89, 0.001, "warn", "The mix of classes differs"),
        (0.95, 0.01, "pass", "by no more than chance allows"),
    ],
)
def test_source_and_label(
    clean: Evidence, monkeypatch: pytest.MonkeyPatch, v: float, p: float, status: str, said: str
) -> None:
    monkeypatch.setattr(c02_confounding, "of_patients", lambda manifest: (v, p))
    found = AUDITS["C-02"](clean)
    assert (found.status, found.value) == (status, v)
    assert said in found.sentence


@pytest.mark.parametrize(
    ("value", "limit", "status"),
    [(0.05, 0.0, "pass"), (0.06, 0.06, "pass"), (0.06, 0.059, "warn"), (0.04, 0.0, "pass")],
)
def test_calibration(
    clean: Evidence, monkeypatch: pytest.MonkeyPatch, value: float, limit: float, status: str
) -> None:
    monkeypatch.setattr(c17_calibration.calibration, "ece", lambda *asked, **how: value)
    monkeypatch.setattr(c17_calibration, "by_chance", lambda *asked: limit)
    found = AUDITS["C-17"](clean)
    assert (found.status, found.value) == (status, value)


@pytest.mark.parametrize(("luck", "status"), [(0.001, "warn"), (0.00099, "pass")])
def test_net_benefit(
    clean: Evidence, monkeypatch: pytest.MonkeyPatch, luck: float, status: str
) -> None:
    """One of ten thresholds must be sure at 0.01 over all of them; the surest of them counts."""
    monkeypatch.setattr(
        c20_decision_curve, "no_gain", lambda positive, p, t: luck if t == 0.25 else 0.5
    )
    assert AUDITS["C-20"](clean).status == status


def of_seeds(clean: Evidence, areas: list[float]) -> Evidence:
    """The study run with so many seeds, every probability of one being its area."""
    parts = [
        clean.predictions.assign(seed=i, **{f"p_{name}": area for name in clean.classes})
        for i, area in enumerate(areas)
    ]
    return replace(clean, predictions=pd.concat(parts, ignore_index=True))


def test_spread_of_seeds(clean: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c24_seed_variance.metrics, "auroc", lambda positive, p: float(p[0]))
    monkeypatch.setattr(c24_seed_variance, "SPAN", 0.25)
    even = [0.5, 0.75, 0.75, 0.5, 0.5]
    found = AUDITS["C-24"](of_seeds(clean, even))
    assert (found.status, found.value) == ("pass", 0.25)
    deviation = f"standard deviation of {np.std(even, ddof=1):.3f} (worst 0.500, best 0.750)"
    assert deviation in found.sentence
    assert AUDITS["C-24"](of_seeds(clean, [*even, 0.8])).status == "warn"
    few = AUDITS["C-24"](of_seeds(clean, even[:4]))
    assert few.status == "unknown"
    assert "only 4 seeds were run" in few.sentence
    assert "only one seed was run" in AUDITS["C-24"](of_seeds(clean, even[:1])).sentence


@pytest.mark.parametrize(
    ("off", "beyond", "status"), [(0.3, True, "warn"), (0.3, False, "pass"), (0.05, True, "pass")]
)
def test_shift_of_prevalence(
    clean: Evidence, monkeypatch: pytest.MonkeyPatch, off: float, beyond: bool, status: str
) -> None:
    labels, _ = predictions.labels_and_probabilities(clean, clean.predictions)
    truth = np.bincount(labels) / len(labels)
    away = np.zeros(len(truth))
    away[:2] = off, -off / 2
    monkeypatch.setattr(
        c26_prevalence_shift, "estimated", lambda p, prior, still=0: (truth + away, p)
    )
    sure = np.array([beyond, *[not beyond] * (len(truth) - 1)])
    monkeypatch.setattr(c26_prevalence_shift, "beyond_chance", lambda *asked: sure)
    found = AUDITS["C-26"](clean)
    assert found.status == status
    assert found.value == pytest.approx(off)
    assert clean.split is not None
    train = clean.split.table.loc[clean.split.table["part"] == "train", "sample_id"]
    share = (clean.manifest.set_index("sample_id")["label"][train] == clean.classes[0]).mean()
    shown = audits.base.with_class_names(f"{clean.classes[0]} makes up {share:.0%} of training")
    assert found.sentence.startswith(f"{shown} and {truth[0]:.0%} of the tested images")


def gap(inside: float, outside: float, p: float, group: str = "sex F") -> Gap:
    return Gap(group, "a", "AUROC", inside, outside, p)


def test_gaps_between_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the least gap, at a false discovery rate over all; the widest is told."""
    monkeypatch.setattr(c19_subgroups, "GAP", 0.25)
    none = [gap(0.75, 0.5, 0.0), gap(0.9, 0.1, 0.2), gap(0.5, 0.4, 0.9, "sex M")]
    found = c19_subgroups._finding(none)
    assert (found.status, found.value) == ("pass", pytest.approx(0.8))
    assert "None of 3 gaps between 2 groups" in found.sentence
    some = [gap(0.2, 0.5, 0.001), gap(0.9, 0.5, 0.001), gap(0.9, 0.0, 0.2), gap(0.5, 0.5, 1)]
    found = c19_subgroups._finding(some)
    assert (found.status, found.value) == ("fail", pytest.approx(0.4))
    assert "is 0.90, against 0.50 for all others; 2 of 4 gaps" in found.sentence
    # Benjamini & Hochberg: of two, 0.03 and 0.5, the first has q = 0.06; with 0.02, 0.04
    assert c19_subgroups._finding([gap(0.9, 0.5, 0.03), gap(0.5, 0.5, 0.5)]).status == "pass"
    assert c19_subgroups._finding([gap(0.9, 0.5, 0.02), gap(0.5, 0.5, 0.5)]).status == "fail"


def test_ages_are_banded_from_their_lower_end() -> None:
    ages = pd.DataFrame({"age": ["0", "39.9", "40", "64", "65", "199", None, "old"]})
    assert c19_subgroups._groups(ages, "age").fillna("").tolist() == [
        *["age below 40"] * 2, *["age 40 to 64"] * 2, *["age 65 and above"] * 2, "", "",
    ]  # fmt: skip


@pytest.mark.parametrize(("drop", "status"), [(0.25, "warn"), (0.375, "fail")])
def test_look_alikes_of_unknown_patients(
    clean: Evidence, monkeypatch: pytest.MonkeyPatch, drop: float, status: str
) -> None:
    rule = c10_patients_on_both_sides
    monkeypatch.setattr(rule, "DROP", 0.25)
    monkeypatch.setattr(rule.look_alikes, "first_fold", lambda e: (np.arange(4), np.arange(4, 8)))
    groups = np.array([0, 1, 2, 3, 0, 4, 4, 3])
    monkeypatch.setattr(rule.look_alikes, "look_alike_groups", lambda e: groups)
    monkeypatch.setattr(rule.look_alikes, "side_by_side", lambda *asked: (0.75, 0.75 - drop))
    unknown = clean.manifest.assign(patient_id=pd.NA)
    found = AUDITS["C-10"](replace(clean, manifest=unknown, features=np.zeros((8, 1))))
    assert (found.status, found.value) == (status, drop)
    assert "2 of 4 test images have a look-alike in training" in found.sentence
    assert "5 clusters" in found.sentence


def auroc(low: float | None, high: float | None) -> list[Score]:
    return [
        Score("main", "accuracy", "overall", 0.9, 9, 10, 0.8, 1.0, "wilson"),
        Score("main", "auroc", "macro", 0.6, None, 10, low, high, "delong"),
    ]


@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [
        (0.51, 0.7, "no_shortcut"),
        (0.5, 0.7, "no_better_than_chance"),
        (0.3, 0.5, "no_better_than_chance"),
        (0.3, 0.49, "worse_than_chance"),
        (None, None, "no_shortcut"),
    ],
)
def test_verdict_on_the_interval_of_the_area(
    low: float | None, high: float | None, kind: str
) -> None:
    passed = Finding("C-02", "pass", 1.0, "r", "ref", "It is fine.")
    told = audits.verdict(auroc(low, high), [passed])
    assert kind_of(told) == kind


@pytest.mark.parametrize(
    ("counts", "kind"),
    [
        ({"a": 0, "b": 0}, "no_shortcut"),
        ({"a": 1, "b": 0}, "too_few"),
        ({"a": 29, "b": 0}, "too_few"),
        ({"a": 30, "b": 0}, "one_class"),
        ({"a": 30}, "no_shortcut"),
        ({"a": 29, "b": 1}, "no_shortcut"),
    ],
)
def test_verdict_on_the_number_of_images(counts: dict[str, int], kind: str) -> None:
    passed = Finding("C-02", "pass", 1.0, "r", "ref", "It is fine.")
    told = audits.verdict(auroc(0.6, 0.7), [passed], counts)
    assert kind_of(told) == kind
    assert ("There is only 1 test image;" in told) == (sum(counts.values()) == 1)
    assert ("with no test image of" in told) == (0 in counts.values() and any(counts.values()))


def table_of(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"sample_id": [*"abcdef"], **columns})


def test_predictions_are_those_of_the_models_fold_and_seed(clean: Evidence) -> None:
    table = table_of(fold=[0, 1, 0, 1, 0, 1], seed=[3, 3, 3, 5, 5, 5], cell="main")

    def rows(found: pd.DataFrame, **origin: int) -> str:
        model: Any = SimpleNamespace(facts=SimpleNamespace(provenance=origin))
        one = replace(clean, predictions=found, model=model if origin else None)
        return "".join(predictions.predictions(one)["sample_id"])

    assert rows(table, fold=1, seed=5) == "df"
    assert rows(table, fold=0, seed=3) == "ac"
    assert rows(table, fold=7, seed=3) == "abcdef"
    assert rows(table, fold=1) == "abcdef"
    assert rows(table) == "abcdef"
    assert rows(table.assign(cell="external"), fold=1, seed=5) == "abcdef"
    assert rows(table.drop(columns="fold"), fold=1, seed=5) == "abcdef"
    first = predictions.one_seed(replace(clean, predictions=table))
    assert "".join(first["sample_id"]) == "abc"
    whole = replace(clean, predictions=table.drop(columns="seed"))
    assert len(predictions.one_seed(whole)) == 6


def test_validation_images_are_counted_in_the_models_fold(clean: Evidence) -> None:
    assert clean.split is not None
    table = clean.split.table
    labels = clean.manifest.set_index("sample_id")["label"]
    for fold in sorted(set(table["fold"])):
        model: Any = SimpleNamespace(facts=SimpleNamespace(provenance={"fold": fold}))
        own = table[(table["fold"] == fold) & (table["part"] == "validation")]["sample_id"]
        expected = labels[own].value_counts().reindex(clean.classes, fill_value=0).to_dict()
        assert predictions.validated(replace(clean, model=model)) == expected
    assert predictions.validated(replace(clean, split=None)) == dict.fromkeys(clean.classes, 0)


@pytest.mark.parametrize(
    ("classes", "sick"),
    [
        (["covid19", "normal"], ["covid19"]),
        (["Normal", "covid19", "pneumonia"], ["covid19", "pneumonia"]),
        (["No finding", "normal"], ["No finding"]),
        (["negative", "non_covid", "x"], ["x"]),
    ],
)
def test_a_test_is_for_what_is_not_normal(
    clean: Evidence, classes: list[str], sick: list[str]
) -> None:
    assert predictions.positive_classes(replace(clean, classes=classes)) == sick


def met(
    files: str = "----", near: str = "----", patients: str = "----", **other: Any
) -> Recognised:
    """Four images of an external test: where there is an x, or bits that differ, it is known."""
    state: dict[str, Any] = {"files_state": "checked", "films_state": "checked"}
    state |= {"patients_state": "checked", "elsewhere": np.zeros(4, bool), **other}
    bits = np.array([int(one) if one != "-" else -1 for one in near])
    known = [np.array([one == "x" for one in row]) for row in (files, patients)]
    return Recognised(files=known[0], near=bits, patients=known[1], **state)


ELSEWHERE = np.array([True, False, True, False])


@pytest.mark.parametrize(
    ("name", "recognised", "status", "value", "said"),
    [
        ("C-11", met(), "pass", 0, "None of the images was used"),
        ("C-11", met("x-x-"), "fail", 2, "2 of 4 .* (2 identical files, 0 near duplicates)"),
        ("C-11", met(near="0-5-"), "fail", 2, "2 of 4 .* (0 identical files, 2 near duplicates)"),
        ("C-11", met("xx--", "00-3"), "fail", 3, "3 of 4 .* (2 identical files, 1 near dup"),
        ("C-11", met(patients="xxxx"), "pass", 0, "None of the images was used"),
        (
            "C-11",
            met(films_state="not checked", unchecked_films="no record"),
            "unknown", None, "no record; none is a file that the model was built on.",
        ),
        (
            "C-11",
            met(films_state="not checked", files_state="not checked", unchecked_films="no record"),
            "unknown", None, "Not checked: no record.",
        ),
        ("C-10", met("xxxx", "0000"), "pass", 0, "No patient of this test was used"),
        ("C-10", met(patients="x-xx", elsewhere=ELSEWHERE), "fail", 3, "3 of 4 images are of pat"),
        (
            "C-10",
            met(patients_state="not checked", unchecked_patients="no numbers", elsewhere=ELSEWHERE),
            "unknown", None, "Not checked: no numbers.",
        ),
        ("C-10", met(elsewhere=ELSEWHERE, patients_state="partly"), "warn", 0, "2 images have a p"),
        (
            "C-10",
            met(patients_state="partly", unchecked_patients="some have no number"),
            "warn", 0, "cannot be excluded: some have no number. No known patient is in both",
        ),
    ],
)  # fmt: skip
def test_what_an_external_test_shares_with_the_model(
    clean: Evidence, name: str, recognised: Recognised, status: str, value: float, said: str
) -> None:
    found = AUDITS[name](replace(clean, recognised=recognised))
    assert (found.status, found.value) == (status, value)
    assert re.search(re.sub(r"([()])", r"\\\1", said), found.sentence), found.sentence


def test_without_images_it_is_said_why_there_are_none(clean: Evidence) -> None:
    nothing = replace(clean, manifest=clean.manifest[:0])
    (found,) = [one for one in audits.run_audits(nothing) if one.id == "C-17"]
    assert found.sentence == "Not checked: there are no images; name labelled ones with --data."
    all_met = replace(nothing, recognised=met("xxxx"))
    told = {one.id: one for one in audits.run_audits(all_met)}
    assert "were used to build the model" in told["C-17"].sentence
    assert told["C-11"].status == "fail"


@pytest.mark.parametrize(
    ("refused", "others", "status"),
    [(0, 3.0, "pass"), (10, 3.0, "pass"), (11, 3.0, "warn"), (0, 0.1, "fail"), (11, 0.1, "fail")],
)
def test_what_the_gate_refuses(
    clean: Evidence, monkeypatch: pytest.MonkeyPatch, refused: int, others: float, status: str
) -> None:
    """Of a hundred test films at most a tenth; and it must tell them from others."""
    rule, count = c22_out_of_distribution, len(clean.manifest)
    tested = clean.manifest["sample_id"].iloc[:100]
    features = np.full((count, 1), 9.0)
    features[:100] = 0.5
    features[:refused] = 1.5
    model: Any = SimpleNamespace(
        gate=SimpleNamespace(scores=lambda features: features[:, 0]),
        runtime=lambda films: np.full((len(films), 1), others),
        pipeline=lambda image: np.zeros(1),
        facts=SimpleNamespace(provenance={}),
    )
    monkeypatch.setattr(rule, "REFUSED", 0.1)
    monkeypatch.setattr(rule, "_films", lambda evidence, at: [np.zeros((8, 8), np.uint8)])
    monkeypatch.setattr(rule, "OWN", 100)
    table = pd.DataFrame({"sample_id": tested})
    found = AUDITS["C-22"](replace(clean, model=model, features=features, predictions=table))
    assert found.status == status
    assert f"It rejects {refused}% of the test films." in found.sentence


@pytest.mark.parametrize(
    ("name", "value", "low", "status", "said"),
    [
        ("C-03", 0.6, 0.55, "pass", "the frame says little"),
        ("C-03", 0.61, 0.5, "pass", "with so few images this may be chance"),
        ("C-03", 0.61, 0.51, "warn", "gives the label away"),
        ("C-03", 0.8, 0.7, "warn", "gives the label away"),
        ("C-03", 0.81, 0.6, "warn", "gives the label away"),
        ("C-03", 0.81, 0.61, "fail", "gives the label away"),
        ("C-04", 0.7, 0.6, "pass", "AUROC 0.70"),
        ("C-04", 0.71, 0.5, "pass", "AUROC 0.71"),
        ("C-04", 0.71, 0.51, "warn", "AUROC 0.71"),
        ("C-04", 0.9, 0.8, "warn", "AUROC 0.90"),
        ("C-04", 0.91, 0.7, "warn", "AUROC 0.91"),
        ("C-04", 0.91, 0.71, "fail", "AUROC 0.91"),
    ],
)
def test_probes_of_frames_and_files(
    clean: Evidence, monkeypatch: pytest.MonkeyPatch, name: str, value: float, low: float,
    status: str, said: str,
) -> None:  # fmt: skip
    seen: list[np.ndarray] = []

    def probe(table: np.ndarray, *asked: object) -> tuple[float, tuple[float, float]]:
        seen.append(table)
        return value, (low, 1.0)

    monkeypatch.setattr(cross_validated_probe, "auroc_with_interval", probe)
    count = len(clean.manifest)
    stack = np.zeros((count, 32, 32), np.uint8)
    size = {"width": 64.0, "height": [np.nan, *[128.0] * (count - 1)]}
    facts = pd.DataFrame(size, index=clean.manifest["sample_id"])
    found = AUDITS[name](replace(clean, stack=stack, facts=facts))
    if name == "C-04":
        assert seen[0][:2].tolist() == [[64, 0, 0], [64, 128, 0.5]]
    assert (found.status, found.value, found.low, found.high) == (status, value, low, 1.0)
    assert said in found.sentence


@pytest.mark.parametrize(
    ("value", "low", "v", "status"),
    [
        (0.8, 0.7, 0.9, "pass"),
        (0.81, 0.5, 0.9, "pass"),
        (0.81, 0.51, 0.3, "warn"),
        (0.81, 0.51, 0.31, "fail"),
    ],
)
def test_probe_of_sources(
    clean: Evidence, monkeypatch: pytest.MonkeyPatch, value: float, low: float, v: float,
    status: str,
) -> None:  # fmt: skip
    probe = lambda *asked: (value, (low, 1.0))  # noqa: E731
    monkeypatch.setattr(cross_validated_probe, "auroc_with_interval", probe)
    monkeypatch.setattr(c02_confounding, "of_patients", lambda manifest: (v, 0.0))
    features = np.random.default_rng(0).normal(size=(len(clean.manifest), 4))
    assert AUDITS["C-05"](replace(clean, features=features)).status == status


def test_a_class_is_probed_where_two_sources_have_ten_of_it() -> None:
    sources = pd.Series([*"x" * 12, *"y" * 10, *"z" * 9, *"x" * 5])
    mixed = c05_source_in_features._mixed(sources, pd.Series(np.arange(36) < 31))
    assert mixed.tolist() == [True] * 22 + [False] * 14
    alone = c05_source_in_features._mixed(sources, pd.Series(np.arange(36) < 21))
    assert not alone.any()


@pytest.mark.parametrize(("over", "status"), [(0.0, "pass"), (0.01, "warn"), (1.0, "fail")])
def test_age_and_label(
    clean: Evidence, monkeypatch: pytest.MonkeyPatch, over: float, status: str
) -> None:
    rule = c09_age_confounding
    v = rule.ALL if over == 1 else rule.MUCH + over
    monkeypatch.setattr(c02_confounding, "corrected_v", lambda first, second: v)
    ages = np.where(np.arange(len(clean.manifest)) % 3, "50", "5")
    found = AUDITS["C-09"](replace(clean, manifest=clean.manifest.assign(age=ages)))
    assert (found.status, found.value) == (status, v)
    words = {"pass": "hardly related", "warn": "score part of this", "fail": "score nearly as well"}
    assert words[status] in found.sentence


def test_shares_in_training_are_the_models_own_record(clean: Evidence) -> None:
    def prior(classes: dict[str, int]) -> Any:
        model: Any = SimpleNamespace(facts=SimpleNamespace(provenance={"classes": classes}))
        return c26_prevalence_shift._prior(replace(clean, model=model, split=None))

    first, second = clean.classes
    assert prior({second: 30, first: 10}).tolist() == [0.25, 0.75]
    assert prior({first: 10}) is None
    assert prior({}) is None


def test_random_labels_need_both_sides(clean: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    some, none = np.arange(3), np.arange(0)
    whole = replace(clean, features=np.zeros((len(clean.manifest), 2)))
    for sides in ((some, none), (none, some)):
        monkeypatch.setattr(look_alikes, "first_fold", lambda evidence, sides=sides: sides)
        found = AUDITS["C-12"](whole)
        assert "none of the training images is available" in found.sentence


@pytest.mark.parametrize(("images", "bins"), [(5, 1), (99, 9), (100, 10), (149, 14), (200, 15)])
def test_bins_of_calibration_hold_ten_images(clean: Evidence, images: int, bins: int) -> None:
    table = pd.concat([clean.predictions] * 3, ignore_index=True).iloc[:images]
    found = AUDITS["C-17"](replace(clean, predictions=table))
    assert f"({bins} bins of equal mass)" in found.sentence
    assert f"on {images} images" in found.sentence


def test_one_model_is_compared_with_none(clean: Evidence) -> None:
    alone = replace(of_seeds(clean, [0.5]), all_predictions=None)
    assert "Only one model was trained" in AUDITS["C-24"](alone).sentence


def test_two_images_of_two_sources_have_no_association() -> None:
    """Their table has one degree of freedom less than a coefficient needs."""
    assert c02_confounding.corrected_v(pd.Series(["a", "b"]), pd.Series(["x", "y"])) == 0.0


def test_one_source_is_not_an_unknown_one(clean: Evidence) -> None:
    features = np.zeros((len(clean.manifest), 2))
    for sources, said in (("one", "the same for all images"), (None, "unknown")):
        manifest = clean.manifest.assign(source=sources)
        found = AUDITS["C-05"](replace(clean, manifest=manifest, features=features))
        assert f"the source is {said}" in found.sentence


@pytest.mark.parametrize(("p", "status"), [(0.05, "pass"), (0.0499, "fail")])
def test_a_gap_at_the_false_discovery_rate_is_chance(p: float, status: str) -> None:
    gap = Gap("women", "covid19", "sensitivity", 0.5, 0.9, p)
    assert c19_subgroups._finding([gap]).status == status


@pytest.mark.parametrize(("limit", "status"), [(1e-9, "warn"), (0.6, "pass")])
def test_a_model_that_mostly_abstains_is_worth_a_warning(
    clean: Evidence, limit: float, status: str
) -> None:
    """Every class stays possible where its limit is next to nothing."""
    count = len(clean.predictions)
    p = np.where(np.arange(count) % 2, 0.9, 0.1)
    first, second = clean.classes
    table = clean.predictions.assign(label=np.where(p > 0.5, first, second))
    table = table.assign(**{f"p_{first}": p, f"p_{second}": 1 - p})
    facts = SimpleNamespace(conformal=dict.fromkeys(clean.classes, limit), provenance={}, seen=())
    model: Any = SimpleNamespace(facts=facts)
    found = AUDITS["C-21"](replace(clean, predictions=table, model=model))
    assert found.status == status
    assert f"abstains on {'100%' if status == 'warn' else '0%'}" in found.sentence


def test_published_numbers_without_contradiction_have_none(clean: Evidence) -> None:
    rates = {"sensitivity": 0.9, "precision": 0.9, "f1": 0.9}
    rest = {"measured": None, "low": None, "high": None, "agrees": None}
    said = [Published("Table 1", name, "covid19", value, **rest) for name, value in rates.items()]
    found = AUDITS["C-27"](replace(clean, published=said))
    assert (found.status, found.value) == ("pass", 0.0)


def test_a_probe_weighs_classes_alike() -> None:
    """scikit-learn's own weights by hand: each class counts as much as another."""
    random = np.random.default_rng(2)
    labels = (np.arange(60) < 12).astype(np.int64)
    table = random.normal(size=(60, 3)) + labels[:, None]
    found = cross_validated_probe.fit_probe_pipeline(table, labels)
    scaled = StandardScaler().fit_transform(table)
    weights = np.where(labels, 60 / (2 * 12), 60 / (2 * 48))
    by_hand = LogisticRegression(C=0.1, max_iter=2000).fit(scaled, labels, weights)
    np.testing.assert_allclose(found.predict_proba(table), by_hand.predict_proba(scaled), atol=1e-6)


def test_an_accuracy_is_a_share_of_all_images() -> None:
    sizes = published_table.Sizes({"covid19": 40, "normal": 60}, 100, exact=True)
    experiment = published_table.Experiment("A", "B", (), {}, sizes)
    for metric, class_, shares in (
        ("accuracy", "overall", [100]),
        ("sensitivity", "overall", []),
        ("sensitivity", "covid19", [40]),
        ("specificity", "covid19", [60, 40]),
    ):
        rate = PrintedRate(class_, metric, "", 0.9, 0.005, "0.90", "row 1")
        assert published_arithmetic._denominators(experiment, rate) == shares
