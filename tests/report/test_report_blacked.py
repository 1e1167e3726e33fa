"""Films with their lungs taken out, and heat on the bars that pad a film: against a count."""

from pathlib import Path

import numpy as np
import pytest

from hilum.report.figures import heatmaps, letterbox_bars, lungs_blacked_out, registry
from hilum.report.run_folder import RunFolder


def with_answers(folder: Path, **answers: list[str] | list[float]) -> Path:
    """Films, each with its boxes and the answers to both of its pictures."""
    count = len(answers["said"])
    films = np.random.default_rng(0).integers(1, 255, (count, 40, 30), dtype=np.uint8)
    np.savez_compressed(
        folder / lungs_blacked_out.FILE,
        films=films,
        boxes=[[5, 20, 4, 26], [0, 40, 0, 30], *[[5, 20, 4, 26]] * (count - 2)],
        sample_id=[f"a/{i}" for i in range(count)],
        **{"label": answers["said"], **answers},
    )
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return with_answers(
        tmp_path,
        label=["covid19", "normal"],
        said=["covid19", "covid19"],
        whole=[0.91, 0.72],
        dark=[0.88, 0.13],
        dark_said=["covid19", "normal"],
        dark_p=[0.88, 0.87],
    )


def test_only_the_box_is_black(folder: Path) -> None:
    shown = lungs_blacked_out.read_films(folder)
    assert shown is not None
    dark = shown.dark(0)
    assert (dark == 0).sum() == 15 * 22
    assert (dark[5:20, 4:26] == 0).all()
    assert not shown.dark(1).any()


def test_each_film_stands_above_itself_with_the_answers_to_both(folder: Path) -> None:
    drawn = registry.FIGURES["blacked"].draw(RunFolder(folder, {}))
    assert drawn is not None
    said = [axes.get_xlabel() for axes in drawn.figure.axes]
    assert said == [
        "COVID-19\np = 0.91",
        "COVID-19\np = 0.72",
        "COVID-19\np = 0.88, hardly changed",
        "normal\np = 0.87",
    ]
    changed = "In 1 of these 2 the answer stays and its probability changes by less than 0.05"
    assert changed in drawn.caption
    assert "the answer did not come from them" in drawn.caption
    assert list(drawn.data["dark"]) == [0.88, 0.13]
    assert not drawn.data["code"].str.contains("a/").any()


@pytest.mark.parametrize(
    ("said", "without", "taken"),
    [
        ("nnnppp", "pppppp", True),
        ("nnnppp", "nppppp", True),
        ("nnnppp", "nnpppp", False),  # most, but one film alone has moved
        ("pppppp", "pppppp", False),  # it says so of every film, box or no box
        ("np", "np", False),
    ],
)
def test_answers_to_a_box_are_not_taken_for_what_the_model_reads(
    said: str, without: str, taken: bool, tmp_path: Path
) -> None:
    names = {"n": "normal", "p": "pneumonia"}
    p = [0.99] * len(said)
    kept = [0.99 if a == b else 0.01 for a, b in zip(said, without, strict=True)]
    folder = with_answers(
        tmp_path,
        said=[names[letter] for letter in said],
        whole=p,
        dark=kept,
        dark_said=[names[letter] for letter in without],
        dark_p=p,
    )
    drawn = registry.FIGURES["blacked"].draw(RunFolder(folder, {}))
    assert drawn is not None
    assert ("the black box itself is taken for that class" in drawn.caption) == taken
    assert ("did not come from them" in drawn.caption) != taken
    below = [axes.get_xlabel() for axes in drawn.figure.axes[len(said) :]]
    assert [text[0] for text in below] == [*without]


@pytest.mark.parametrize("content", [None, b"no archive"])
def test_without_the_films_there_is_no_figure(tmp_path: Path, content: bytes | None) -> None:
    if content:
        (tmp_path / lungs_blacked_out.FILE).write_bytes(content)
    assert registry.FIGURES["blacked"].draw(RunFolder(tmp_path, {})) is None


def test_heat_on_letterbox_bars_is_its_share_of_all_heat() -> None:
    film = np.random.default_rng(0).integers(0, 128, (40, 30), dtype=np.uint8)
    film[:6], film[:, 27:], film[20] = 128, 128, 128  # a grey row inside is part of the film
    heat = np.random.default_rng(1).integers(0, 255, (40, 30), dtype=np.uint8)
    on_bars = sum(int(heat[y, x]) for y in range(40) for x in range(30) if y < 6 or x >= 27)
    share = letterbox_bars.heat_on_bars(film, heat, 128)
    assert share == pytest.approx(on_bars / int(heat.sum(dtype=np.int64)))
    assert letterbox_bars.heat_on_bars(film, heat, None) == 0
    assert letterbox_bars.heat_on_bars(film, np.zeros_like(heat), 128) == 0
    assert letterbox_bars.heat_on_bars(np.full_like(film, 128), heat, 128) == 0


def test_the_grey_of_the_bars_is_that_of_the_models_letterbox() -> None:
    steps = [{"step": "clahe"}, {"step": "letterbox", "side": 224}]
    assert letterbox_bars.fill_level({"preparation": {"steps": steps}}) == 128
    steps[1]["fill"] = 0
    assert letterbox_bars.fill_level({"preparation": {"steps": steps}}) == 0
    assert letterbox_bars.fill_level({"preparation": {"steps": steps[:1]}}) is None
    assert letterbox_bars.fill_level({"preparation": ["letterbox 224"]}) is None


def test_the_caption_points_heat_on_bars_out() -> None:
    assert heatmaps._bars_pointed_out([0.0, 0.09]) == ""
    assert "On 2 of 3 films 10% or more" in heatmaps._bars_pointed_out([0.0, 0.3, 0.1])
    assert "at most 30%" in heatmaps._bars_pointed_out([0.0, 0.3, 0.1])
