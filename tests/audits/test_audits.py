"""The table of audits, the verdict, and what audits of tables say where something is missing."""

import re
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

from hilum import audits
from hilum.audits import (
    AUDITS,
    Evidence,
    c02_confounding,
    c17_calibration,
    c21_conformal_coverage,
    cross_validated_probe,
    predictions,
)
from hilum.metrics import calibration, scores
from hilum.types import PREDICTION_COLUMNS, Finding, Score


def clean() -> Evidence:
    """A study of tables alone, nothing wrong with it."""
    return Cohort(np.random.default_rng(0)).evidence(model=None)


def test_table_is_visited_whole() -> None:
    """The expensive ones by `hilum audit` alone; nothing passes where nothing is known."""
    found = audits.run_audits(clean())
    cheap = {name for name, row in AUDITS.items() if not row.rule.expensive}
    assert {finding.id for finding in found} == cheap
    nothing = replace(clean(), manifest=clean().manifest[:0], thorough=True)
    assert {finding.id for finding in audits.run_audits(nothing)} == set(AUDITS)
    assert audits.not_run(found) == [
        f"{name} ({row.rule.title})" for name, row in AUDITS.items() if row.rule.expensive
    ]
    assert {finding.status for finding in audits.run_audits(nothing)} == {"unknown"}


GRAVEST_FIRST = (
    *("C-01", "C-11", "C-10", "C-12", "C-23", "C-02", "C-09", "C-07", "C-06", "C-08"),
    *("C-05", "C-13", "C-03", "C-04", "C-19", "C-26", "C-17", "C-18", "C-21", "C-20"),
    *("C-24", "C-22", "C-25", "C-16", "C-15", "C-14", "C-27"),
)


def test_what_makes_a_figure_worthless_comes_before_what_makes_it_a_little_worse() -> None:
    nothing = replace(clean(), manifest=clean().manifest[:0], thorough=True)
    found = [one for one in audits.run_audits(nothing) if one.id in GRAVEST_FIRST]
    assert tuple(one.id for one in found) == GRAVEST_FIRST
    all_fail = [replace(one, status="fail", sentence=f"{one.id} fails.") for one in found]
    told = audits.verdict(ACCURATE, all_fail[::-1])
    assert "but c-01 fails. " in told
    assert named(told) == [*GRAVEST_FIRST[1:]]
    few_images = audits.verdict(ACCURATE, all_fail[::-1], few(4, 4))
    first = ["C-01", *GRAVEST_FIRST[1:]]
    first.remove("C-02")  # what no number of images would change is told in full
    assert "but c-02 fails. " in few_images
    assert named(few_images) == first


def named(verdict: str) -> list[str]:
    """The ids of the audits whose titles a verdict lists in brackets."""
    ids = {row.rule.title[0].lower() + row.rule.title[1:]: name for name, row in AUDITS.items()}
    listed = re.search(r"\d+ more checks failed \((.*?)\)\.", verdict)
    assert listed
    return [ids[title] for title in listed[1].split("; ")]


def test_what_is_known_from_before_training_is_the_same_and_not_asked_again() -> None:
    whole = clean()
    no_one = pd.DataFrame(columns=list(PREDICTION_COLUMNS))
    early = audits.run_before_training(
        replace(whole, model=None, features=None, predictions=no_one)
    )
    assert audits.run_audits(whole, known=early) == audits.run_audits(whole)
    told = [replace(finding, sentence="told before") for finding in early]
    again = {
        found.id
        for found in audits.run_audits(whole, known=told)
        if found.sentence == "told before"
    }
    assert again == {"C-02", "C-03", "C-04", "C-09"}


def test_a_stamp_names_the_worst_first_and_only_its_own_cells_bear_it() -> None:
    other = replace(ACCURATE[0], cell="xray: main")
    found = [
        *(replace(finding("warn"), id="C-03"), replace(finding("fail"), id="C-04")),
        *(finding("fail"), replace(finding("fail"), id="C-01")),  # C-01 asks of the model
    ]
    stamped = audits.mark_scores([ACCURATE[0], other], found, {"main"})
    assert [one.stamp for one in stamped] == ["fail: C-04, C-02; warn: C-03", ""]
    assert audits.mark_scores([other], [finding("pass")], {"xray: main"})[0].stamp == "pass"
    assert audits.mark_scores([other], [], {"xray: main"})[0].stamp == ""


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
    assert found.sentence.startswith("Not checked:")


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


def test_what_chance_adds_to_v_is_taken_off() -> None:
    """Bergsma 2013: by chance ten sources of six images give V = 0.4, and the corrected one 0."""
    random = np.random.default_rng(0)
    plain, corrected = [], []
    for _ in range(20):
        sources, labels = (pd.Series(random.integers(0, n, 60)) for n in (10, 2))
        plain.append(association(pd.crosstab(sources, labels).to_numpy(), method="cramer"))
        corrected.append(c02_confounding.corrected_v(sources, labels))
    assert np.mean(plain) == pytest.approx(np.sqrt(9 / 59), abs=0.06)
    assert np.median(corrected) < 0.1
    same = pd.Series(random.integers(0, 2, 60))
    assert c02_confounding.corrected_v(same, same) == pytest.approx(1)


def test_images_of_one_patient_count_once_for_source_and_label() -> None:
    table = clean().manifest
    twice = pd.concat([table, table.assign(sample_id=table["sample_id"] + "b")])
    assert c02_confounding.of_patients(twice) == pytest.approx(c02_confounding.of_patients(table))


def finding(status: str) -> Finding:
    return Finding("C-02", status, 1.0, "r", "ref", "The sources differ.")  # type: ignore[arg-type]


def score(name: str, class_: str, value: float, low: float) -> Score:
    return Score("main", name, class_, value, 9, 10, low, 1.0, "wilson")


ACCURATE = [score("accuracy", "overall", 0.9, 0.8), score("auroc", "macro", 0.95, 0.9)]


@pytest.mark.parametrize(
    ("scores", "statuses", "start"),
    [
        (ACCURATE, ["pass"], "90.0% of test images are classified correctly, and the one check"),
        (ACCURATE, ["pass", "warn"], "Read with caution"),
        (ACCURATE, ["warn", "fail"], "Do not trust this classifier yet"),
        (
            [ACCURATE[0], score("auroc", "macro", 0.55, 0.45)],
            ["pass"],
            "No evidence that this classifier learned anything: 90.0% of test images are "
            "classified correctly (9 of 10, 95% interval 80% to 100%), no better than chance",
        ),
        (
            [ACCURATE[0], replace(score("auroc", "macro", 0.3, 0.2), high=0.45)],
            ["pass"],
            "This classifier is worse than chance: 90.0% of test images are classified correctly. "
            "Labels may be inverted",
        ),
    ],
)
def test_verdict_follows_the_worst(scores: list[Score], statuses: list[str], start: str) -> None:
    assert audits.verdict(scores, [finding(s) for s in statuses]).startswith(start)


def test_verdict_tells_the_gravest_in_full_and_names_the_others() -> None:
    """Lungs before hospitals before calibration, whatever their order."""
    said = {"C-17": "It is badly calibrated.", "C-02": "Sources differ.", "C-01": "No lungs read."}
    found = [replace(finding("fail"), id=name, sentence=text) for name, text in said.items()]
    told = audits.verdict(ACCURATE, found)
    assert "but no lungs read. Two more checks failed (label and source; calibration)." in told
    assert told.endswith(f" Next step: {AUDITS['C-01'].rule.remedy}.")
    two = audits.verdict(ACCURATE, found[:2])
    assert "but sources differ. One more check failed (calibration). Next step: " in two
    assert audits.verdict([], [finding("unknown")]).startswith("Nothing is known")


@pytest.mark.parametrize("steps", [["crop_lungs", "letterbox"], ["film_and_lungs"]])
def test_a_step_that_the_model_has_is_no_advice(steps: list[str]) -> None:
    failed = [replace(finding("fail"), id=name) for name in ("C-13", "C-01")]
    assert audits.verdict(ACCURATE, failed).count("(step crop_lungs)") == 1
    told = audits.verdict(ACCURATE, failed, steps=steps)
    assert told.endswith(" Next step: take every class from the same sources.")


def test_every_audit_has_its_own_severity_and_its_row_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "audits.md").read_text(encoding="utf-8")
    severities = {row.rule.severity for row in AUDITS.values()}
    assert len(severities) == len(AUDITS)
    for name, row in AUDITS.items():
        assert name == row.rule.id
        assert f"| {name} |" in page
        asked = next(line for line in page.splitlines() if line.startswith(f"| {name} |"))
        assert ("| audit |" in asked) == row.rule.expensive, asked


def test_verdict_says_what_the_external_test_came_to() -> None:
    elsewhere = [replace(ACCURATE[0], value=0.541)]
    assert ACCURATE[0].name == "accuracy"
    said = audits.verdict(ACCURATE, [finding("fail")], external=elsewhere)
    assert (
        " of test images and 54.1% of those of the external test are classified correctly" in said
    )
    assert "external" not in audits.verdict(ACCURATE, [finding("fail")])


def test_verdict_counts_what_could_not_be_checked() -> None:
    assert "1 of 2 checks could not" in audits.verdict(
        ACCURATE, [finding("pass"), finding("unknown")]
    )


def test_calibration_is_judged_against_chance() -> None:
    """One calibrated small test in a hundred goes beyond the limit; a wrong one does."""
    random, beyond = np.random.default_rng(0), 0
    limits = [c17_calibration.by_chance(random.uniform(0.5, 1, 100), 10, seed) for seed in range(4)]
    assert np.ptp(limits) < 0.05
    for _ in range(100):
        p = random.uniform(0.5, 1, 100)
        beyond += calibration.ece(p, random.random(100) < p, 10, mass=True) > np.mean(limits)
    assert beyond <= 4  # 1 expected; 5 or more has probability 0.003
    assert calibration.ece(np.full(100, 0.99), random.random(100) < 0.6, 10, mass=True) > 0.2


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
    found = cross_validated_probe.fit_probe_pipeline(table, labels).predict_proba(asked)
    np.testing.assert_allclose(found, plain.predict_proba(asked), atol=2e-3)


# --- what too little cannot show ------------------------------------------------------------------


def few(covid: int, normal: int) -> dict[str, int]:
    return {"covid19": covid, "normal": normal}


@pytest.mark.parametrize("status", ["pass", "warn", "fail"])
def test_fewer_than_thirty_test_images_are_too_few_to_say(status: str) -> None:
    found = replace(finding(status), id="C-03")  # a probe, which a few images can mislead
    told = audits.verdict(ACCURATE, [found], few(4, 4))
    assert told.startswith(
        "Too few test images to say: 90.0% of test images are classified correctly (9 of 10, 95% "
        "interval 80% to 100%). There are only 8 test images; there should be at least 30."
    )
    assert ("Even so, the sources differ." in told) is (status == "fail")
    assert not audits.verdict(ACCURATE, [found], few(15, 15)).startswith("Too few")
    assert audits.verdict(ACCURATE, [found], few(15, 14)).startswith("Too few")


@pytest.mark.parametrize("counts", [few(4, 4), few(0, 80)])
def test_a_set_whose_source_is_its_label_is_condemned_on_any_number(counts: dict[str, int]) -> None:
    """Even where a graver audit fails: that one may be a chance of a few test images."""
    lungs = replace(finding("fail"), id="C-01", sentence="No lungs read.")
    told = audits.verdict(ACCURATE, [lungs, finding("fail")], counts)
    assert told.startswith("Do not trust this classifier yet: 90.0% of test images")
    assert "(9 of 10, 95% interval 80% to 100%)" in told
    assert ", but the sources differ. One more check failed (lungs blacked out)." in told
    why = "There are only 8" if counts["covid19"] else "These images cannot show whether"
    assert f" {why}" in told
    for status in ("pass", "warn", "unknown"):
        assert "Do not trust" not in audits.verdict(ACCURATE, [lungs, finding(status)], counts)


def test_no_better_than_chance_is_not_said_of_a_few_images() -> None:
    poor = [ACCURATE[0], score("auroc", "macro", 0.55, 0.1)]
    assert "No evidence" not in audits.verdict(poor, [finding("pass")], few(4, 4))
    assert "No evidence" in audits.verdict(poor, [finding("pass")], few(40, 40))


def test_a_class_without_test_images_is_in_the_verdict() -> None:
    told = audits.verdict(ACCURATE, [finding("pass")], {**few(40, 40), "pneumonia": 0})
    assert "classified correctly, with no test image of pneumonia" in told
    one = audits.verdict(ACCURATE, [finding("pass")], few(0, 80))
    assert one.startswith("Only one class was tested: 90.0% of test images")
    assert ", with no test image of COVID-19" in one


def test_an_image_that_several_seeds_test_counts_once() -> None:
    rows = pd.DataFrame({"sample_id": [*"abcabc"], "label": ["covid19", "normal", "normal"] * 2})
    assert audits.tested(rows, ["covid19", "normal", "other"]) == {
        "covid19": 1,
        "normal": 2,
        "other": 0,
    }


def of_a_part(label: str, count: int, others: int) -> Evidence:
    """The clean study with so many test images of a class, and so many others."""
    good = Cohort(np.random.default_rng(0)).evidence()
    table = good.predictions
    mine = table["label"] == label
    kept = pd.concat([table[mine].head(count), table[~mine].head(others)])
    return replace(good, predictions=kept, all_predictions=kept)


@pytest.mark.parametrize(("count", "others"), [(4, 60), (60, 4), (9, 9), (60, 0)])
def test_a_threshold_is_not_checked_on_a_handful(count: int, others: int) -> None:
    found = AUDITS["C-18"](of_a_part("covid19", count, others))
    assert found.status == "unknown"
    assert "at least 10 test images of a class and 10 others are needed" in found.sentence


@pytest.mark.parametrize(
    ("validated", "status", "few"),
    [(6, "pass", ", with 6 validation images"), (2000, "fail", "")],
)
def test_a_pass_says_why_where_the_interval_lies_below_the_target(
    monkeypatch: pytest.MonkeyPatch, validated: int, status: str, few: str
) -> None:
    monkeypatch.setattr(
        predictions, "validated", lambda evidence: dict.fromkeys(evidence.classes, validated)
    )
    part = of_a_part("covid19", 12, 60)
    own = part.predictions["p_covid19"][part.predictions["label"] == "covid19"]
    facts = part.model.facts
    facts.thresholds = {"covid19": float(own.sort_values(ascending=False).iloc[6])}
    found = AUDITS["C-18"](part)
    assert "COVID-19 is found in 7 of 12 (32% to 81%)." in found.sentence
    assert found.status == status
    why = f"Chance alone may explain less than 90% (p = 0.02{few}). Specificity"
    assert (why in found.sentence) == ("Chance" in found.sentence) == (status == "pass")


def test_a_coverage_that_passes_below_its_promise_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    part = of_a_part("covid19", 40, 60)
    part.model.facts.conformal = dict.fromkeys(part.classes, 0.5)
    for scale, status in ((0.3, "pass"), (0.001, "fail")):  # normal is covered in 47 of 60
        monkeypatch.setattr(
            c21_conformal_coverage, "p_kept", lambda share, *_, scale=scale: scale * share.value
        )
        found = AUDITS["C-21"](part)
        assert (found.status, found.high < 0.9) == (status, True)
        why = "(promised: 90%). Chance alone may explain less than 90% (p = 0.25, with "
        assert (why in found.sentence) == ("Chance" in found.sentence) == (status == "pass")


def test_a_predictive_value_carries_its_interval() -> None:
    found = AUDITS["C-18"](of_a_part("covid19", 40, 30))
    assert found.status != "unknown"
    k, n, low, high = re.findall(r"found in (\d+) of (\d+) \((\d+)% to (\d+)%\)", found.sentence)[0]
    assert found.value == int(k) / int(n)
    assert [round(100 * (end or 0)) for end in (found.low, found.high)] == [int(low), int(high)]
    assert re.search(r"The PPV would be \d+% \(\d+% to \d+%\) at 1% prevalence", found.sentence)
    assert re.search(r"Specificity is \d+%, \d+ of \d+ \(\d+% to \d+%\)", found.sentence)


@pytest.mark.parametrize("label", ["covid19", "normal"])
def test_no_finding_on_one_class_says_nan(label: str) -> None:
    alone = of_a_part(label, 60, 0)
    visited = 0
    for name, row in AUDITS.items():
        if name in ("C-06", "C-07", "C-08", "C-13", "C-14", "C-15", "C-16", "C-22", "C-25"):
            continue  # these need the films
        found = row(replace(alone))
        assert not re.search(r"\bnan\b", found.sentence), name
        assert found.value is None or np.isfinite(found.value), name
        visited += 1
    assert visited >= 15


@pytest.mark.parametrize(
    ("value", "sentence"),
    [(float("nan"), "It is so."), (0.5, "It is right in nan% of all."), (float("inf"), "It is.")],
)
def test_what_is_undefined_is_no_answer(value: float, sentence: str) -> None:
    found = c17_calibration.RULE.finding("pass", value, sentence)
    assert (found.status, found.value) == ("unknown", None)
    assert "undefined" in found.sentence
    fine = c17_calibration.RULE.finding("pass", 0.5, "The nanny has it.", (0.1, float("nan")))
    assert (fine.status, fine.low, fine.high) == ("pass", 0.1, None)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (f"by {-0.0004:.2f} (median).", "by 0.00 (median)."),
        (f"It falls by {-0.2:.0f}.", "It falls by 0."),
        (f"It is {-0.004:.0%} of it, {-0.0:.1f}", "It is 0% of it, 0.0"),
        (f"by {-0.05:.2f}, {-0.005:.3f} and {-10:d}; 5-0, 1e-05", None),
    ],
)
def test_a_figure_rounded_to_zero_has_no_sign(written: str, kept: str | None) -> None:
    assert c17_calibration.RULE.finding("pass", 0.5, written).sentence == (kept or written)


def test_calibration_names_the_score_that_differs_and_why() -> None:
    found = AUDITS["C-17"](clean())
    table = clean().predictions.assign(path="x", patient_id=None, source="s", cell="main")
    ece = next(s for s in scores.score(table, ["covid19", "normal"], "main") if s.name == "ece")
    assert f"The ECE among the scores is {ece.value:.3f}" in found.sentence
    assert "bins of equal mass" in found.sentence
    assert found.sentence.startswith(f"Probabilities are {100 * (found.value or 0):.1f} points")
