"""The scripts of examples/ run as their first lines say, on small films."""

import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples"
RECIPE = """
name = "mine"
classes = ["covid19", "normal"]
data = [{ phantom = { images = 40, size = 96, seed = 3 } }]
published = [{ where = "Table 1", name = "accuracy", class = "overall", value = 0.98 }]
[quick.grid]
"train.balance" = ["none", "weights"]
"""
# script -> its words, and what it prints among other things
SCRIPTS = {
    "predict_one_film.py": ("out film.png heat.png", "Research use only. Not for clinical use."),
    "train_and_test_elsewhere.py": (
        "films other_hospital both",
        "elsewhere: Too few test images",
    ),
    "explain_one_film.py": ("out film.png maps", "normal: p = "),
    "audit_a_run.py": ("out examined", "C-02 "),
    "rerun_a_study.py": ("mine.toml study", "Table 1, accuracy of overall: 0.980 in print"),
}


def test_every_script_is_run() -> None:
    elsewhere = ["ask_a_server.py", "exported_model.py"]  # in tests/serve and tests/exporting
    assert sorted(path.name for path in FOLDER.glob("*.py")) == sorted([*SCRIPTS, *elsewhere])


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_script_runs(
    name: str, at_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (at_home / "mine.toml").write_text(RECIPE)
    words, said = SCRIPTS[name]
    assert f"python examples/{name} " in (FOLDER / name).read_text()
    monkeypatch.setattr(sys, "argv", [name, *words.split()])
    runpy.run_path(str(FOLDER / name), run_name="__main__")
    assert said in capsys.readouterr().out
    for made in ("heat.png", "maps/normal.png"):
        if made.partition("/")[0] in words.split():
            assert (at_home / made).is_file()
