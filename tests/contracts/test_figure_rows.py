"""A row of the table of figures arrives in its section of the page, in recipes and in the docs."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from hilum import recipes, report
from hilum.experiment import validate
from hilum.report import style
from hilum.report.figures.base import SECTIONS, DrawnFigure, ReportFigure, Section
from hilum.report.figures.registry import FIGURES, asked_figures
from hilum.report.run_folder import RunFolder
from hilum.types import HilumError, Results

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"


def draw_kites(run: RunFolder) -> DrawnFigure | None:
    if not run.classes:
        return None
    figure = style.blank(2, 1)
    figure.subplots().plot([0, 1])
    data = pd.DataFrame({"kite": run.classes})
    return DrawnFigure(figure, data, "Kites, a line.", "Kites over the valley.")


ALWAYS = ReportFigure("kites", "Kites", "model", draw_kites, "wind")
ASKED = replace(ALWAYS, name="asked_kites", title="Kites of the study", asked_as="kites")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run of two classes, whose recipe asks for kites."""
    results = Results(
        recipe="r", mode="corrected", classes=["covid19", "normal"], n={}, scores=[],
        published=[], audits=[], verdict="A verdict.", environment={}, data={}, split={},
        model={}, limits=[],
    )  # fmt: skip
    (tmp_path / "results.json").write_text(json.dumps(results.as_json()))
    (tmp_path / "recipe.toml").write_text('figures = ["kites"]')
    return tmp_path


def section_of(page: str, anchor: str) -> str:
    begin = page.index(f'<section id="{anchor}"')
    return page[begin : page.index("</section>", begin)]


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("row", [ALWAYS, ASKED])
def test_a_row_arrives_in_its_section(
    section: Section, row: ReportFigure, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FIGURES, row.name, replace(row, section=section))
    page = report.build_report(run).read_text(encoding="utf-8")
    shown = section_of(page, section)
    assert page.count("Kites over the valley.") == 1
    assert "Kites over the valley." in shown
    assert 'alt="Kites, a line."' in shown
    assert f"Data: figures/{row.name}.csv" in shown
    assert ("<h3>Kites of the study</h3>" in shown) is (row is ASKED)
    assert list(pd.read_csv(run / "figures" / f"{row.name}.csv")["kite"]) == ["covid19", "normal"]
    assert (run / "figures" / f"{row.name}.png").stat().st_size > 100


def test_a_row_that_cannot_be_drawn_is_absent_or_says_why(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = json.loads((run / "results.json").read_text()) | {"classes": []}
    (run / "results.json").write_text(json.dumps(results))
    for row in (ALWAYS, ASKED):
        monkeypatch.setitem(FIGURES, row.name, row)
    page = report.build_report(run).read_text(encoding="utf-8")
    assert section_of(page, "model").count("Not drawn: it needs wind.") == 1
    assert "over the valley" not in page
    assert not (run / "figures" / "kites.png").exists()


def test_a_recipe_may_ask_for_a_row_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "r.toml"
    file.write_text('name = "r"\nfigures = ["bars", "kites"]\n[[data]]\ncard = "cohen"\n')
    plan = recipes.load_recipe(str(file))
    with pytest.raises(HilumError, match=r"figures .* no figure 'kites'; known are curves, "):
        validate.check_recipe(plan)
    monkeypatch.setitem(FIGURES, ASKED.name, ASKED)
    assert not validate.check_recipe(plan)
    wrong = plan.model_copy(update={"figures": ["kits"]})
    with pytest.raises(HilumError, match="did you mean 'kites'"):
        validate.check_recipe(wrong)


def test_every_row_is_whole_and_listed() -> None:
    """The lists of docs/architecture.md are the table's; run this test to see what they lack."""
    text = PAGE.read_text(encoding="utf-8")
    for start, names in (
        ("Figures of every report: ", [r.name for r in FIGURES.values() if not r.asked_as]),
        ("Figures that a recipe asks for: ", [*asked_figures()]),
    ):
        (line,) = re.findall(rf"^{start}(.*)\.$", text, re.M)
        assert re.findall("`([^`]+)`", line) == names
    for name, row in FIGURES.items():
        assert row.name == name
        assert row.section in SECTIONS
        assert row.title
        assert row.needs
        assert row.draw.__name__ == f"draw_{row.draw.__module__.rpartition('.')[2]}"
    assert len(FIGURES) == 22
    assert len({row.draw for row in FIGURES.values()}) == 22
