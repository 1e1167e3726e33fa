"""The table of audits, the verdict, and what audits of tables say where something is missing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from controls_of_tables import Cohort
from scipy.stats.contingency import association
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hilum import audit
from hilum.audit import AUDITS, Evidence, calibration, confounding, shallow
from hilum.audit.verdict import WEIGHT, weigh
from hilum.evaluate import calibrate
from hilum.types import PREDICTION_COLUMNS, Finding, Score


def clean() -> Evidence:
    """A study of tables alone, nothing wrong with it."""
    return Cohort(np.random.default_rng(0)).evidence(model=None)


def test_table_is_visited_whole() -> None:
    """In its order, the dear ones by `hilum audit` alone; nothing passes where nothing is known."""
    found = audit.run(clean())
    cheap = [name for name, row in AUDITS.items() if not row.question.dear]
    assert [finding.id for finding in found] == sorted(cheap, key=weigh)
    nothing = replace(clean(), manifest=clean().manifest[:0], thorough=True)
    assert [finding.id for finding in audit.run(nothing)] == sorted(AUDITS, key=weigh)
    assert audit.left(found) == [
        f"{name} ({row.question.title})" for name, row in AUDITS.items() if row.question.dear
    ]
    assert {finding.status for finding in audit.run(nothing)} == {"unknown"}


def test_what_is_known_from_before_training_is_the_same_and_not_asked_again() -> None:
    whole = clean()
    no_one = pd.DataFrame(columns=list(PREDICTION_COLUMNS))
    early = audit.early(replace(whole, model=None, features=None, predictions=no_one))
    assert audit.run(whole, known=early) == audit.run(whole)
    told = [replace(finding, sentence="told before") for finding in early]
    again = {found.id for found in audit.run(whole, known=told) if found.sentence == "told before"}
    assert again == {"C-02", "C-03", "C-04", "C-09"}


def test_a_stamp_names_the_worst_first_and_only_its_own_cells_bear_it() -> None:
    other = replace(ACCURATE[0], cell="xray: main")
    found = [
        *(replace(finding("warn"), id="C-03"), replace(finding("fail"), id="C-04")),
        *(finding("fail"), replace(finding("fail"), id="C-01")),  # C-01 asks of the model
    ]
    stamped = audit.stamped([ACCURATE[0], other], found, {"main"})
    assert [one.stamp for one in stamped] == ["fail: C-04, C-02; warn: C-03", ""]
    assert audit.stamped([other], [finding("pass")], {"xray: main"})[0].stamp == "pass"
    assert audit.stamped([other], [], {"xray: main"})[0].stamp == ""


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("C-02", {"manifest": clean().manifest.assign(source=pd.NA)}),
        ("C-03", {"stack": None}),
        ("C-04", {"facts": None}),
        ("C-09", {"manifest": clean().manifest.assign(age=np.nan)}),
        ("C-10", {"split": None}),
        ("C-11", {"split": None}),
    ],
)
def test_missing_information_is_never_a_pass(name: str, change: dict[str, object]) -> None:
    found = AUDITS[name](replace(clean(), **change))  # type: ignore[arg-type]
    assert found.status == "unknown"
    assert found.sentence.startswith("Cannot be checked, because")


def test_unknown_patients_warn() -> None:
    good = clean()
    found = AUDITS["C-10"](replace(good, manifest=good.manifest.assign(patient_id=pd.NA)))
    assert found.status == "warn"
    assert "cannot be excluded" in found.sentence


def test_cards_of_children_count_as_ages() -> None:
    good = clean()
    covid = good.manifest["label"] == "covid19"
    table = good.manifest.assign(dataset=np.where(covid, "cohen", "kermany"), age=np.nan)
    cards = {"cohen": "adults", "kermany": "children"}
    assert AUDITS["C-09"](replace(good, manifest=table, populations=cards)).status == "fail"


def test_cramers_v_equals_scipys() -> None:
    random = np.random.default_rng(0)
    first = pd.Series(random.integers(0, 3, 300))
    second = pd.Series((first + random.integers(0, 2, 300)) % 4)
    reference = association(pd.crosstab(first, second).to_numpy(), method="cramer")
    assert confounding.cramers_v(first, second) == pytest.approx(reference)


def test_what_chance_adds_to_v_is_taken_off() -> None:
    """Bergsma 2013: by chance ten sources of six images give V = 0.4, and the corrected one 0."""
    random = np.random.default_rng(0)
    plain, corrected = [], []
    for _ in range(20):
        sources, labels = (pd.Series(random.integers(0, n, 60)) for n in (10, 2))
        plain.append(confounding.cramers_v(sources, labels))
        corrected.append(confounding.corrected_v(sources, labels))
    assert np.mean(plain) == pytest.approx(np.sqrt(9 / 59), abs=0.06)
    assert np.median(corrected) < 0.1
    same = pd.Series(random.integers(0, 2, 60))
    assert confounding.corrected_v(same, same) == pytest.approx(1)


def test_images_of_one_patient_count_once_for_source_and_label() -> None:
    table = clean().manifest
    twice = pd.concat([table, table.assign(sample_id=table["sample_id"] + "b")])
    assert confounding.of_patients(twice) == pytest.approx(confounding.of_patients(table))


def finding(status: str) -> Finding:
    return Finding("C-02", status, 1.0, "r", "ref", "The sources differ.")  # type: ignore[arg-type]


def score(name: str, class_: str, value: float, low: float) -> Score:
    return Score("main", name, class_, value, 9, 10, low, 1.0, "wilson")


ACCURATE = [score("accuracy", "overall", 0.9, 0.8), score("auroc", "macro", 0.95, 0.9)]


@pytest.mark.parametrize(
    ("scores", "statuses", "start"),
    [
        (ACCURATE, ["pass"], "90.0% of test images are classified correctly, and the 1 audits"),
        (ACCURATE, ["pass", "warn"], "Read with caution"),
        (ACCURATE, ["warn", "fail"], "Do not trust this classifier yet"),
        (
            [ACCURATE[0], score("auroc", "macro", 0.55, 0.45)],
            ["pass"],
            "This classifier has learnt nothing",
        ),
        (
            [ACCURATE[0], replace(score("auroc", "macro", 0.3, 0.2), high=0.45)],
            ["pass"],
            "This classifier is worse than chance: 90.0% of test images are classified correctly; "
            "labels may be inverted",
        ),
    ],
)
def test_verdict_follows_the_worst(scores: list[Score], statuses: list[str], start: str) -> None:
    assert audit.verdict(scores, [finding(s) for s in statuses]).startswith(start)


def test_verdict_tells_the_gravest_in_full_and_names_the_others() -> None:
    """Lungs before hospitals before calibration, whatever their order."""
    said = {"C-17": "It is badly calibrated.", "C-02": "Sources differ.", "C-01": "No lungs read."}
    found = [replace(finding("fail"), id=name, sentence=text) for name, text in said.items()]
    told = audit.verdict(ACCURATE, found)
    assert told.endswith("but no lungs read. C-02, C-17 fail too.")
    assert audit.verdict(ACCURATE, found[:2]).endswith("but sources differ. C-17 fails too.")
    assert audit.verdict([], [finding("unknown")]).startswith("Nothing is known")


def test_every_audit_has_its_weight_and_its_row_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "audits.md").read_text(encoding="utf-8")
    for name, row in AUDITS.items():
        assert name == row.question.id
        assert name in WEIGHT
        assert f"| {name} |" in page
        asked = next(line for line in page.splitlines() if line.startswith(f"| {name} |"))
        assert ("| audit |" in asked) == row.question.dear, asked


def test_verdict_counts_what_could_not_be_checked() -> None:
    assert "1 of 2 audits could not" in audit.verdict(
        ACCURATE, [finding("pass"), finding("unknown")]
    )


def test_calibration_is_judged_against_chance() -> None:
    """One calibrated small test in a hundred goes beyond the limit; a wrong one does."""
    random, beyond = np.random.default_rng(0), 0
    limits = [calibration.by_chance(random.uniform(0.5, 1, 100), 10, seed) for seed in range(4)]
    assert np.ptp(limits) < 0.05
    for _ in range(100):
        p = random.uniform(0.5, 1, 100)
        beyond += calibrate.ece(p, random.random(100) < p, 10, mass=True) > np.mean(limits)
    assert beyond <= 4  # 1 expected; 5 or more has probability 0.003
    assert calibrate.ece(np.full(100, 0.99), random.random(100) < 0.6, 10, mass=True) > 0.2


def test_a_class_that_an_external_test_lacks_has_no_age() -> None:
    good = clean()
    more = replace(good, classes=[*good.classes, "pneumonia"])
    assert AUDITS["C-09"](more).status == "pass"


def test_a_probe_on_a_wide_table_is_the_one_that_scikit_learn_fits() -> None:
    """The penalty does not mind the turn: same probabilities, from a narrow table."""
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 20)
    table = random.normal(size=(60, 400)) + 0.4 * labels[:, None]
    asked = random.normal(size=(30, 400)) + 0.4
    plain = make_pipeline(
        StandardScaler(),
        LogisticRegression(C=0.1, max_iter=5000, tol=1e-8, class_weight="balanced"),
    ).fit(table, labels)
    found = shallow.fitted(table, labels).predict_proba(asked)
    np.testing.assert_allclose(found, plain.predict_proba(asked), atol=2e-3)
