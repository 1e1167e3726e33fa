"""Films with their lungs taken out: the box is black, the rest is the film, p stands below."""

from pathlib import Path

import numpy as np
import pytest

from hilum.report.figures import lungs_blacked_out, registry
from hilum.report.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    films = np.random.default_rng(0).integers(1, 255, (2, 40, 30), dtype=np.uint8)
    np.savez_compressed(
        tmp_path / lungs_blacked_out.FILE,
        films=films,
        boxes=[[5, 20, 4, 26], [0, 40, 0, 30]],
        sample_id=["a/1", "a/2"],
        label=["covid19", "normal"],
        said=["covid19", "covid19"],
        whole=[0.91, 0.72],
        dark=[0.88, 0.13],
    )
    return tmp_path


def test_only_the_box_is_black(folder: Path) -> None:
    shown = lungs_blacked_out.read_films(folder)
    assert shown is not None
    dark = shown.dark(0)
    assert (dark == 0).sum() == 15 * 22
    assert (dark[5:20, 4:26] == 0).all()
    assert not shown.dark(1).any()


def test_each_film_stands_above_itself_with_the_same_classs_probability(folder: Path) -> None:
    drawn = registry.FIGURES["blacked"].draw(RunFolder(folder, {}))
    assert drawn is not None
    said = [axes.get_xlabel() for axes in drawn.figure.axes]
    assert [text.split("= ")[1] for text in said] == ["0.91", "0.72", "0.88", "0.13"]
    assert list(drawn.data["dark"]) == [0.88, 0.13]
    assert not drawn.data["code"].str.contains("a/").any()


@pytest.mark.parametrize("content", [None, b"no archive"])
def test_without_the_films_there_is_no_figure(tmp_path: Path, content: bytes | None) -> None:
    if content:
        (tmp_path / lungs_blacked_out.FILE).write_bytes(content)
    assert registry.FIGURES["blacked"].draw(RunFolder(tmp_path, {})) is None
