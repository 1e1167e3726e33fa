"""Numbers, bars and lights, each against a calculation by hand."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hilum.report import (
    heading,
    page,
    predictive_values,
    score_basis,
    score_tables,
    sections,
    wording,
)
from hilum.report.run_folder import RunFolder

ROW: dict[str, Any] = {
    "cell": "a", "name": "accuracy", "class": "overall", "value": 0.75, "k": 3, "n": 4,
    "low": 0.3, "high": 0.95, "method": "wilson",
}  # fmt: skip


def run_of(**results: Any) -> RunFolder:
    return RunFolder(Path("nowhere"), results)


def audits(*statuses: str) -> list[dict[str, str]]:
    return [{"id": f"C-{i:02d}", "status": name} for i, name in enumerate(statuses)]


@pytest.mark.parametrize(
    ("statuses", "light", "words"),
    [
        ((), "unknown", "Not audited"),
        (("unknown",), "unknown", "Not audited"),
        (("pass",), "pass", "Passes its audits"),
        (("pass", "unknown"), "pass", "Passes its audits"),
        (("pass", "unknown", "unknown"), "unknown", "Most audits could not be run"),
        (("pass", "warn", "unknown", "unknown"), "warn", "Passes, with warnings"),
        (("fail", "warn", "pass"), "fail", "Fails its audits"),
        (("nonsense", "fail"), "fail", "Fails its audits"),
    ],
)
def test_traffic_light(statuses: tuple[str, ...], light: str, words: str) -> None:
    found = sections.standing(run_of(audits=audits(*statuses)))
    assert (found.name, found.verdict) == (light, words)


def test_scores_of_two_classes_have_a_table_of_their_own() -> None:
    alone = {**ROW, "name": "auroc", "class": "covid19"}
    pair = {**alone, "name": "auroc (against viral_pneumonia, inside A)", "value": 0.5}
    run = run_of(scores=[alone, pair], classes=["covid19", "viral_pneumonia"], model={"cell": "a"})
    assert score_tables.by_class(run).columns == ("AUROC",)
    (line,) = score_tables.by_pair(run)
    assert (line.name, line.class_) == ("AUROC (against viral pneumonia, inside A)", "COVID-19")


@pytest.mark.parametrize(("low", "light"), [(0.49, "fail"), (0.5, "fail"), (0.51, "pass")])
def test_a_model_no_better_than_chance_is_never_green(low: float, light: str) -> None:
    area = {**ROW, "name": "auroc", "class": "macro", "low": low}
    assert sections.standing(run_of(audits=audits("pass"), scores=[area])).name == light


@pytest.mark.parametrize(
    ("images", "statuses", "words"),
    [(29, ("pass",), "Too few test images to say"), (30, ("pass",), "Passes its audits"),
     (29, ("warn",), "Too few test images to say"), (29, ("fail",), "Fails its audits")],
)  # fmt: skip
def test_a_few_test_images_have_no_light(
    images: int, statuses: tuple[str, ...], words: str
) -> None:
    """Of two seeds each image counts once."""
    ids = [f"folder/{i}" for i in range(images)] * 2
    table = pd.DataFrame({"cell": "main", "sample_id": ids})
    results = {"audits": audits(*statuses), "model": {"cell": "main"}}
    found = sections.standing(RunFolder(Path("nowhere"), results, table))
    assert found.verdict == words


def test_an_average_says_over_which_classes() -> None:
    over = {**ROW, "name": "f1", "class": "macro", "over": ["covid19", "normal"]}
    absent = {**ROW, "name": "sensitivity", "class": "pneumonia", "value": None}
    assert score_tables.line(over).class_ == "macro over COVID-19 and normal"
    assert score_tables.line({**over, "over": []}).class_ == "macro"
    assert score_basis.notes([over, absent]) == [
        "Averages are over COVID-19 and normal: no test image is of pneumonia."
    ]
    assert (
        score_tables.headlines(run_of(scores=[over]))[0].name
        == "F1, macro over COVID-19 and normal"
    )


def test_audits_that_fail_come_first() -> None:
    found = sections.audits(run_of(audits=audits("pass", "unknown", "warn", "fail", "fail")))
    assert [audit.id for audit in found] == ["C-03", "C-04", "C-02", "C-01", "C-00"]


def test_a_bar_is_in_per_cent_of_its_length() -> None:
    assert score_tables.bar(ROW) == score_tables.IntervalBar(75.0, 30.0, 95.0)
    assert score_tables.bar(ROW, 0.5) == score_tables.IntervalBar(
        50.0, 0.0, 90.0
    )  # cut at the bar's begin
    assert score_tables.bar({"measured": None, "published": 0.9}) == score_tables.IntervalBar(
        None, None, None, 90.0
    )
    assert score_tables.bar({"value": 1.7}) is None
    assert score_tables.bar({"value": None}) is None
    assert score_tables.bar({"value": float("nan")}) is None


def test_bars_begin_at_a_half_only_where_nothing_lies_below() -> None:
    assert score_tables.start(run_of(scores=[{**ROW, "low": 0.5}])) == 0.5
    assert score_tables.start(run_of(scores=[ROW])) == 0
    assert (
        score_tables.start(run_of(scores=[{**ROW, "low": 0.6, "name": "ece", "value": 0.01}])) == 0
    )
    spread = {**ROW, "name": "accuracy (sd of folds)", "value": 0.02, "low": None}
    assert score_tables.start(run_of(scores=[{**ROW, "low": 0.6}, spread])) == 0.5
    assert score_tables.line(spread).bar is None
    assert score_tables.line(spread).name == "Accuracy (sd of folds)"
    assert score_tables.line(spread).further


def test_values_elsewhere_are_those_of_bayes() -> None:
    # of 10,000 people with 1 %: 90 of 100 ill found, 990 of 9,900 healthy alarmed, 10 missed
    both = [
        {**ROW, "name": name, "class": "covid19", "value": 0.9, "n": n, "low": 0.8, "high": 1.0}
        for name, n in (("sensitivity", 10), ("specificity", 40))
    ]
    rows = predictive_values.elsewhere(run_of(classes=["covid19", "normal"], scores=both))
    # the lower ends: 80 of 100 found, 1,980 of 9,900 alarmed, 20 missed; the upper: none wrong
    assert [row[:3] for row in rows] == [
        ["COVID-19", "PPV", f"{90 / 1080:.3f} ({80 / 2060:.3f} to 1.000)"],
        ["COVID-19", "NPV", f"{8910 / 8920:.3f} ({7920 / 7940:.3f} to 1.000)"],
    ]
    assert [cell.split(" ")[0] for cell in rows[0][3:]] == ["0.321", "0.692", "0.900"]


@pytest.mark.parametrize(
    ("n", "low", "told"),
    [((30, 9), 0.8, "too few images: 30 and 9 others"), ((4, 90), 0.8, "too few images: 4 and 90"),
     ((10, 10), None, "no interval")],
)  # fmt: skip
def test_a_handful_of_images_is_carried_nowhere(
    n: tuple[int, int], low: float | None, told: str
) -> None:
    both = [
        {**ROW, "name": name, "class": "covid19", "value": 1.0, "n": count, "low": low, "high": 1.0}
        for name, count in zip(("sensitivity", "specificity"), n, strict=True)
    ]
    (row,) = predictive_values.elsewhere(run_of(classes=["covid19", "normal"], scores=both))
    assert row[2].startswith(told)
    assert not any(row[3:])


def test_headlines_prefer_the_whole_over_a_class() -> None:
    rows = [
        {**ROW, "name": "auroc", "class": "normal", "value": 0.6},
        {**ROW, "name": "auroc", "class": "macro", "value": 0.8},
        {**ROW, "cell": "b", "value": 0.99},
        ROW,
    ]
    run = run_of(scores=rows, model={"cell": "a"}, n={"images": 1234, "patients": None})
    shown = [(h.name, h.value) for h in score_tables.headlines(run)]
    assert shown == [("Accuracy", "0.750"), ("AUROC, macro", "0.800"), ("Images", "1,234")]
    assert score_tables.headlines(run)[0].notes[:2] == ("95% interval 0.300 to 0.950", "3 of 4")


def test_cells_are_compared_only_where_there_are_several() -> None:
    assert score_tables.by_cell(run_of(scores=[ROW])) is None
    grid = score_tables.by_cell(run_of(scores=[ROW, {**ROW, "cell": "b", "value": 0.25}]))
    assert grid is not None
    assert grid.columns == ("Accuracy",)
    assert [(name, scores[0].value) for name, scores in grid.rows if scores[0]] == [
        ("a", "0.750"),
        ("b", "0.250"),
    ]


def test_a_class_alone_in_its_source_is_named() -> None:
    counts = pd.DataFrame(
        {"A": [5, 0, 0], "B": [0, 4, 3], "C": [2, 0, 0]}, index=["covid19", "normal", "pneumonia"]
    )
    assert page._one_source(counts).startswith("“COVID-19” shares no source")
    counts.loc["normal", "A"] = 1
    assert page._one_source(counts) == ""
    assert page._one_source(counts.iloc[:1]) == ""


def test_one_source_is_a_sentence_in_place_of_a_chart() -> None:
    counts = pd.DataFrame({"A": [5, 4]}, index=["covid19", "normal"])
    assert page._source_alone(counts) == "All images are from one source: A."
    unknown = page._source_alone(counts.rename(columns={"A": wording.NOT_RECORDED}))
    assert unknown.startswith("The source of every image is unknown")
    assert page._source_alone(counts.assign(B=1)) == ""


def test_rare_sources_are_gathered() -> None:
    sources = [f"s{i}" for i in range(20) for _ in range(20 - i)]
    counts = score_tables.cross(pd.Series(["x"] * len(sources)), pd.Series(sources), ["x"], most=3)
    assert list(counts.columns) == ["others", "s0", "s1", "s2"]
    assert list(counts.loc["x"]) == [210 - 57, 20, 19, 18]


def test_a_test_of_a_finished_model_names_the_recipe_as_the_models() -> None:
    for mode, words in (("external", "Model trained by recipe"), ("corrected", "Recipe")):
        assert heading.heading(run_of(recipe="default", mode=mode))["recipe_is"] == words


def test_what_was_left_out_is_counted_by_reason() -> None:
    rows = [
        {"what": "a, b, c and 5229 more", "reason": "not the test folder", "count": 5232},
        {"what": "x.png", "reason": "truncated"},  # a row without a count is one
        {"what": "y.png", "reason": "truncated", "count": 1},
        {"what": "153 images (d, e, f, ...)", "reason": "another label", "count": 1},
        {"what": "1,204 files ending in .txt", "reason": "not an image"},
        {"what": "2 images (g, h), 3 images (i, j, k)", "reason": "two sets", "count": 2},
        {"what": "22 images (k, l, m, ...)", "reason": "counted", "count": 22},
        {"what": "4 rows (n, o), 3 rows (p)", "reason": "counted", "count": 7},
        {"what": "12 monkeys (1995).png", "reason": "a name", "count": 1},
        {"what": "p.png", "reason": "too uncertain (0.92); look at it (data.take, seed 0)"},
        {"what": "q.png", "reason": "too uncertain (solidity 0.9); look at it (data.take, seed 0)"},
        {
            "what": "r.png",
            "reason": "too uncertain (0.881, at least 0.925); look at it (data.take, seed 0)",
        },
    ]
    found = sections.left_out(run_of(data={"left_out": rows}))
    assert [(item.n, item.reason) for item in found] == [
        (5232, "not the test folder"),
        (1204, "not an image"),
        (153, "another label"),
        (29, "counted"),
        (5, "two sets"),
        (3, "too uncertain; look at it (data.take, seed 0)"),
        (2, "truncated"),
        (1, "a name"),
    ]
    assert found[6].names == ("x.png", "y.png")


def test_a_division_in_words() -> None:
    split = {"kind": "kfold", "folds": 5, "seed": 0, "seeds": [0, 1], "notes": ["n"], "leaks": []}
    assert sections.division(run_of(split=split)) == [
        ("kind", "kfold: cross-validation, each image is tested once"),
        ("folds", "5"),
        ("seeds", "0, 1"),
    ]
    assert sections.division(run_of(split={"kind": "own", "seed": 3, "seeds": [3]})) == [
        ("kind", "own"),
        ("seed", "3"),
    ]


def test_cells_come_best_first_and_ties_by_the_next_score() -> None:
    area = {**ROW, "name": "auroc", "class": "macro"}
    values = {"a": (0.5, 0.6), "b": (0.9, 0.6), "c": (0.5, 0.7)}
    rows = [{**ROW, "cell": cell, "value": one} for cell, (one, _) in values.items()]
    rows += [{**area, "cell": cell, "value": two} for cell, (_, two) in values.items()]
    rows.append({**area, "cell": "d"})  # without accuracy: last
    grid = score_tables.by_cell(run_of(scores=rows, model={"cell": "c"}))
    assert grid is not None
    assert [name for name, _ in grid.rows] == ["b", "c", "a", "d"]
    assert grid.marked == "c"
    assert grid.columns == ("Accuracy", "AUROC, macro")


def test_tests_on_other_films_follow_those_on_the_studys_own() -> None:
    values = {"a": 0.5, "a: later": 1.0, "b": 0.9, "b: source": 0.95}
    grid = score_tables.by_cell(
        run_of(scores=[{**ROW, "cell": c, "value": v} for c, v in values.items()])
    )
    assert grid is not None
    assert [name for name, _ in grid.rows] == ["b", "a", "a: later", "b: source"]


def test_sets_may_be_named_directly_or_listed() -> None:
    card = {"licence": "CC0", "images": 1200, "extra": [1, 2]}
    for data in (
        {"sets": {"x": card}},
        {"x": card, "left_out": []},
        {"sets": [{"name": "x", **card}]},
    ):
        (found,) = sections.sets(run_of(data=data))
        assert found.name == "x"
        assert dict(found.facts)["images"] == "1,200"
        assert dict(found.facts)["citation"] == "not recorded"
        assert found.more == (("extra", "1, 2"),)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.98765, "0.988"),
        (1, "1"),
        (1234567, "1,234,567"),
        (None, "–"),
        (float("nan"), "–"),
        (1.0, "1.000"),
    ],
)
def test_numbers(value: float | None, shown: str) -> None:
    assert wording.number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"a_b": 1, "c": [1.5, True]}, "a b: 1; c: 1.5, yes"),
        (
            {"steps": [{"step": "letterbox", "side": 224}, {"step": "clahe"}], "normalise": "unit"},
            "steps: letterbox (side 224), clahe; normalise: unit",
        ),
        ({"covid19": 0.5, "k": {"fold 1": 2}}, "COVID-19: 0.5; k: (fold 1 2)"),
        (["one, two", "three"], "one, two; three"),
        ("", "not recorded"),
        ([], "not recorded"),
        (0, "0"),
        (False, "no"),
        (0.123456, "0.1235"),
        (2.0, "2.0"),
    ],
)
def test_nested_facts_become_a_line(value: object, shown: str) -> None:
    assert wording.plain_value(value) == shown


def test_sentences_name_classes_as_readers_do() -> None:
    words = "viral_pneumonia and covid19 are not non_covid; normal is; my_covid19_set stays."
    assert wording.prose(words) == (
        "viral pneumonia and COVID-19 are not not COVID-19; normal is; my_covid19_set stays."
    )


@pytest.mark.parametrize(
    ("p", "words"),
    [(1.0, "p > 0.999"), (0.9995, "p > 0.999"), (0.9994, "p = 0.999"), (0.0004, "p < 0.001"),
     (0.0005, "p = 0.001"), (0.25, "p = 0.250")],
)  # fmt: skip
def test_no_probability_is_printed_as_certain(p: float, words: str) -> None:
    assert wording.probability_words(p) == words


def test_how_intervals_were_made_is_one_note() -> None:
    boot = {"name": "f1", "low": 0.1, "method": "bootstrap by patient, 5 folds pooled"}
    none = {"low": None, "method": "no interval: no spread in this sample"}
    rows = [ROW, {**ROW, "class": "covid19"}, boot, {**boot, "name": "auroc"}, ROW]
    rows += [{**none, "name": name} for name in ("ece", "brier", "sensitivity", "ece")]
    assert score_basis.interval_notes(rows) == [
        "Intervals by Wilson (accuracy), bootstrap by patient (all others).",
        "No interval for calibration error (ECE), Brier score, sensitivity: "
        "no spread in this sample.",
    ]
    assert score_basis.interval_notes([ROW]) == ["Intervals by Wilson."]
    assert score_basis.interval_notes([]) == []


@pytest.mark.parametrize(
    ("recipe", "paths", "title"),
    [("default", ["/srv/films/"], "films"), ("default", [r"D:\chest\films"], "films"),
     ("default", ["a", "b"], "Own images"), ("zhang2022", ["/srv/films"], "Own images")],
)  # fmt: skip
def test_a_report_on_own_images_has_the_name_of_their_folder(
    recipe: str, paths: list[str], title: str
) -> None:
    results = {"recipe": recipe, "mode": "corrected", "title": "Own images"}
    plan = {"data": [{"path": path} for path in paths]}
    own = pd.DataFrame({"sample_id": ["folder/a.png"]})
    run = RunFolder(Path("nowhere"), results, own, recipe=plan)
    assert heading.heading(run)["title"] == title


def test_methods_without_particulars() -> None:
    found = [wording.family(name) for name in (
        "bootstrap by patient, 5 folds pooled", "wilson over 428 patients: no spread", "delong",
    )]  # fmt: skip
    assert found == ["bootstrap by patient", "Wilson", "DeLong"]


def test_ratios_and_sentences() -> None:
    assert wording.ratio({"k": 0, "n": 1500}) == "0 of 1,500"
    assert wording.ratio({"k": None, "n": 10}) == "n\u00a0=\u00a010"
    assert wording.ratio({"k": 1, "n": None}) == ""
    assert wording.interval({"low": 0.1, "high": None}) == ""
    assert wording.as_sentence(" Fine ") == "Fine."
    assert wording.as_sentence("Why?") == "Why?"
    assert wording.count(1, "image") == "1 image"
    assert wording.code("image", "a") == wording.code("image", "a") != wording.code("image", "b")
