"""The course of training: steps, means, overfitting and stop rules, against scripted histories."""

import fixture_grid
import numpy as np
import pandas as pd
import pytest
from fixture_grid import CELLS

from hilum.report import history as course
from hilum.report.figures import curves, training
from hilum.report.history import Rule

NAMES = ["cell", "fold", "seed", "stage", "epoch", "part", "loss", "accuracy"]


def script(
    losses: list[float], accuracies: list[float] | None = None, fold: int = 0
) -> pd.DataFrame:
    """A history of validation alone."""
    right = accuracies or [0.5] * len(losses)
    rows = [
        ("a", fold, 0, "all", epoch, "validation", *figures)
        for epoch, figures in enumerate(zip(losses, right, strict=True))
    ]
    return course.with_steps(pd.DataFrame(rows, columns=NAMES))


def path(folds: tuple[int, ...] = (3, 4)) -> pd.DataFrame:
    """The history of a linear probe: one path of strengths per fold."""
    rows = [
        ("main", fold, 0, "head", i, part, 0.5 + 0.1 * abs(i - 1) + 0.05 * fold, 0.8, 10.0**-i)
        for fold, length in enumerate(folds)
        for i in range(length)
        for part in ("train", "validation")
    ]
    return course.with_steps(pd.DataFrame(rows, columns=[*NAMES, "strength"]))


@pytest.mark.parametrize(
    ("losses", "lowest", "end", "overfits"),
    [
        ([1.0, 0.5, 0.6], 0.5, 0.6, False),  # +20 %, not more
        ([1.0, 0.5, 0.61], 0.5, 0.61, True),
        ([1.0, 0.5, 0.4], 0.4, 0.4, False),  # the last is the lowest
        ([0.5, 0.9, 0.52, 0.51, 0.53], 0.5, 0.52, False),  # one bad epoch is not overfitting
        ([0.5, 0.52, 0.53, 0.9, 0.51], 0.5, 0.53, False),
        ([0.5, 0.5, 0.7, 0.8, 0.9], 0.5, 0.8, True),  # the first of equals
        ([0.0, 0.1], 0.0, 0.1, False),  # no ratio to nought
    ],
)
def test_overfitting(losses: list[float], lowest: float, end: float, overfits: bool) -> None:
    (row,) = course.overfit(script(losses)).to_dict("records")
    assert row["loss"] == lowest
    assert row["end"] == pytest.approx(end)
    assert row["overfits"] is overfits


def test_where_no_image_validates_the_test_images_are_watched() -> None:
    """Study 002: the curves are those of the test set."""
    shown = script([1.0, 0.5, 0.7])
    both = pd.concat([shown.assign(part="train"), shown.assign(part="test")], ignore_index=True)
    assert (course.watched(shown), course.watched(both)) == ("validation", "test")
    (row,) = course.overfit(both).to_dict("records")
    assert (row["loss"], row["end"], row["overfits"]) == (0.5, 0.7, True)
    (words,) = course.overfit_notes(both, {"a": "a"})
    assert words.startswith("Test loss rose by more than 20% after its lowest point")
    axes = training.training(both).axes[0]
    assert [line.get_label() for line in axes.lines[:2]] == ["train", "test"]


def test_overfitting_in_words() -> None:
    rows = course.with_steps(fixture_grid.history())
    (words,) = course.overfit_notes(rows, {CELLS[3]: "b, imagenet"})
    assert words == (
        "Validation loss rose by more than 20% after its lowest point, a sign of overfitting: "
        "b, imagenet (from 0.500 in epoch 3 to 0.700 at the end, +40%)."
    )
    two = pd.concat([script([0.5, 0.7]), script([0.5, 0.8], fold=1), script([0.5, 0.5], fold=2)])
    (words,) = course.overfit_notes(two, {})
    assert "a in 2 of 3 trainings (at worst from 0.500 in epoch 1 to 0.800" in words
    (words,) = course.overfit_notes(script([0.5, 0.4]), {})
    assert words.startswith("No training's validation loss rose")
    assert course.overfit_notes(path(), {}) == ()  # walked beyond its best on purpose


@pytest.mark.parametrize(
    ("losses", "accuracies", "epochs"),
    [
        ([0.2], [0.89], 1),
        ([0.3, 0.29], [0.95, 0.95], 2),  # loss strictly below
        ([0.2, 0.2], [0.8899, 0.89], 2),  # accuracy at least
        ([0.2, 0.4, 0.2], [0.8, 0.9, 0.9], 3),  # both in the same epoch
        ([0.4, 0.35], [0.9, 0.9], None),
        ([0.2, 0.2], [0.5, 0.6], None),
    ],
)
def test_stop_rule_of_study_000(
    losses: list[float], accuracies: list[float], epochs: int | None
) -> None:
    (row,) = course.stops(script(losses, accuracies)).to_dict("records")
    assert row["ran"] == len(losses)
    assert (None if pd.isna(row["epochs"]) else row["epochs"]) == epochs


def test_stops_are_those_of_a_plain_loop() -> None:
    history = fixture_grid.history()
    table = course.stops(course.with_steps(history), Rule(0.8, 0.5))
    for row in table.to_dict("records"):
        mine = history[(history["cell"] == row["cell"]) & (history["seed"] == row["seed"])]
        wanted = None
        for one in mine[mine["part"] == "validation"].to_dict("records"):
            if wanted is None and one["accuracy"] >= 0.8 and one["loss"] < 0.5:
                wanted = one["epoch"] + 1
        assert (None if pd.isna(row["epochs"]) else row["epochs"]) == wanted
    assert list(table["epochs"].isna()) == [False, False, False, True, True]


def test_a_path_has_no_epochs_to_stop_at() -> None:
    assert course.stops(path()).empty


def test_epochs_of_each_cell_are_counted_by_themselves() -> None:
    table = course.with_steps(fixture_grid.history())
    assert table.groupby("cell", sort=False)["step"].max().tolist() == [3, 3, 5, 6]
    assert table["step"].min() == 1


def test_the_mean_ends_where_the_first_training_does() -> None:
    rows = pd.concat([script([1.0, 0.8]), script([0.6, 0.4, 0.1], fold=1)])
    found = course.mean(rows, "loss", "step")
    assert list(found.index) == [1, 2]
    np.testing.assert_allclose(found, [0.8, 0.6])


def test_a_path_is_drawn_along_its_strength_strong_to_weak() -> None:
    table = path()
    figure = training.training(table)
    loss, accuracy = figure.axes
    for axes in (loss, accuracy):
        assert axes.get_xscale() == "log"
        assert axes.get_xlabel() == "L2 strength (strong to weak)"
        left, right = axes.get_xlim()
        assert left > right
        figure.draw_without_rendering()
        assert all("$" not in tick.get_text() for tick in axes.get_xticklabels(which="both"))
    assert [tick.get_text() for tick in loss.get_xticklabels()][1:4] == ["0.001", "0.01", "0.1"]
    mean = next(line for line in loss.lines if line.get_label() == "validation, mean")
    np.testing.assert_allclose(mean.get_xdata(), [0.01, 0.1, 1.0])  # fold 0 ends at 0.01
    np.testing.assert_allclose(mean.get_ydata(), [0.625, 0.525, 0.625])
    (dots,) = [line for line in loss.lines if line.get_marker() == "."]
    assert list(dots.get_xdata()) == [0.1, 0.1]
    thin = [line for line in loss.lines if line.get_alpha() == 0.35]
    assert len(thin) == 4  # two folds, two parts


def test_each_picture_of_a_film_has_a_path_of_its_own() -> None:
    one = path((3,))
    two = one.assign(stage="head, picture 2", loss=one["loss"] + 0.3)
    both = course.with_steps(pd.concat([one, two], ignore_index=True).drop(columns="step"))
    assert course.lowest(both)["stage"].tolist() == ["head", "head, picture 2"]
    loss, _ = training.training(both).axes
    mean = next(line for line in loss.lines if line.get_label() == "validation, mean")
    np.testing.assert_allclose(mean.get_ydata(), [0.75, 0.65, 0.75])
    assert len([line for line in loss.lines if line.get_alpha() == 0.35]) == 4


def test_path_and_epochs_get_a_row_each() -> None:
    later = fixture_grid.history().query("cell == @CELLS[0]").assign(cell="main", stage="all")
    both = course.with_steps(pd.concat([path((3,)).drop(columns="step"), later]))
    figure = training.training(both)
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels == ["L2 strength (strong to weak)"] * 2 + ["Epoch"] * 2


def test_curves_of_every_cell_are_the_table() -> None:
    table = course.with_steps(fixture_grid.history())
    figure = curves.curves(table, dict(zip(CELLS, "pqrs", strict=True)))
    assert len(figure.axes) == 8
    assert [axes.get_title(loc="left") for axes in figure.axes[::2]] == list("pqrs")
    assert len({axes.get_ylim() for axes in figure.axes[1::2]}) == 1  # accuracies share a scale
    for cell, axes in zip(CELLS, figure.axes[::2], strict=True):
        rows = table[(table["cell"] == cell) & (table["part"] == "validation")]
        line = next(x for x in axes.lines if str(x.get_label()).startswith("validation"))
        wanted = rows.groupby("step")["loss"].mean()[
            rows.groupby("step").size() == rows["seed"].nunique()
        ]
        np.testing.assert_allclose(line.get_xdata(), wanted.index)
        np.testing.assert_allclose(line.get_ydata(), wanted)
