"""A model is shown what it was built on: set aside, counted, or said to be unchecked."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

import brevity
from hilum import experiment, recipes
from hilum.experiment import audit, compare, predict
from hilum.experiment.answering import BLOCK
from hilum.experiment.spread import Spread
from hilum.inference import model_folder, model_json, unchanged
from hilum.types import Finding, Grey8, MissingError, Results

COUNT, PEOPLE = 60, 30
NEW = 10  # images of people whom the model has not met


def silent(name: str):
    return lambda done, total: None


def film(seed: int, sick: int) -> Grey8:
    """(96, 96) of rough random grey levels, brighter below where it is sick."""
    rough = np.random.default_rng(seed).integers(0, 200, (12, 12)).astype(np.float32)
    rough[8:] += 55 * sick
    return np.asarray(cv2.resize(rough, (96, 96), interpolation=cv2.INTER_LINEAR), np.uint8)


def table(folder: Path, rows: list[tuple[int, str]], name: str = "t.csv", source: str = "") -> Path:
    """Films by seed, each with its patient ("" for unknown), and the table that lists them."""
    (folder / "im").mkdir(parents=True, exist_ok=True)
    lines = []
    for seed, patient in rows:
        path = folder / "im" / f"{seed:04d}.png"
        assert cv2.imwrite(str(path), film(seed, seed % 2))
        label = ("normal", "sick")[seed % 2]
        lines.append(f"im/{path.name},{label},{patient}" + (f",{source}" if source else ""))
    head = "image,label,patient_id" + (",source" if source else "")
    (folder / name).write_text("\n".join([head, *lines]) + "\n")
    return folder / name


@dataclass(frozen=True)
class Made:
    """A finished run, and the table that it was made of."""

    out: Path
    data: Path
    results: Results

    @property
    def taught(self) -> pd.DataFrame:
        """Rows of training and validation, in the fold whose model was kept."""
        split = pd.read_csv(self.out / "splits.csv")
        mine = split[(split["seed"] == self.kept["seed"]) & (split["fold"] == self.kept["fold"])]
        whole = pd.read_parquet(self.out / "manifest.parquet")
        return whole[whole["sample_id"].isin(mine["sample_id"][mine["part"] != "test"])]

    @property
    def kept(self) -> dict[str, int]:
        """Cell, seed and fold of the model, as `results.json` has them."""
        return json.loads((self.out / "results.json").read_text())["model"]


def trained(home: Path, people: bool = True) -> Made:
    rows = [(i, f"{i % PEOPLE:03d}" if people else "") for i in range(COUNT)]
    data = table(home / "first", rows)
    network = ["model.backbone=test_efficientnet", "model.weights=random", "prepare.side=96"]
    plan = recipes.load_recipe("default", changes=[f'data=[{{path="{data}"}}]', *network])
    return Made(home / "run", data, experiment.run_recipe(plan, None, home / "run", silent))


@pytest.fixture(scope="module", autouse=True)
def short() -> Iterator[None]:
    with brevity.audits_of_tables(), brevity.no_figures():
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return trained(tmp_path_factory.mktemp("made"))


@pytest.fixture
def own(made: Made, tmp_path: Path) -> Made:
    """A copy that a test may change."""
    return replace(made, out=Path(shutil.copytree(made.out, tmp_path / "copy")))


def finding(results: Results, name: str) -> Finding:
    return next(one for one in results.audits if one.id == name)


def numbers(made: Made) -> list[str]:
    """Patient numbers of training and validation, as the table has them."""
    return sorted({name.partition(":")[2] for name in made.taught["patient_id"]})


def test_the_folder_says_what_it_was_built_on_and_how_it_was_judged(made: Made) -> None:
    record = json.loads((made.out / "model" / "model.json").read_text())
    taught = made.taught
    assert record["built_on"]["images"] == len(taught)
    assert record["built_on"]["patients"] == taught["patient_id"].nunique()
    assert record["built_on"]["images_without_patient"] == 0
    films = pd.read_csv(made.out / "model" / "seen_films.csv")
    assert sorted(films["sha256"]) == sorted(taught["sha256"])
    parts = unchanged.digests_of(made.out / "model", model_folder.FILES)
    assert record["digests"]["files"] == parts
    assert len(parts) == 6  # with the gate and the record of films, which are written later
    assert record["judged"]["verdict"] == made.results.verdict
    failed = [one.id for one in made.results.audits if one.status == "fail"]
    assert [name[:4] for name in record["judged"]["failed"]] == failed


def test_of_several_folds_the_models_own_counts(made: Made, tmp_path: Path) -> None:
    """The fold's test images are the only ones of the run that its model has not met."""
    every = pd.read_csv(made.out / "predictions.csv")
    assert (every["fold"].nunique(), len(every)) == (5, COUNT)
    mine = every[every["fold"] == made.kept["fold"]].set_index("path")
    tested = experiment.evaluate_model(made.out, made.data, tmp_path / "o", silent)
    assert tested.split["checked"]["met_again"] == COUNT - len(mine)
    spread = Spread(resume=True, size=BLOCK)  # in shards: the same bytes
    again = experiment.evaluate_model(made.out, made.data, tmp_path / "p", silent, spread=spread)
    assert replace(again, environment={}) == replace(tested, environment={})
    timed = {"results.json", "report.html"}
    first, second = (
        {
            path.relative_to(out): path.read_bytes()
            for path in out.rglob("*")
            if path.is_file() and path.name not in timed
        }
        for out in (tmp_path / "o", tmp_path / "p")
    )
    assert first == second
    assert Path("predictions.csv") in first
    again = pd.read_csv(tmp_path / "o" / "predictions.csv").set_index("path")
    assert set(again.index) == set(mine.index)
    names = ["p_normal", "p_sick"]
    assert again.loc[mine.index, names].equals(mine[names])  # to the last digit
    others = every[every["fold"] != made.kept["fold"]]
    found = predict.predict_files(made.out, [made.data.parent], tmp_path / "p.csv", silent)
    seen = found.table.set_index("path")["seen"]
    assert set(seen[others["path"]]) == {"same file"}
    assert set(seen[mine.index]) == {""}


def test_new_films_of_its_patients_are_no_test(made: Made, tmp_path: Path) -> None:
    known = numbers(made)
    rows = [(1000 + i, name) for i, name in enumerate(known)]
    rows += [(2000 + i, f"n{i}") for i in range(NEW)]
    tested = experiment.evaluate_model(
        made.out, table(tmp_path / "second", rows), tmp_path / "o", silent
    )
    assert finding(tested, "C-10").status == "fail"
    assert finding(tested, "C-10").value == len(known)
    assert finding(tested, "C-11").status == "pass"
    assert tested.verdict.startswith(
        f"{len(known)} of {len(rows)} images are no test of this model"
    )
    accuracy = next(score for score in tested.scores if score.name == "accuracy")
    assert accuracy.n == NEW
    assert tested.split["checked"]["same_patient"] == len(known)
    predicted = pd.read_csv(tmp_path / "o" / "predictions.csv")
    assert set(predicted["patient_id"]) == {f"table:n{i}" for i in range(NEW)}
    left_out = pd.read_csv(tmp_path / "o" / "left_out.csv")
    assert left_out["reason"].str.contains("of a patient that the model was built on").sum() == len(
        known
    )
    page = (tmp_path / "o" / "report.html").read_text()
    assert "are no test of this model" in page
    assert "No image, patient or near duplicate was found on both sides" not in page


def test_other_patients_pass(made: Made, tmp_path: Path) -> None:
    data = table(tmp_path / "second", [(2000 + i, f"n{i}") for i in range(NEW)])
    tested = experiment.evaluate_model(made.out, data, tmp_path / "o", silent)
    assert [finding(tested, name).status for name in ("C-10", "C-11")] == ["pass", "pass"]
    assert "no test of this model" not in tested.verdict
    assert tested.split["checked"]["not_checked"] == []
    assert tested.split["leaks"] == []


def test_patients_are_known_again_however_they_are_written(made: Made, tmp_path: Path) -> None:
    """A spreadsheet drops zeros; a DICOM header pads; the same numbers in a tree of headers."""
    plain = [str(int(name)) for name in numbers(made)]
    data = table(tmp_path / "second", [(1000 + i, name) for i, name in enumerate(plain)])
    tested = experiment.evaluate_model(made.out, data, tmp_path / "o", silent)
    assert tested.split["checked"]["same_patient"] == len(plain)
    path = dicom(tmp_path / "a.dcm", numbers(made)[0] + " ")
    found = predict.predict_files(made.out, [path], tmp_path / "p.csv", silent)
    assert list(found.table["seen"]) == ["same patient"]
    other = predict.predict_files(made.out, [dicom(path, "none")], tmp_path / "p.csv", silent)
    assert list(other.table["seen"]) == [""]
    assert other.cautions.notes == []


def dicom(path: Path, patient: str) -> Path:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = pydicom.uid.generate_uid()
    data.PatientID, data.Modality = patient, "DX"
    data.Rows = data.Columns = 96
    data.BitsAllocated, data.BitsStored, data.HighBit = 8, 8, 7
    data.SamplesPerPixel, data.PixelRepresentation = 1, 0
    data.PhotometricInterpretation = "MONOCHROME2"
    data.PixelData = film(5000, 0).tobytes()
    data.save_as(path, enforce_file_format=True)
    return path


def test_where_none_is_left_there_is_no_score(made: Made, tmp_path: Path) -> None:
    part = made.taught[["path", "label", "patient_id"]]
    part.assign(patient_id=part["patient_id"].str[6:]).to_csv(tmp_path / "mine.csv", index=False)
    tested = experiment.evaluate_model(made.out, tmp_path / "mine.csv", tmp_path / "o", silent)
    assert tested.scores == []
    assert tested.verdict.startswith(f"None of the {len(part)} images tests this model")
    assert finding(tested, "C-11").status == finding(tested, "C-10").status == "fail"
    assert {finding(tested, name).status for name in ("C-02", "C-03")} == {"unknown"}
    assert (tmp_path / "o" / "report.html").is_file()
    json.loads((tmp_path / "o" / "results.json").read_text())


def test_saved_anew_and_smaller_it_is_still_the_film(made: Made, tmp_path: Path) -> None:
    """No patient is known, and no file is the same."""
    for i, row in enumerate(made.taught.itertuples()):
        home = tmp_path / "copies" / str(row.label)
        home.mkdir(parents=True, exist_ok=True)
        whole = cv2.imread(str(row.path), cv2.IMREAD_GRAYSCALE)
        small = cv2.resize(whole, (80, 80), interpolation=cv2.INTER_AREA)
        assert cv2.imwrite(str(home / f"{i}.jpg"), small, (cv2.IMWRITE_JPEG_QUALITY, 85))
    tested = experiment.evaluate_model(made.out, tmp_path / "copies", tmp_path / "o", silent)
    count = len(made.taught)
    assert tested.split["checked"]["near_duplicate"] == count
    assert tested.split["checked"]["same_file"] == 0
    assert finding(tested, "C-11").value == count
    found = experiment.predict_files(made.out, [tmp_path / "copies"], tmp_path / "p.csv", silent)
    table = found.table
    assert set(table["seen"]) == {"near duplicate"}


@pytest.mark.parametrize("side", [pytest.param("model", marks=pytest.mark.slow), "data"])
def test_where_patients_are_unknown_nothing_passes(made: Made, tmp_path: Path, side: str) -> None:
    run = trained(tmp_path / "nameless", people=False) if side == "model" else made
    patient = "" if side == "data" else "n"
    data = table(tmp_path / "second", [(2000 + i, patient and f"n{i}") for i in range(NEW)])
    tested = experiment.evaluate_model(run.out, data, tmp_path / "o", silent)
    assert finding(tested, "C-10").status == "unknown"
    assert "are unknown" in finding(tested, "C-10").sentence
    assert finding(tested, "C-11").status == "pass"
    page = (tmp_path / "o" / "report.html").read_text()
    assert "No image, patient or near duplicate" not in page
    assert "Not checked for patients" in page
    if side == "model":
        page = (run.out / "report.html").read_text()
        assert "Images checked; patients unknown, not checked." in page
        assert "No image, patient or near duplicate" not in page


LATER = ("judged", "built_on", "digests")  # keys of model.json that came later


@pytest.mark.slow
def test_a_folder_of_an_earlier_version_answers_alike_and_passes_nothing(
    own: Made, made: Made, tmp_path: Path
) -> None:
    folder = own.out / "model"
    for name in ("seen_patients.csv", "seen_films.csv"):
        (folder / name).unlink()
    record = json.loads((folder / "model.json").read_text())
    old = {key: value for key, value in record.items() if key not in LATER}
    (folder / "model.json").write_text(json.dumps(old))
    data = table(tmp_path / "second", [(2000 + i, f"n{i}") for i in range(NEW)])
    films = [data.parent / "im"]
    first = predict.predict_files(made.out, films, tmp_path / "a.csv", silent)
    second = predict.predict_files(folder, films, tmp_path / "b.csv", silent)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert "not recorded" in second.cautions.verdict
    assert second.cautions.met == ""
    assert sum("Not checked for" in note for note in second.cautions.notes) == 2
    assert "not recorded" not in first.cautions.verdict
    tested = experiment.evaluate_model(folder, data, tmp_path / "o", silent)
    assert [finding(tested, name).status for name in ("C-10", "C-11")] == ["unknown", "unknown"]
    assert "an earlier version" in finding(tested, "C-10").sentence
    again = experiment.evaluate_model(
        folder, own.data, tmp_path / "p", silent
    )  # files it has always known
    assert finding(again, "C-11").value == len(made.taught)
    assert again.verdict.startswith(f"{len(made.taught)} of {COUNT} images are no test")


@pytest.mark.slow
def test_equal_numbers_of_another_hospital_are_other_people_and_warn(tmp_path: Path) -> None:
    home = tmp_path / "a"
    data = table(home / "first", [(i, f"{i % PEOPLE:03d}") for i in range(COUNT)], source="A")
    network = ["model.backbone=test_efficientnet", "model.weights=random", "prepare.side=96"]
    plan = recipes.load_recipe("default", changes=[f'data=[{{path="{data}"}}]', *network])
    experiment.run_recipe(plan, None, home / "run", silent)
    rows = [(3000 + i, f"{i:03d}") for i in range(PEOPLE)]
    for source, status in (("B", "warn"), ("A", "fail")):
        data = table(tmp_path / source, rows, source=source)
        tested = experiment.evaluate_model(home / "run", data, tmp_path / f"o{source}", silent)
        assert finding(tested, "C-10").status == status
        assert (tested.split["checked"]["same_patient"] > 0) is (status == "fail")


@pytest.mark.slow
def test_a_run_and_its_model_folder_are_one_to_every_command(
    own: Made, made: Made, tmp_path: Path
) -> None:
    data = table(tmp_path / "second", [(2000 + i, f"n{i}") for i in range(NEW)])
    told = []
    for k, name in enumerate((own.out, own.out / "model")):
        experiment.predict_files(name, [data.parent / "im"], tmp_path / f"{k}.csv", silent)
        experiment.explain_files(
            name,
            [data.parent / "im" / "2000.png"],
            tmp_path / f"e{k}",
            experiment.HeatmapRequest(),
            silent,
        )
        tested = experiment.evaluate_model(name, data, tmp_path / f"t{k}", silent)
        audited = audit.run_audit(name, None, tmp_path / f"a{k}", silent)
        told.append((tested.verdict, audited.verdict, [one.status for one in audited.audits]))
        assert compare.compare_runs(name, made.out).images > 0
    assert told[0] == told[1]
    assert (tmp_path / "0.csv").read_bytes() == (tmp_path / "1.csv").read_bytes()


def test_an_audit_of_the_run_renews_the_verdict(own: Made, tmp_path: Path) -> None:
    record = own.out / "model" / "model.json"
    plain = json.loads(record.read_text())
    model_json.amend(own.out / "model", {"judged": {**plain["judged"], "verdict": "before"}})
    audited = audit.run_audit(own.out, None, tmp_path / "a", silent)
    after = json.loads(record.read_text())
    assert after["judged"]["verdict"] == audited.verdict
    assert after["judged"]["by"] == "audit"
    rest = [
        {**all_of, "judged": 0, "digests": all_of["digests"]["files"]} for all_of in (plain, after)
    ]
    assert rest[0] == rest[1]
    found = predict.predict_files(own.out, [own.data.parent], tmp_path / "p.csv", silent)
    assert "hilum audit" in found.cautions.verdict
    assert found.cautions.counts["same file"] == len(own.taught)


def test_an_audit_without_images_keeps_the_verdict(own: Made, tmp_path: Path) -> None:
    whole = pd.read_parquet(own.out / "manifest.parquet")
    gone = "/nowhere/" + whole["sample_id"]
    whole.assign(path=gone).to_parquet(own.out / "manifest.parquet")
    before = (own.out / "model" / "model.json").read_bytes()
    audit.run_audit(own.out, None, tmp_path / "a", silent)
    assert (own.out / "model" / "model.json").read_bytes() == before


def test_of_several_models_the_main_one_is_used_and_the_others_are_named(
    own: Made, tmp_path: Path
) -> None:
    task = own.out / "tasks" / "lungs_hidden" / "model"
    shutil.copytree(own.out / "model", task)
    films = [own.data.parent / "im" / "0000.png"]
    found = predict.predict_files(own.out, films, tmp_path / "p.csv", silent)
    assert "This run has 2 models" in found.cautions.notes[-1]
    assert "tasks/lungs_hidden" in found.cautions.notes[-1]
    named = predict.predict_files(own.out / "model", films, tmp_path / "p.csv", silent)
    assert not any("has 2 models" in note for note in named.cautions.notes)
    shutil.rmtree(own.out / "model")
    with pytest.raises(MissingError, match=r"1 model is below it\. Name one: .*lungs_hidden"):
        experiment.predict_files(own.out, films, tmp_path / "p.csv", silent)
    with pytest.raises(MissingError, match=r"Name one: .*lungs_hidden"):
        experiment.evaluate_model(own.out / "tasks", own.data, tmp_path / "o", silent)


def test_sheets_of_heat_maps_have_the_verdict(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hilum.explain import heatmap_sheets

    written: list[str] = []
    write = heatmap_sheets._write

    def note(draw, at, text, *rest):
        written.append(text)
        write(draw, at, text, *rest)

    monkeypatch.setattr(heatmap_sheets, "_write", note)
    experiment.explain_files(
        made.out,
        [made.data.parent / "im" / "0000.png"],
        tmp_path,
        experiment.HeatmapRequest(),
        silent,
    )
    words = " ".join(" ".join(written).split())
    assert words.count("Verdict on this model (the run that made it") == 2  # alone, on the sheet
    assert words.count(" ".join(made.results.verdict.split())) == 2


@pytest.mark.slow
def test_a_source_tasks_films_count_too(tmp_path: Path) -> None:
    """The backbone has learnt from them, although the folder's own split never saw them."""
    source = table(tmp_path / "source", [(4000 + i, f"s{i}") for i in range(40)])
    data = table(tmp_path / "first", [(i, f"{i:03d}") for i in range(40)])
    changes = [
        f'data=[{{path="{data}"}}]',
        f'source={{classes=["normal","sick"], data=[{{path="{source}"}}], least_auroc=0.0}}',
        "model.backbone=test_efficientnet", "model.weights=random", "prepare.side=96",
    ]  # fmt: skip
    results = experiment.run_recipe(
        recipes.load_recipe("default", changes=changes), None, tmp_path / "run", silent
    )
    record = json.loads((tmp_path / "run" / "model" / "model.json").read_text())
    tested = experiment.evaluate_model(tmp_path / "run", source, tmp_path / "o", silent)
    met = tested.split["checked"]["same_file"]
    assert 20 <= met < 40  # the source's own test images are new
    taught = Made(tmp_path / "run", data, results).taught
    assert record["built_on"]["images"] == met + len(taught)
