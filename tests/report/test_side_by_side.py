"""Two runs on one page: the numbers of both, the differences of the comparison, no path."""

import json
from pathlib import Path

import pandas as pd
import pytest

from conftest import Built, Page
from hilum.experiment.compare import Comparison, compare_runs
from hilum.report import run_folder, side_by_side
from hilum.report.wording import interval, number
from hilum.types import HilumError


@pytest.fixture(scope="module")
def other(study: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run with its second cell chosen, a setting and an audit changed."""
    folder = tmp_path_factory.mktemp("other") / "second run"
    folder.mkdir()
    record = json.loads((study.folder / "results.json").read_text())
    record["model"]["cell"] = "vgg16/frozen"
    record["verdict"] = "Another verdict <b>."
    record["audits"][0]["status"] = "fail"
    del record["audits"][1]
    (folder / "results.json").write_text(json.dumps(record))
    (folder / "recipe.toml").write_text('name = "x"\n[train]\nbalance = "weights"\n')
    table = pd.read_csv(study.folder / "predictions.csv")
    table.iloc[:-9].to_csv(folder / "predictions.csv", index=False)  # of the second cell
    return folder


@pytest.fixture(scope="module")
def compared(study: Built, other: Path) -> tuple[Comparison, Page, str]:
    target = other.parent / "pages" / "both.html"
    found = compare_runs(study.folder, other, target)
    text = target.read_text(encoding="utf-8")
    return found, Page(text), text


def test_the_numbers_are_those_of_both_runs_and_of_the_tests(
    study: Built, other: Path, compared: tuple[Comparison, Page, str]
) -> None:
    comparison, page, _ = compared
    assert page.faults == []
    assert comparison.images == 879 - 9
    runs = [json.loads((folder / "results.json").read_text()) for folder in (study.folder, other)]
    visited = 0
    for difference in comparison.differences:
        scores = [
            next(
                (s for s in run["scores"] if s["cell"] == run["model"]["cell"]
                 and (s["name"], s["class"]) == (difference.name, difference.class_)), None,
            ) for run in runs
        ]  # fmt: skip
        if None in scores:
            continue
        line = side_by_side.score_tables.line(scores[0])
        row = next(row for row in page.tables if row[:2] == [line.name, line.class_])
        assert row[2:6:2] == [number(score["value"]) for score in scores]
        assert row[3:7:2] == [interval(score) for score in scores]
        assert row[6] == f"{difference.difference:+.3f}"
        assert row[7] == f"{difference.low:+.3f} to {difference.high:+.3f}"
        assert row[8] in (f"{difference.p_holm:.3f}", "< 0.001")
        visited += 1
    assert visited >= 10


def test_verdicts_settings_and_audits_stand_beside_each_other(
    study: Built, compared: tuple[Comparison, Page, str]
) -> None:
    _, page, text = compared
    first = json.loads((study.folder / "results.json").read_text())
    for words in (first["verdict"], "Another verdict <b>.", "First: study", "Second: second run"):
        assert words in page.text
    assert ["train.balance", "not recorded", "weights"] in page.tables
    assert not any(row[0] == "name" for row in page.tables)
    rows = {row[0]: row[1:] for row in page.tables}
    assert [cell.split(" ")[0] for cell in rows["Patients on both sides C-10"]] == ["Pass", "Fail"]
    assert rows["Source and label C-02"][1] == "–"
    assert str(study.folder.parent) not in text
    assert "<script" not in text


def test_a_page_takes_no_reports_place(study: Built, tmp_path: Path) -> None:
    run = run_folder.read_run(study.folder)
    pairing = side_by_side.Pairing(0, [], [])
    for taken, words in ((study.path, "the report of a run"), (tmp_path, "a folder")):
        with pytest.raises(HilumError, match=words):
            side_by_side.build_side_by_side((run, run), pairing, taken)
