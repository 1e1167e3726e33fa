"""A tree as an archive exports it and a table of labels elsewhere: scan, train and evaluate."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
from command_line import Run

from hilum.phantom import Phantom

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "data"))

from exported import Export, export


@pytest.fixture(scope="module")
def pacs(films: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """The 40 films, one a patient but for one, of two hospitals. Not to be changed."""
    houses = [f"Hospital {'NS'[i % 3 > 0]}" for i in range(len(films.table))]
    home = tmp_path_factory.mktemp("archive") / "EXPORT"
    return export(home, list(films.images), list(films.table["label"]), InstitutionName=houses)


@pytest.mark.parametrize("command", [("data", "scan"), ("train",)])
def test_folders_of_patients_are_no_classes(
    hilum: Run, pacs: Export, tmp_path: Path, command: tuple[str, ...]
) -> None:
    out = () if command == ("data", "scan") else ("--out", tmp_path / "run")
    done = hilum(*command, pacs.home, *out)
    assert done.code == 2
    assert "the folders look like patients" in done.err
    assert "--labels CSV" in done.err
    assert not (tmp_path / "run").exists()


def test_scan_with_labels(hilum: Run, pacs: Export, tmp_path: Path) -> None:
    rows = range(1, 38)
    table = pacs.csv(tmp_path / "ris.csv", "AccessionNumber", "label", rows=rows)
    done = hilum("data", "scan", pacs.home, "--labels", table, "--json")
    found = done.json
    assert found["images"] == len(rows)
    assert found["patients"] == len(rows)
    assert found["classes"] == pacs.truth["label"].iloc[1:38].value_counts().to_dict()
    assert len(found["sources"]) == 2
    assert "Hospital" not in done.out
    (item,) = [item for item in found["left_out"] if "no label in ris.csv" in item["reason"]]
    assert item["what"].count("IMG00001") == 3
    named = hilum(
        "data", "scan", pacs.home, "--labels", table, "--json", "--source-tag", "InstitutionName"
    )
    assert set(named.json["sources"]) == {"Hospital N", "Hospital S"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--labels", "gone.csv"), "gone.csv', no such file"),
        (("--source-tag", "InstitutionNme"), "did you mean 'InstitutionName'"),
        (("--source-tag", "StationName", "--source-column", "x"), "leave one out"),
    ],
)
def test_options_that_lead_nowhere(
    hilum: Run, pacs: Export, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    table = pacs.csv(tmp_path / "l.csv", "path", "label")
    given = options if "--labels" in options else (*options, "--labels", table)
    for command in (("data", "scan"), ("train",)):
        out = () if command == ("data", "scan") else ("--out", tmp_path / "run")
        done = hilum(*command, pacs.home, *out, *given)
        assert done.code == 2
        assert words in done.err


@pytest.mark.usefixtures("brief")
def test_from_a_tree_and_a_table_to_a_tested_model(
    hilum: Run, pacs: Export, tmp_path: Path
) -> None:
    table = pacs.csv(tmp_path / "ris.csv", "StudyInstanceUID", "label")
    out = tmp_path / "run"
    done = hilum("train", pacs.home, "--labels", table, "--out", out)
    assert done.code == 0, done.err
    results = json.loads((out / "results.json").read_text())
    assert results["n"]["images"] == len(pacs.truth)
    assert results["n"]["patients"] == len(pacs.truth) - 1
    manifest = pd.read_parquet(out / "manifest.parquet")
    below = [Path(path).relative_to(pacs.home).as_posix() for path in manifest["path"]]
    wanted = dict(zip(pacs.truth["path"], pacs.truth["label"], strict=True))
    assert dict(zip(below, manifest["label"], strict=True)) == wanted
    assert manifest["source"].nunique() == 2
    report = (out / "report.html").read_text()
    assert "InstitutionName (2 different)" in report
    assert "Hospital N" not in report
    data = hilum("show", out / "recipe.toml", "--json").json["data"][0]
    assert data["labels"] == str(table)

    again = pacs.csv(tmp_path / "other.csv", "path", "label").rename(tmp_path / "named.csv")
    again.write_text(again.read_text().replace("path,label", "Datei,Befund", 1))
    done = hilum(
        "evaluate", out / "model", pacs.home, "--out", tmp_path / "test", "--labels", again,
        "--path-column", "Datei", "--label-column", "befund",
    )  # fmt: skip
    assert done.code == 0, done.err
    tested = pd.read_csv(tmp_path / "test/predictions.csv")
    every = pd.read_csv(out / "predictions.csv")  # of five folds, and one's model is kept
    unseen = every[every["fold"] == results["model"]["fold"]]
    assert 0 < len(unseen) < len(pacs.truth)
    assert set(tested["path"]) == set(unseen["path"])
    assert (tested.set_index("path")["label"] == unseen.set_index("path")["label"]).all()


def test_twins_are_looked_for_without_labels(hilum: Run, pacs: Export, tmp_path: Path) -> None:
    """`data leaks` needs no classes: a tree by patient is one of its sides as it stands."""
    table = pacs.csv(tmp_path / "l.csv", "path", "label", rows=range(5))
    table.write_text(table.read_text().replace("\n0", f"\n{pacs.home}/0"))
    done = hilum("data", "leaks", pacs.home, table, "--json")
    assert done.code == 0, done.err
    inside, _ = done.json["sets"]
    assert (inside["images"], inside["labels_differ"]) == (len(pacs.truth), 0)
    assert done.json["between"][0]["counts"]["same bytes"] == 5
