"""`hilum train` with nothing but the images given: class folders, a CSV table, a DICOM tree."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import BAD, Run, Trained, write
from identifiers import differences
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from hilum.phantom import Phantom

NOTICE = "not for clinical use"


def finished(folder: Path) -> dict:
    assert (folder / "report.html").stat().st_size > 10_000
    assert NOTICE in (folder / "report.html").read_text().lower()
    assert (folder / "model" / "model.json").is_file()
    return json.loads((folder / "results.json").read_text())


def of_the_model(run: Path, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the seed and fold whose model the run has kept."""
    kept = json.loads((run / "results.json").read_text())["model"]
    return table[(table["seed"] == kept["seed"]) & (table["fold"] == kept["fold"])]


def predicts(hilum: Run, run: Path, images: Path, tmp_path: Path) -> pd.DataFrame:
    """The finished model gives its own fold's test predictions again, and the notice."""
    done = hilum("predict", run / "model", images, "--out", tmp_path / "preds.csv")
    assert done.code == 0, done.err
    assert NOTICE in done.out.lower()
    table = pd.read_csv(tmp_path / "preds.csv").set_index("path")
    own = of_the_model(run, pd.read_csv(run / "predictions.csv")).set_index("path")
    columns = [name for name in own if name.startswith("p_")]
    assert len(columns) == 2
    assert len(own) >= 5
    assert table.loc[own.index, columns].equals(own[columns])
    return table


def test_class_folders(hilum: Run, trained: Trained, tmp_path: Path) -> None:
    results = finished(trained.folder)
    assert len(list((trained.folder / "figures").glob("*.png"))) >= 8
    assert results["classes"] == ["covid19", "normal"]
    assert results["n"]["images"] == 40
    tested = pd.read_csv(trained.folder / "predictions.csv")
    assert sorted(tested["path"]) == sorted(set(tested["path"]))
    assert (len(tested), results["split"]["folds"]) == (40, 5)  # few images: each is tested once
    table = predicts(hilum, trained.folder, trained.data, tmp_path)
    assert len(table) == 40 + len(BAD)
    assert table["label"].isna().sum() == len(BAD)
    assert table["abstain"][table["label"].isna()].all()


def test_json_is_all_that_stands_on_stdout(trained: Trained) -> None:
    found = trained.done.json
    assert found["scores"] == json.loads((trained.folder / "results.json").read_text())["scores"]
    assert NOTICE in found["notice"].lower()
    assert found["out"] == str(trained.folder)
    assert trained.done.err == ""


def test_bad_files_are_left_out_counted_and_listed(trained: Trained) -> None:
    """Three damaged files and a note among 40 films; the run goes on without them."""
    left = pd.read_csv(trained.folder / "left_out.csv")
    for name in BAD:
        (why,) = left["reason"][left["what"].str.endswith(f"patient900_{name}")]
        assert why
    assert left["what"].str.endswith("notes.txt").sum() == 1
    assert trained.done.json["n"]["left_out"] == len(left) == 4
    told = trained.done.json["data"]["left_out"]
    assert sum(item["count"] for item in told) == 4


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
def test_a_table_whose_columns_are_named(hilum: Run, films: Phantom, tmp_path: Path) -> None:
    rows = ["Datei;Befund;Person;Haus"]
    for i, row in films.table.iterrows():
        write(tmp_path / "films" / f"FILE{i}.png", films.images[i])
        rows.append(f"FILE{i}.png;{row['label']};PERSON{row['patient_id']};HOUSE{row['source']}")
    (tmp_path / "befunde.csv").write_text("\n".join(rows))
    columns = {"path": "Datei", "label": "Befund", "patient": "Person", "source": "haus"}
    options = [word for role, name in columns.items() for word in (f"--{role}-column", name)]
    out = tmp_path / "run"
    done = hilum("train", tmp_path / "befunde.csv", "--out", out, *options)
    assert done.code == 0, done.err
    results = finished(out)
    assert results["n"]["patients"] == films.table["patient_id"].nunique()
    manifest = pd.read_parquet(out / "manifest.parquet")
    houses = {f"HOUSE{source}" for source in films.table["source"]}
    assert set(manifest["source"]) == houses
    marked = {"patient": "PERSON", "name": "FILE", "path": str(tmp_path), "hospital": "HOUSE"}
    assert differences(out, marked) == []  # docs/privacy.md
    predicts(hilum, out, tmp_path / "films", tmp_path)
    again = hilum("show", out / "recipe.toml", "--json").json
    assert again["data"][0]["columns"]["label"] == "Befund"


def save_dicom(path: Path, pixels: np.ndarray, patient: str) -> None:
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.SOPClassUID = DigitalXRayImageStorageForPresentation
    file.SOPInstanceUID = generate_uid()
    file.PatientID, file.Modality, file.ViewPosition = patient, "DX", "PA"
    file.PatientAge, file.PatientSex = "047Y", "F"
    file.Rows, file.Columns = pixels.shape
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated = file.BitsStored = 16
    file.HighBit, file.PixelRepresentation = 15, 0
    file.PixelData = (pixels.astype("<u2") * 257).tobytes()
    file["PixelData"].VR = "OW"
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save_as(path, enforce_file_format=True)


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
def test_a_dicom_tree(hilum: Run, films: Phantom, tmp_path: Path) -> None:
    for i, row in films.table.iterrows():
        save_dicom(
            tmp_path / "pacs" / row["label"] / f"{i}.dcm", films.images[i], row["patient_id"]
        )
    out = tmp_path / "run"
    done = hilum("train", tmp_path / "pacs", "--out", out, "-v")
    assert done.code == 0, done.err
    assert finished(out)["n"]["patients"] == films.table["patient_id"].nunique()
    manifest = pd.read_parquet(out / "manifest.parquet")
    assert set(manifest["view"]) == {"PA"}
    assert set(manifest["age"]) == {47.0}
    predicts(hilum, out, tmp_path / "pacs", tmp_path)
    # -v shows every score, and names each step on stderr (but features that the cache holds)
    assert "Matthews correlation" in done.out
    assert {"read headers", "decode and prepare", "folds of main"} <= set(done.err.splitlines())


RECIPE = """
name = "tiny"
title = "Two cells, one published number"
classes = ["covid19", "normal"]
[[data]]
phantom = { images = 32, size = 64, seed = 3 }
[model]
weights = "random"
[grid]
"train.balance" = ["weights", "none"]
"model.dropout" = [0.0, 0.5]  # which a head in closed form cannot have: those cells fail
[[published]]
where = "Table 1"
name = "accuracy"
value = 0.98
"""


def half_as_strong(trained: Trained, file: Path) -> Path:
    """The trained model's backbone with a weaker first layer, as a file of weights."""
    from safetensors.torch import load_file, save_file

    state = load_file(trained.folder / "model" / "backbone.safetensors")
    first = next(name for name in state if name.endswith("conv_stem.weight"))
    state[first] = state[first] * 0.5
    save_file(state, file)
    return file


@pytest.mark.usefixtures("brief")
def test_run_shows_cells_published_numbers_and_the_verdict(
    hilum: Run, trained: Trained, tmp_path: Path
) -> None:
    (tmp_path / "tiny.toml").write_text(RECIPE)
    weights = half_as_strong(trained, tmp_path / "mine.safetensors")
    done = hilum("run", tmp_path / "tiny.toml", "--out", tmp_path / "run", "--weights", weights)
    assert done.code == 0, done.err
    results = finished(tmp_path / "run")
    # `--weights FILE` is `model.weights=FILE`
    assert results["model"]["weights"] == "file mine.safetensors"
    assert results["model"]["weights_digest"] != trained.done.json["model"]["weights_digest"]
    section = {part.split("\n")[0]: part for part in done.out.strip().split("\n\n")}
    cells = section["Cells of the grid"]
    assert "balance=weights,dropout=0.0" in cells
    assert "balance=none,dropout=0.0" in cells
    assert cells.count("✓") == 1
    scores = section["Scores on test images"]
    assert len(scores.splitlines()) == 2 + 8, "the whole table is for -v"
    for name in ("Balanced accuracy", "F1, macro", "AUROC, macro", "Calibration error (ECE)"):
        assert scores.count(name) == 1, name
    measured = {(s["cell"], s["name"]): s["value"] for s in results["scores"]}
    accuracy = measured[results["model"]["cell"], "accuracy"]
    assert f"0.98     {accuracy:.3f}" in section["Published and measured"]
    failed = section["Cells that failed"]
    assert failed.count("dropout=0.5") == 2
    assert "choose optimiser adam" in " ".join(failed.split())  # on two lines
    rows = [line for line in section["Audits"].splitlines()[2:] if not line.startswith(" ")]
    assert len(rows) == len(results["audits"])  # a long sentence goes on below
    assert results["verdict"] in section
    assert str(tmp_path / "run" / "report.html") in done.out
    assert NOTICE in done.out.lower()


@pytest.mark.slow
def test_demo(hilum: Run, tmp_path: Path) -> None:
    done = hilum("demo", "--out", tmp_path, "--json")
    assert done.code == 0, done.err
    assert finished(tmp_path)["classes"] == done.json["classes"]
