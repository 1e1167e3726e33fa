"""The figures of the studies: the CSV is what is drawn, and both are what was recorded."""

import json
from pathlib import Path
from typing import Any

import fixture_grid
import numpy as np
import pandas as pd
import pytest
from fixture_grid import CELLS, FIGURES
from sklearn.metrics import confusion_matrix, f1_score, precision_score, recall_score
from statsmodels.stats.proportion import proportion_confint

from conftest import Built, build
from hilum.report import grid_tables, run_folder, score_tables, sections
from hilum.report import history as course
from hilum.report.figures import (
    bars,
    curves,
    decision_curve,
    epochs_to_stop,
    group_histograms,
    operating_points,
    samples,
    sweep,
    thresholds,
)
from hilum.report.figures.bars import range_notes
from hilum.report.figures.registry import asked_figures
from hilum.report.run_folder import RunFolder


@pytest.fixture(scope="module")
def gridded(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(fixture_grid.grid(tmp_path_factory.mktemp("runs") / "grid"))


@pytest.fixture(scope="module")
def run(gridded: Built) -> RunFolder:
    return run_folder.read_run(gridded.folder)


def stored(run: RunFolder, name: str) -> pd.DataFrame:
    return pd.read_csv(run.folder / "figures" / f"study_{name}.csv")


def binary(n: int = 400) -> pd.DataFrame:
    """Predictions of two classes whose probabilities often lie on a threshold."""
    rng = np.random.default_rng([5, n])
    label = np.where(rng.random(n) < 0.3, "covid19", "non_covid")
    p = np.round(np.clip(rng.normal(np.where(label == "covid19", 0.3, 0.15), 0.1), 0, 1), 2)
    return pd.DataFrame({"label": label, "p_covid19": p, "p_non_covid": 1 - p})


def test_every_figure_is_drawn_and_stands_on_the_page(gridded: Built) -> None:
    assert set(asked_figures()) == {*FIGURES, "heatmaps", "heatmaps_by_model"}  # those need a model
    page = gridded.page
    assert page.faults == []
    assert "Not drawn" not in page.text
    assert any(e.attributes.get("href") == "#study" for e in page.all("a"))
    for name in FIGURES:
        assert asked_figures()[name].title in page.text
        assert f"Data: figures/study_{name}.csv" in page.text
        for suffix in (".png", ".csv"):
            assert (gridded.folder / "figures" / f"study_{name}{suffix}").is_file()


def test_nothing_is_drawn_that_was_not_asked_for(study: Built) -> None:
    assert not list((study.folder / "figures").glob("study_*"))
    assert "Figures of the study" not in study.page.text


def test_what_cannot_be_drawn_says_why(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{}")
    (tmp_path / "recipe.toml").write_text(f"figures = {json.dumps([*FIGURES, 'curvs', 'x'])}")
    text = build(tmp_path).page.text
    assert text.count("Not drawn: it needs") == len(FIGURES)
    assert "there is no figure 'curvs'; did you mean 'curves'?" in text
    assert f"there is no figure 'x'; known are {', '.join(asked_figures())}." in text


def test_a_broken_recipe_is_a_fault_on_the_page(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{}")
    (tmp_path / "recipe.toml").write_text('grid = {"a" 1}')
    assert "recipe.toml could not be read" in build(tmp_path).page.text


def test_the_networks_drawing_counts_its_weights(gridded: Built, run: RunFolder) -> None:
    total, learnt = (sum(row[i] for row in fixture_grid.LAYERS) for i in (4, 5))
    assert (
        f"b and its head: {total:,} weights, {learnt:,} of them trained here" in gridded.page.text
    )
    assert list(stored(run, "network")["name"]) == [row[0] for row in fixture_grid.LAYERS]


# --- thresholds -----------------------------------------------------------------------------------


def test_thresholds_are_sklearns_and_statsmodels() -> None:
    table = binary()
    points = operating_points.points(table, "covid19")
    assert list(points["threshold"]) == [0.10, 0.15, 0.20, 0.25]
    truth = table["label"] == "covid19"
    assert (table["p_covid19"] == 0.2).any()  # the rule at the border is tried
    for row in points.to_dict("records"):
        said = table["p_covid19"] >= row["threshold"]
        assert row["sensitivity"] == pytest.approx(recall_score(truth, said))
        assert row["specificity"] == pytest.approx(recall_score(~truth, ~said))
        assert row["ppv"] == pytest.approx(precision_score(truth, said))
        assert row["npv"] == pytest.approx(precision_score(~truth, ~said))
        for name in ("sensitivity", "specificity"):
            ends = proportion_confint(row[f"{name}_k"], row[f"{name}_n"], method="wilson")
            assert (row[f"{name}_low"], row[f"{name}_high"]) == pytest.approx(ends)


def test_predictive_values_of_study_004() -> None:
    # Table 1: 100 of 100 and 2175 of 3000 at 0.10, 90 of 100 and 2868 of 3000 at 0.25
    p = [0.3] * 90 + [0.12] * 10 + [0.05] * 2175 + [0.15] * (2868 - 2175) + [0.9] * 132
    label = ["covid19"] * 100 + ["non_covid"] * 3000
    table = pd.DataFrame({"label": label, "p_covid19": p})
    points = operating_points.points(table, "covid19", (0.10, 0.25))
    assert list(points["ppv"].round(3)) == [0.108, 0.405]
    assert list(points["ppv_at_0.01"].round(3)) == [0.035, 0.171]
    shown = operating_points.printable(points)
    assert shown["Sensitivity"][1] == "0.900 (90 of 100; 0.826 to 0.945)"
    assert shown["Specificity"][0].startswith("0.725 (2,175 of 3,000; ")
    assert shown.columns[3] == "PPV / NPV at 3.2%, as here"


def test_sensitivity_falls_and_specificity_rises_with_the_threshold() -> None:
    points = operating_points.points(binary(), "covid19", tuple(np.linspace(0, 1, 101)))
    assert points["sensitivity"].is_monotonic_decreasing
    assert points["specificity"].is_monotonic_increasing


def test_threshold_figure_draws_its_csv(run: RunFolder) -> None:
    table = stored(run, "thresholds")
    left, right = thresholds.thresholds(table).axes
    for lines, name in zip(left.containers, ("sensitivity", "specificity"), strict=True):
        np.testing.assert_allclose(lines[0].get_ydata(orig=False), table[name])
        ends = np.sort([seg[:, 1] for seg in lines[2][0].get_segments()], axis=1)
        np.testing.assert_allclose(ends, table[[f"{name}_low", f"{name}_high"]])
    for lines, at in zip(right.containers, ("", "_at_0.01", "_at_0.05", "_at_0.2"), strict=True):
        np.testing.assert_allclose(lines[0].get_ydata(orig=False), table[f"ppv{at}"])
        ends = np.sort([seg[:, 1] for seg in lines[2][0].get_segments()], axis=1)
        np.testing.assert_allclose(ends, table[[f"ppv_low{at}", f"ppv_high{at}"]])
    predictions = run.chosen()
    assert predictions is not None
    said = predictions["p_covid19"] >= 0.15
    matrix = confusion_matrix(predictions["label"] == "covid19", said)
    assert list(table.loc[1, ["specificity_k", "sensitivity_k"]]) == list(matrix.diagonal())


def test_several_seeds_do_not_count_an_image_twice(run: RunFolder) -> None:
    assert run.predictions is not None
    both = pd.concat([run.predictions, run.predictions.assign(seed=4)])
    twice = RunFolder(run.folder, run.results, both, recipe=run.recipe)
    made = asked_figures()["thresholds"].draw(twice)
    assert made is not None
    pd.testing.assert_frame_equal(made.data, stored(run, "thresholds"))
    assert "One of 2 seeds" in made.caption


def test_threshold_confusions_are_sklearns() -> None:
    table = binary()
    counts = operating_points.confusions(table, "covid19")
    truth = (table["label"] == "covid19").to_numpy()
    for t in operating_points.THRESHOLDS:
        mine = counts[counts["matrix"] == f"p ≥ {t:.2f}"].set_index(["truth", "prediction"])["n"]
        wanted = confusion_matrix(truth, (table["p_covid19"] >= t).to_numpy(), labels=[True, False])
        order = ["covid19", operating_points.REST]
        found = [[mine[a, b] for b in order] for a in order]
        np.testing.assert_array_equal(found, wanted)


# --- histograms and confusions --------------------------------------------------------------------


def test_histogram_borders_hold_what_the_thresholds_hold() -> None:
    table = binary().assign(sample_id=range(400))
    bins = operating_points.histogram(table, "covid19", operating_points.groups(table, None))
    assert bins["n"].sum() == 400
    for t in operating_points.THRESHOLDS:
        for name in ("covid19", "non_covid"):
            above = bins[(bins["group"] == name) & (bins["left"] >= t)]["n"].sum()
            assert above == ((table["label"] == name) & (table["p_covid19"] >= t)).sum()


def test_no_histogram_bar_is_clipped(run: RunFolder) -> None:
    table = stored(run, "histograms")
    assert set(table["group"]) == {
        "covid19",
        "not COVID-19, no finding",
        "not COVID-19, other findings",
    }
    figure = group_histograms.group_histograms(table)
    for axes, (_, rows) in zip(figure.axes, table.groupby("group", sort=False), strict=True):
        assert [bar.get_height() for bar in axes.patches] == list(rows["n"])
        assert axes.get_ylim()[1] > rows["n"].max()
        assert axes.get_ylim()[0] < 1
        assert axes.get_title(loc="left").endswith(f"n = {rows['n'].sum()}")
    assert table["n"].sum() == 100


def test_confusions_of_all_cells_are_sklearns(run: RunFolder) -> None:
    table = stored(run, "confusions")
    names = grid_tables.short_names(CELLS)
    assert run.predictions is not None
    for cell, rows in run.predictions.groupby("cell"):
        said = np.where(rows["p_covid19"] > rows["p_non_covid"], "covid19", "non_covid")
        mine = table[table["matrix"] == names[str(cell)]]["n"].to_numpy().reshape(2, 2)
        np.testing.assert_array_equal(mine, confusion_matrix(rows["label"], said))
    made = asked_figures()["confusions"].draw(run)
    assert made is not None
    words = [axes.texts[0].get_text() for axes in made.figure.axes if axes.get_visible()]
    assert words == [str(n) for n in table["n"][::4]]


# --- bars, sweep, epochs --------------------------------------------------------------------------


def test_bars_are_the_scores_and_sklearns(run: RunFolder) -> None:
    table = stored(run, "bars")
    assert len(table) == len(CELLS) * 2 * 5
    assert set(table["model"]) == {"a", "b"}
    assert set(table["arm"]) == {"random", "imagenet"}
    assert run.predictions is not None
    rows = run.predictions[run.predictions["cell"] == CELLS[2]]
    said = np.where(rows["p_covid19"] > rows["p_non_covid"], "covid19", "non_covid")
    mine = table[(table["cell"] == CELLS[2]) & (table["class"] == "covid19")]
    found = mine.set_index("metric")["value"]
    kind = {"pos_label": "covid19"}
    assert found["precision"] == pytest.approx(precision_score(rows["label"], said, **kind))
    assert found["sensitivity"] == pytest.approx(recall_score(rows["label"], said, **kind))
    assert found["f1"] == pytest.approx(f1_score(rows["label"], said, **kind))
    assert found["micro"] == found["accuracy"] == pytest.approx((rows["label"] == said).mean())


def test_bars_are_drawn_where_the_table_says(run: RunFolder) -> None:
    table = stored(run, "bars").fillna({"arm": ""})
    figure = bars.bars(table)
    panels = list(table.groupby(["arm", "class"], sort=False))
    assert len(figure.axes) == len(panels) == 4
    for axes, (_, rows) in zip(figure.axes, panels, strict=True):
        heights = [bar.get_height() for bar in axes.patches]
        wanted = rows.pivot_table(index="metric", columns="model", values="value", sort=False)
        np.testing.assert_allclose(heights, wanted.to_numpy().ravel())


def test_the_questions_of_a_study_are_panels_of_one_page() -> None:
    """El Azhari, figures 5 and 6: radiographs and CT, random and pretrained, each class."""
    grid = [f"model={name},weights={one}" for name in ("vgg16", "cnn") for one in ("own", "none")]
    cells = [*grid, *(f"xray: {cell}" for cell in grid)]
    scores = [
        {"cell": cell, "name": "f1", "class": class_, "value": i / 20, "low": 0.0, "high": 1.0}
        for i, cell in enumerate(cells)
        for class_ in ("covid19", "normal")
    ]
    table = grid_tables.bars(scores, ["covid19", "normal"])
    figure = bars.bars(table)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert len(titles) == 8
    assert titles[0] == "COVID-19, main question, own"
    assert titles[-1] == "normal, xray, none"
    assert set(table["model"]) == {"vgg16", "cnn"}


def test_the_range_over_models_is_highest_minus_lowest(run: RunFolder) -> None:
    assert run.predictions is not None
    hit = run.predictions[["p_covid19", "p_non_covid"]].to_numpy().argmax(1) == (
        run.predictions["label"] != "covid19"
    )
    means = hit.groupby(run.predictions["cell"]).mean()
    found = grid_tables.spread(stored(run, "bars"))
    assert found == pytest.approx((means.min(), means.max(), len(CELLS)))
    (note,) = range_notes(stored(run, "bars"))
    assert note.startswith(
        f"Range of accuracy over 4 models: {means.max() - means.min():.3f}, from"
    )
    assert range_notes(stored(run, "bars").query("cell == @CELLS[0]")) == ()
    bars = stored(run, "bars")
    again = bars.assign(cell=bars["cell"] + ": later", value=0.001)  # no other models
    assert grid_tables.spread(pd.concat([bars, again])) == found


def test_the_decision_curve_is_drawn_as_computed() -> None:
    """Net benefit counted by hand: TP/n - FP/n t/(1-t)."""
    table = binary()
    curve = operating_points.decision_curve_table(table, "covid19")
    lines = decision_curve.decision_curve(curve, "covid19").axes[0].lines
    for line, name in zip(lines, ("model", "all", "none"), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), curve[name])
    sick, n = (table["label"] == "covid19").to_numpy(), len(table)
    for t, net in zip(curve["threshold"], curve["model"], strict=True):
        called = (table["p_covid19"] >= t).to_numpy()
        by_hand = ((called & sick).sum() - (called & ~sick).sum() * t / (1 - t)) / n
        assert net == pytest.approx(by_hand, abs=1e-12)
    assert "decision_curve" in asked_figures()


def test_sweep_along_a_number() -> None:
    scores = [
        {
            "cell": f"experiment={e},last={k}", "name": "accuracy", "class": "overall",
            "value": 0.5 + k / 20 + j / 100, "low": 0.4, "high": 0.9, "k": 1, "n": 2,
        }
        for j, e in enumerate(("freeze all", "freeze conv"))
        for k in (10, 2, 3)
    ]  # fmt: skip
    table = grid_tables.sweep_table(scores)
    assert list(table["axis"].unique()) == ["last"]
    assert list(table["x"]) == [2, 2, 3, 3, 10, 10]  # by number, not by letter
    axes = sweep.sweep(table).axes[0]
    for i, lines in enumerate(axes.containers):
        rows = table[table["series"] == ("freeze all", "freeze conv")[i]]
        np.testing.assert_allclose(lines[0].get_ydata(orig=False), rows["value"])
        np.testing.assert_allclose(lines[0].get_xdata(orig=False), rows["x"], atol=0.1)
    assert grid_tables.sweep_table(scores[:1]).empty


def test_sweep_along_names_and_its_table(run: RunFolder) -> None:
    table = stored(run, "sweep")
    assert set(table["series"]) | set(table["x"]) == {"a", "b", "random", "imagenet"}
    recorded = {r["cell"]: r["value"] for r in run.rows("scores") if r["name"] == "accuracy"}
    assert dict(zip(table["cell"], table["value"], strict=True)) == pytest.approx(recorded)


def test_epochs_to_stop_say_never(run: RunFolder, gridded: Built) -> None:
    table = stored(run, "epochs_to_stop")
    assert list(table["epochs"]) == ["3", "2", "3", "never", "never"]
    assert list(table["ran"]) == [3, 2, 3, 5, 6]
    shown = [row for row in gridded.page.tables if row[1:] and "never" in row[1]]
    assert [row[1] for row in shown] == ["never (in 5 epochs)", "never (in 6 epochs)"]
    made = asked_figures()["epochs_to_stop"].draw(run)
    assert made is not None
    (axes,) = made.figure.axes
    assert [bar.get_width() for bar in axes.patches] == [3.0, 2.5]
    words = [text.get_text() for text in axes.texts]
    assert words == ["3", "2.5", "never (in 5 epochs)", "never (in 6 epochs)"]
    assert "at least 0.8 and validation loss below 0.5" in made.caption
    assert "the rule of this run" in made.caption


def test_without_a_rule_the_papers_is_taken(run: RunFolder) -> None:
    rule, words = course.stop_rule({})
    assert (rule.accuracy, rule.loss) == (0.89, 0.3)
    assert "study 000" in words


@pytest.mark.parametrize(
    "recipe",
    [
        {"train": {"stages": [{"name": "a"}, {"name": "b", "stop": {"accuracy": 0.7, "loss": 1}}]}},
        {"grid": {"train": [{"stages": [{"stop": {"accuracy": 0.7, "loss": 1}}]}]}},
        {"arms": {"x": {}, "y": {"train": {"stages": [{"stop": {"accuracy": 0.7, "loss": 1}}]}}}},
    ],
)
def test_a_rule_is_found_wherever_a_recipe_may_have_it(recipe: dict[str, Any]) -> None:
    rule, words = course.stop_rule(recipe)
    assert (rule.accuracy, rule.loss) == (0.7, 1)
    assert words == "the rule of this run"


def test_a_training_of_one_epoch_is_drawn_as_points() -> None:
    row = {"cell": "a", "fold": 0, "seed": 0, "stage": "head", "epoch": 0, "loss": 0.5}
    parts = ("train", "validation")
    history = pd.DataFrame([{**row, "part": part, "accuracy": 0.9} for part in parts])
    figure = curves.curves(course.with_steps(history), {})
    figure.draw_without_rendering()
    assert [line.get_marker() for line in figure.axes[1].lines] == ["o", "o"]
    low, high = figure.axes[1].get_xlim()
    assert [x for x in figure.axes[1].get_xticks() if low <= x <= high] == [1]


def test_some_trainings_that_never_stop_are_counted() -> None:
    rows = pd.DataFrame({"epochs": pd.array([4, 6, None], dtype="Int64"), "ran": [4, 6, 1]})
    assert epochs_to_stop.stop_words(rows) == "5; 1 of 3 never"
    assert epochs_to_stop.stop_words(rows[2:]) == "never (in 1 epoch)"


# --- samples --------------------------------------------------------------------------------------


def test_the_sheet_shows_positives_above_negatives(run: RunFolder) -> None:
    table = stored(run, "samples")
    assert len(table) == 24
    assert (table["label"] == "covid19").tolist() == (table["row"] < 2).tolist()
    assert table.groupby("row").size().tolist() == [6, 6, 6, 6]


def test_the_mosaic_keeps_each_image_whole_and_in_its_place() -> None:
    wide, tall = np.full((50, 100), 90, np.uint8), np.full((100, 50), 180, np.uint8)
    ground = samples.block_pixels([wide, None, *[tall] * 5])
    assert ground.shape == (408, 1240)
    middle = ground[100, 100::208]
    assert list(middle) == [90, samples.ABSENT, 180, 180, 180, 180]
    assert ground[308, 100] == 180  # the seventh begins the second row
    assert list(ground[308, 308::208]) == [255] * 5
    assert (ground[40, 100], ground[60, 100]) == (samples.GROUND, 90)
    figure = samples.sheet_of_blocks([samples.Block("one", [wide]), samples.Block("two", [tall])])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["one", "two"]
    shown = [np.asarray(axes.images[0].get_array())[100, 100] for axes in figure.axes]
    assert shown == [90, 180]


# --- names of cells, and cells that failed --------------------------------------------------------


def test_cells_are_named_by_what_they_differ_in() -> None:
    cells = ["backbone=vgg16,last=2,mirror=true", "backbone=resnet50,last=2,mirror=false"]
    assert grid_tables.short_names(cells) == {
        cells[0]: "vgg16, mirror true",
        cells[1]: "resnet50, mirror false",
    }
    assert grid_tables.short_names(["main"]) == {"main": "main"}
    assert grid_tables.short_names(["x=1", "y"]) == {"x=1": "x=1", "y": "y"}
    assert "question" not in grid_tables.axes(["head", "head: source"])
    assert grid_tables.axes(["a=[1, 2],b=c,d"]).to_dict("records") == [{"a": "[1, 2]", "b": "c,d"}]


def test_a_second_test_is_a_series_and_not_a_place_on_the_axis() -> None:
    names = [f"experiment=a,layers={n}{end}" for n in (0, 1) for end in ("", ": later")]
    about = {"name": "accuracy", "class": "overall", "value": 0.5}
    table = grid_tables.sweep_table([{"cell": name, **about} for name in names])
    assert table["axis"].unique().tolist() == ["layers"]
    assert dict(zip(table["cell"], table["x"], strict=True)) == dict(
        zip(names, [0, 0, 1, 1], strict=True)
    )
    assert sorted(table["series"].unique()) == ["later films", "own test"]
    short = grid_tables.short_names(["net=a", "net=b", "net=b: source", "net=a: later"])
    assert list(short.values()) == [
        "a, own test",
        "b, own test",
        "b, source task",
        "a, later films",
    ]


def test_failed_cells_stand_on_the_page_with_their_reason(gridded: Built, run: RunFolder) -> None:
    wanted = [("backbone=c,weights=random", "no weights of c; fetch them")]
    assert sections.failed_cells(run) == wanted
    assert "Models that could not be run" in gridded.page.text
    assert "backbone=c,weights=random : no weights of c; fetch them" in gridded.page.text
    told = {**run.results, "model": {"failed": [{"what": "p", "reason": "q"}]}}
    assert sections.failed_cells(RunFolder(run.folder, told)) == [("p", "q")]
    told = {**run.results, "model": {"failed": {"p": "q"}}}
    assert sections.failed_cells(RunFolder(run.folder, told)) == [("p", "q")]


def test_cells_are_sorted_and_the_chosen_one_is_marked(gridded: Built, run: RunFolder) -> None:
    rows = [row for row in gridded.page.tables if row[0].startswith("backbone=") and len(row) > 3]
    values = [float(row[1].split()[0]) for row in rows]
    assert len(values) == 4
    assert values == sorted(values, reverse=True)
    marked = [row[0] for row in rows if "chosen on validation data" in row[0]]
    assert marked == [f"{run.cell} chosen on validation data"]
    told = {**run.results["model"], "images": {"train": 9, "validation": 0, "test": 3}}
    grid = score_tables.by_cell(RunFolder(run.folder, {**run.results, "model": told}))
    assert grid is not None
    assert grid.why == "the first: no image validates"
