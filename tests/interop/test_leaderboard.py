"""`hilum compare` with three runs or more: one table, best first."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from hilum.cli.main import app
from hilum.experiment import leaderboard
from hilum.types import MissingError


def copied(run: Path, to: Path, accuracy: float | None, verdict: str = "Good.") -> Path:
    """A finished run whose headline figure and verdict are others."""
    to.mkdir()
    shutil.copy(run / "predictions.csv", to)
    results = json.loads((run / "results.json").read_text())
    for row in results["scores"]:
        if (row["name"], row["class"]) == ("accuracy", "overall"):
            row |= {"value": accuracy, "low": 0.1, "high": 0.9}
    (to / "results.json").write_text(json.dumps(results | {"verdict": verdict}))
    return to


@pytest.fixture
def runs(out: Path, tmp_path: Path) -> list[Path]:
    values = {"middle": 0.7, "none": None, "best": 0.8}
    return [copied(out, tmp_path / name, value) for name, value in values.items()]


def test_runs_are_ranked_by_the_first_headline_with_their_intervals(runs: list[Path]) -> None:
    board = leaderboard.rank_runs(runs)
    assert [Path(row.run).name for row in board.standings] == ["best", "middle", "none"]
    first = board.standings[0]
    assert (first.figures[0].value, first.figures[0].low, first.figures[0].high) == (0.8, 0.1, 0.9)
    table = pd.read_csv(runs[0] / "predictions.csv")
    assert first.images == table["sample_id"].nunique()
    assert any("same images" in note for note in board.notes)


def test_other_test_images_and_other_classes_are_said(runs: list[Path]) -> None:
    table = pd.read_csv(runs[0] / "predictions.csv")
    table.iloc[1:].to_csv(runs[0] / "predictions.csv", index=False)
    notes = leaderboard.rank_runs(runs).notes
    assert any("different images" in note for note in notes)
    assert not any("different classes" in note for note in notes)
    results = json.loads((runs[0] / "results.json").read_text())
    renamed = results | {"classes": ["normal", "pneumonia"]}
    (runs[0] / "results.json").write_text(json.dumps(renamed))
    (runs[0] / "predictions.csv").unlink()
    assert any("different classes" in note for note in leaderboard.rank_runs(runs).notes)


def test_a_folder_without_a_run_is_named(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"got '.*' without results.json"):
        leaderboard.rank_runs([*runs, tmp_path])


def test_the_command_prints_the_table(
    runs: list[Path], capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(runs[0].parent)
    app(["compare", *(run.name for run in runs)], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    ranked = [line for line in lines if "Good." in line]
    assert [line.split()[0] for line in ranked] == ["1", "2", "3"]
    assert "best" in ranked[0]
    assert "0.800 (0.100–0.900)" in ranked[0]
    assert "–" in ranked[2]
    app(["compare", *(run.name for run in runs), "--json"], standalone_mode=False)
    board = json.loads(capsys.readouterr().out)
    assert [row["figures"][0]["value"] for row in board["standings"]] == [0.8, 0.7, None]
    assert "Research use only" in board["notice"]
