"""What a report says where it is passed on: no path of the machine, no false replication."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from conftest import Built, build
from hilum.report import render, run_folder
from hilum.report.wording import without_paths

HOME = "/home/dr smith/chest films"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("hilum train /srv/pacs/films --out /mnt/x/run", "hilum train …/films --out …/run"),
        ("--data=/srv/pacs/films", "--data=…/films"),
        ("see /a/b/c.png, and (/data/x/y.csv).", "see …/c.png, and (…/y.csv)."),
        (f"{HOME}/a.png and {HOME}", "…/chest films/a.png and …/chest films"),
        (r"C:\Users\x\films D:/a/b \\server\share\f.png", "…/films …/b …/f.png"),
        ("'/a/b': not found", "'…/b': not found"),
    ],
)
def test_paths_are_cut_to_their_last_part(words: str, shown: str) -> None:
    assert without_paths(words, [HOME]) == shown


@pytest.mark.parametrize(
    "words",
    [
        "https://doi.org/10.1177/0272989X06295361 doi:10.1/2/3",
        "PA/AP and/or 0.9 / 0.8 (0.2/0.3), 5/8 of 1/n",
        "train/covid19/a.png, ../b/c.png, n = 3 / 4",
        "SHA-256 and image/png;base64",
    ],
)
def test_what_is_no_absolute_path_stays(words: str) -> None:
    assert without_paths(words) == words


def planted(run: Path) -> Path:
    """A run folder whose every free text names a path of the machine."""
    record: dict[str, Any] = json.loads((run / "results.json").read_text())
    folder_ = "/home/jane/pacs/export"
    record["environment"]["command"] = f"hilum train '{HOME}' --out {folder_}/out"
    record["verdict"] += f" See {folder_}/a.png."
    record["model"]["weights"] = f"{folder_}/w.safetensors"
    record["limits"].append(f"No gate was fitted, as {folder_}/b.png is damaged.")
    record["split"].setdefault("notes", []).append(f"Split by {folder_}/split.csv.")
    record["audits"][0]["sentence"] += f" ({folder_}/c.png)"
    record["data"]["left_out"] = [{"what": f"{folder_}/d.png", "reason": f"{folder_} is full"}]
    (run / "results.json").write_text(json.dumps(record))
    (run / "recipe.toml").write_text(f"[[data]]\npath = {json.dumps(HOME)}\n")
    return run


@pytest.mark.usefixtures("undrawn")
def test_no_absolute_path_is_in_a_report(copied: Path) -> None:
    built = build(planted(copied))
    text = built.readable
    assert "/home/" not in text
    assert "jane" not in text
    assert "dr smith" not in text
    assert str(copied) not in text
    assert "hilum train &#39;…/chest films&#39; --out …/out" in text
    assert "https://" in text or "doi:" in text
    assert render.roots(run_folder.read_run(copied)) == [str(copied.resolve()), HOME]


@pytest.mark.usefixtures("undrawn")
def test_what_is_no_replication_says_so_above_the_published_numbers(copied: Path) -> None:
    record = json.loads((copied / "results.json").read_text())
    said = "Not a replication: network ResNet18 → EfficientNet-Lite0, because of --quick."
    record["replication"] = said
    (copied / "results.json").write_text(json.dumps(record))
    text = build(copied).page.text
    table = text.index("Figure Where Published Measured")
    heading = text.rindex("Published and measured", 0, table)
    assert heading < text.index(said) < table
    assert "Within our interval" in text[table : table + 200]
    assert "Agrees" not in text


def test_no_absolute_path_is_in_the_data_of_a_figure(study: Built) -> None:
    visited = 0
    for path in (study.folder / "figures").glob("*.csv"):
        text = path.read_text()
        assert str(study.folder.parent) not in text, path.name
        visited += 1
    assert visited >= 8
    worst = pd.read_csv(study.folder / "figures" / "worst_errors.csv")
    assert set(worst["path"]) == {name.rpartition("/")[2] for name in worst["path"]}
