"""Tables fit: whole, wrapped between words, or a line for each column; in pipes by COLUMNS."""

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from hilum.cli import tables
from hilum.cli.results import show
from hilum.cli.terminal import PIPE, Terminal
from hilum.types import Published, Results, Score

COLUMNS = ("where", "score", "published", "measured", "of images", "95%", "within our interval")
ROWS = [
    ("Table 1, threshold 0.10", "sensitivity at 0.10, not COVID-19", "0.976", "0.985", "128/130",
     "0.946–0.994", "yes"),
    ("Table 1, threshold 0.25", "specificity at 0.25, not COVID-19", "0.956", "0.904", "188/208",
     "0.856–0.937", "no"),
]  # fmt: skip


def lines(width: int, rows: list[tuple[str, ...]] = ROWS) -> list[str]:
    out = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    Terminal(out=out).table("Published and measured", COLUMNS, rows)
    return re.sub(r"\x1b\[[0-9;]*m", "", out.file.getvalue()).splitlines()


@pytest.mark.parametrize("width", [160, 120, 100, 80, 60, 40])
def test_a_table_fits_the_terminal_and_breaks_no_word(width: int) -> None:
    found = lines(width)
    assert max(len(line.rstrip()) for line in found) <= width
    text = " ".join(found)
    for row in ROWS:
        for cell in row:
            for word in cell.replace(",", "").split():
                assert word in text, (width, word)
    if width < 120:
        assert len(found) <= 4 + 2 * 10  # not thirteen lines a row


@pytest.mark.parametrize("pipe", [True, False])
@pytest.mark.parametrize(("width", "room"), [(160, 80), (80, 40), (60, 21), (40, 19)])
def test_names_are_broken_at_their_joints(
    width: int, room: int, pipe: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells of a grid and files: each part between separators that there is room for is whole."""
    monkeypatch.setenv("COLUMNS", str(width))
    grid = [f"balance={name},dropout=0.{i}" for i, name in enumerate(("weights", "none"))]
    deep = "model.backbone=tf_efficientnet_lite0,train.balance=weights,model.dropout=0.5"
    path = "/home/someone/films of 2020/covid19/second/third/patient900_text.png"
    why = "an image of 8 or 16 bits is needed; got a text file; export the image anew"
    terminal = {"force_terminal": True, "width": width} if not pipe else {}
    out = Console(file=io.StringIO(), color_system=None, **terminal)  # type: ignore[arg-type]
    head = ("cell", "accuracy", "balanced accuracy", "AUROC, macro", "in model/")
    rows = [(cell, "0.714", "0.667", "1.000", "✓") for cell in (*grid, deep)]
    Terminal(out=out).table("Cells of the grid", head, rows)
    Terminal(out=out).table("Left out", ("why", "what"), [(why, path)])
    found = out.file.getvalue()
    assert max(len(line.rstrip()) for line in found.splitlines()) <= width
    whole = [*why.split(), *re.findall(r"[^/ ]+", path), *re.findall(r"[^,]+", deep), *grid]
    for part in whole:
        assert len(part) > room or part in found
    if width >= 80:
        assert all(any(cell in line for line in found.splitlines()) for cell in grid)


@pytest.mark.parametrize("width", range(1, 40))
def test_nothing_is_lost_where_a_word_is_broken(width: int) -> None:
    text = "/home/a-b/c_d.png  and x=1,y=0.25;z  " + "w" * 50
    found = tables.wrapped(text, width)
    assert max(map(len, found)) <= width
    assert re.sub(r"\s", "", "".join(found)) == re.sub(r"\s", "", text)
    assert tables.wrapped("", width) == [""]


def test_figures_are_never_wrapped() -> None:
    for width in (80, 60):
        assert sum("0.946–0.994" in line for line in lines(width)) == 1


@pytest.mark.parametrize(("columns", "most"), [("80", 80), ("60", 60), ("200", 200), ("", PIPE)])
def test_a_pipe_gets_bounded_lines(
    columns: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    out = Console(file=io.StringIO(), color_system=None)
    many = [f"a class with a long name {i}" for i in range(20)]
    Terminal(out=out).table("Sources", ("source", *many), [("hospital", *["1,234"] * 20)] * 3)
    Terminal(out=out).table("Long", ("why", "what"), [("no such image", "word " * 90)])
    found = out.file.getvalue().splitlines()
    assert max(map(len, found)) <= most
    assert out.file.getvalue().count("1,234") == 60
    assert " ".join(out.file.getvalue().split()).count("word") == 90


def test_short_tables_stay_on_a_line_each() -> None:
    plain = tables.plain("T", ("a", "n"), [("x", 1), ("y", 22)], 20)
    assert plain.splitlines() == ["T", "a   n", "x   1", "y  22"]


@pytest.mark.parametrize("width", range(1, 60, 7))
def test_no_width_is_too_small_to_answer(width: int) -> None:
    text = tables.plain("T", COLUMNS, ROWS, width)
    assert text.count("128/130") == 1


def score(name: str, class_: str, value: float, **more: object) -> Score:
    told = {"k": None, "n": None, "low": None, "high": None, "method": "bootstrap", **more}
    return Score("main", name, class_, value, **told)  # type: ignore[arg-type]


def ended(scores: list[Score], **more: Any) -> str:
    whole = Results(
        recipe="r", mode="external", classes=["covid19", "normal", "pneumonia"], n={},
        scores=scores, published=[], audits=[], verdict="v", environment={},
        data={"left_out": []}, split={}, model={"cell": "main"}, limits=[],
    )  # fmt: skip
    out = Console(file=io.StringIO(), width=200)
    show(replace(whole, **more), Path("run"), Terminal(out=out))
    return " ".join(out.file.getvalue().split())


def test_the_terminal_says_over_which_classes_an_average_is() -> None:
    over = ("covid19", "normal")
    text = ended(
        [
            score("f1", "macro", 0.9, over=over),
            score("sensitivity", "pneumonia", float("nan"), method="undefined: no image"),
            score("auroc", "macro", float("nan"), method="undefined: every image is of normal"),
        ]
    )
    assert "F1, macro over 2 classes 0.900" in text
    assert "Averages are over COVID-19 and normal: no test image is of pneumonia." in text
    assert "AUROC, macro – undefined: every image is of normal" in text
    assert "nan" not in text
    assert "over 2 classes" not in ended([score("f1", "macro", 0.9)])


def test_the_terminal_says_that_images_count_as_patients() -> None:
    unknown = score("accuracy", "overall", 0.9, method="wilson, patients unknown")
    assert "images of unknown patients as patients of their own" in ended([unknown])
    assert "unknown patients" not in ended([score("accuracy", "overall", 0.9, method="wilson")])


def test_what_is_no_replication_stands_above_the_published_numbers() -> None:
    said = "Not a replication: network ResNet18 → EfficientNet-Lite0, because of --quick."
    row = Published("Table 1", "accuracy", "overall", 0.98, 0.97, 0.95, 0.99, True)
    text = ended([], published=[row], replication=said)
    assert text.index(said) < text.index("Published and measured") < text.index("within our")
    assert "agrees" not in text
    assert "Not a replication" not in ended([], replication=said)  # nothing to be taken for one


def test_a_difference_that_is_undefined_is_no_small_p() -> None:
    from hilum.cli import compare

    assert compare._figure(float("nan")) == "–"
    assert compare._p(float("nan")) == "–"
    assert compare._p(0.0004) == "< 0.001"
    assert compare._p(0.04) == "0.040"


@pytest.mark.parametrize("width", [12, 80])
def test_a_column_without_name_or_content_is_no_fault(width: int) -> None:
    text = tables.plain("T", ("score", ""), [("a long name of a score", "")], width)
    assert "score" in text
    out = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    Terminal(out=out).table("T", ("score", ""), [("a long name of a score", "")])
    assert "score" in out.file.getvalue()
