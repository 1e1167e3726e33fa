"""The terminal and the JSON: a model's own images, its verdict, and what was not checked."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from command_line import Run, Trained, class_folders

from hilum import phantom


def flat(text: str) -> str:
    return " ".join(text.split())


def built_on(run: Path) -> set[str]:
    """Names of the images of training and validation, in the fold whose model the run keeps."""
    kept = json.loads((run / "results.json").read_text())["model"]
    split = pd.read_csv(run / "splits.csv")
    mine = split[(split["seed"] == kept["seed"]) & (split["fold"] == kept["fold"])]
    return set(mine["sample_id"][mine["part"] != "test"])


@pytest.mark.usefixtures("brief")
def test_evaluate_on_its_own_images_says_so_first(
    hilum: Run, trained: Trained, tmp_path: Path
) -> None:
    done = hilum("evaluate", trained.folder, trained.data, "--out", tmp_path / "e", "--resume")
    assert done.code == 0, done.err
    assert not (tmp_path / "e" / ".parts").exists()
    taught = len(built_on(trained.folder))
    assert 0 < taught < 40
    first = done.out.strip().splitlines()[0]
    assert first.startswith(f"{taught} of 40 images are no test of this model")
    assert flat(done.out).index("Verdict on this model") < flat(done.out).index("Scores on test")
    results = json.loads((tmp_path / "e" / "results.json").read_text())
    assert results["verdict"].startswith(f"{taught} of 40 images are no test of this model")
    assert results["split"]["checked"]["met_again"] == taught
    accuracy = [row for row in results["scores"] if row["name"] == "accuracy"]
    assert {row["n"] for row in accuracy} == {40 - taught}
    assert results["model"]["verdict"].startswith("Verdict on this model")


def test_predict_and_explain_carry_the_verdict_and_name_what_they_know(
    hilum: Run, trained: Trained, tmp_path: Path
) -> None:
    verdict = json.loads((trained.folder / "results.json").read_text())["verdict"]
    films = trained.data / "normal"
    shown = hilum("predict", trained.folder, films, "--out", tmp_path / "p.csv")
    assert flat("Verdict on this model (the run that made it") in flat(shown.out)
    assert flat(verdict) in flat(shown.out)
    assert "no test of this model" in shown.out
    assert "same file" in shown.out
    found = hilum("predict", trained.folder, films, "--out", tmp_path / "p.csv", "--json").json
    table = pd.read_csv(tmp_path / "p.csv", keep_default_na=False)
    assert list(table.columns[-4:]) == ["abstain", "reason", "seen", "new_source"]
    assert found["model"]["verdict"] == verdict
    assert found["seen"]["same file"] == (table["seen"] == "same file").sum() > 0
    assert set(table["seen"][table["label"] == ""]) == {""}  # could not be read
    one = next(films.glob("patient[0-8]*.png"))
    words = ("explain", trained.folder, one, "--out", tmp_path / "x")
    assert flat(verdict) in flat(hilum(*words).out)
    assert hilum(*words, "--json").json["model"]["verdict"] == verdict


@pytest.mark.slow
def test_a_folder_of_an_earlier_version_is_read_and_says_what_it_cannot(
    hilum: Run, model: Path, trained: Trained, tmp_path: Path
) -> None:
    for name in ("seen_patients.csv", "seen_films.csv", "seen.csv"):
        (model / name).unlink()
    record = json.loads((model / "model.json").read_text())
    for key in ("built_on", "judged", "digests"):
        del record[key]
    (model / "model.json").write_text(json.dumps(record))
    old = hilum("predict", model, trained.data, "--out", tmp_path / "old.csv")
    assert old.code == 0, old.err
    assert "Not checked for files" in flat(old.out)
    assert "Not checked for patients" in flat(old.out)
    assert "not recorded, because an earlier version made its folder" in flat(old.out)
    hilum("predict", trained.folder, trained.data, "--out", tmp_path / "new.csv")
    tables = [
        pd.read_csv(tmp_path / name, keep_default_na=False) for name in ("old.csv", "new.csv")
    ]
    assert tables[0].drop(columns="seen").equals(tables[1].drop(columns="seen"))
    assert set(tables[0]["seen"]) == {""}
    assert "same file" in set(tables[1]["seen"])


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
def test_compare_and_audit_take_either_folder(hilum: Run, trained: Trained, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained.folder, tmp_path / "run"))
    for name in (run, run / "model"):
        assert hilum("compare", name, trained.folder, "-q").code == 0
        done = hilum("audit", name, "--out", tmp_path / "a", "--json")
        assert done.code == 0, done.err
        assert done.json["title"] != "Audit of a model without images"
        assert any(row["status"] != "unknown" for row in done.json["audits"])


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("by_table", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_evaluate_takes_one_class_alone(
    hilum: Run, trained: Trained, tmp_path: Path, by_table: bool
) -> None:
    """Films of one finding alone have a sensitivity; the AUROC, which needs two, is undefined."""
    others = phantom.generate(phantom.Request(images=70, size=96, seed=91))
    data = class_folders(others, tmp_path / "films")
    shutil.rmtree(data / "normal")
    if by_table:
        rows = [f"{path.relative_to(data)},covid19" for path in sorted(data.rglob("*.png"))]
        data = data / "t.csv"
        data.write_text("\n".join(["path,label", *rows]) + "\n")
    done = hilum("evaluate", trained.folder, data, "--out", tmp_path / "e")
    assert done.code == 0, done.err
    results = json.loads((tmp_path / "e" / "results.json").read_text())
    scores = {(row["name"], row["class"]): row for row in results["scores"]}
    assert {row["value"] for (name, _), row in scores.items() if name == "auroc"} == {None}
    assert scores["sensitivity", "covid19"]["n"] > 30
    assert 0 <= scores["sensitivity", "covid19"]["value"] <= 1
    assert results["verdict"].startswith("Only one class was tested")
    assert any("All test images are of covid19. AUROC" in limit for limit in results["limits"])
    assert "nan" not in done.out
    assert hilum("train", data, "--out", tmp_path / "t").code == 2
