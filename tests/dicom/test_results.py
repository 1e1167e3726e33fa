"""Results as DICOM, read back by pydicom, highdicom, dicom3tools and DCMTK."""

import pickle
import re
import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import highdicom as hd
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.sr._concepts_dict import concepts
from pydicom.sr.codedict import codes as standard
from result_films import KINDS, ROOT, Film, as_file, change, film, pixels, save_model

import hilum
from hilum.dicom import codes, identity, source
from hilum.dicom.results import result_objects
from hilum.experiment import predict
from hilum.preprocess.lungs import ct, segmenter
from hilum.progress import silent

SR, SC, SEG = "SR", "OT", "SEG"


@pytest.fixture(scope="module")
def made(model: hilum.Model, films: dict[str, Film]) -> dict[str, dict[str, Dataset]]:
    """Modality of the film -> modality of each result -> the result, read back from its file."""
    results = {kind: one.prediction.to_dicom(one.data) for kind, one in films.items()}
    return {kind: by_modality(each) for kind, each in results.items()}


def by_modality(results: list[Dataset]) -> dict[str, Dataset]:
    read = [dcmread(BytesIO(as_file(result))) for result in results]
    return {result.Modality: result for result in read}


def items(dataset: Dataset) -> list[Dataset]:
    """Every content item of a report."""
    inside = list(dataset.get("ContentSequence", ()))
    return inside + [deeper for item in inside for deeper in items(item)]


def named(report: Dataset, meaning: str) -> list[Dataset]:
    return [
        item
        for item in items(report)
        if item.get("ConceptNameCodeSequence")
        and item.ConceptNameCodeSequence[0].CodeMeaning == meaning
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_has_the_probabilities_of_predict(
    made: dict[str, dict[str, Dataset]], films: dict[str, Film], kind: str
) -> None:
    """Read by highdicom's own reader of TID 1500; the class of each number is its modifier."""
    read = hd.sr.srread(_stored(made[kind][SR]))
    (group,) = read.content.get_image_measurement_groups()
    prediction = films[kind].prediction
    found = {}
    for measurement in group.get_measurements():
        (class_,) = [
            item.value.meaning
            for item in measurement[0].ContentSequence
            if item.name == standard.DCM.Finding
        ]
        assert measurement.name == standard.DCM.Probability
        found[class_] = measurement.value
    assert found == {
        codes.class_code(name).meaning: p for name, p in prediction.probabilities.items()
    }
    # highdicom's list of evaluations leaves every Finding out, also when asked for it by name
    assert group.finding_type == codes.class_code(prediction.label)
    (abstains,) = group.get_qualitative_evaluations(name=codes.ABSTAINED)
    assert abstains.value == standard.SCT.No
    report = made[kind][SR]
    (referred,) = [item for item in items(report) if item.ValueType == "IMAGE"]
    assert referred.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == (
        films[kind].dataset.SOPInstanceUID
    )
    (verdict,) = named(report, codes.VERDICT.meaning)
    assert verdict.TextValue == prediction.verdict
    assert [item.TextValue for item in named(report, "Comment")] == [hilum.NOTICE]
    assert {
        item.ContinuityOfContent for item in items(report) if item.ValueType == "CONTAINER"
    } == {"SEPARATE"}


def _stored(dataset: Dataset) -> Any:
    return BytesIO(as_file(dataset))


@pytest.mark.parametrize("kind", KINDS)
def test_the_lungs_have_the_films_rows_and_columns(
    made: dict[str, dict[str, Dataset]], films: dict[str, Film], kind: str
) -> None:
    read = hd.seg.segread(_stored(made[kind][SEG]))
    found = segmenter.load_segmenter()(pixels(kind)) if kind != "CT" else ct.lungs(pixels(kind))
    mask = read.pixel_array.reshape(found.mask.shape).astype(bool)
    both = (mask & found.mask).sum()
    assert 2 * both / (mask.sum() + found.mask.sum()) > 0.97  # Dice; the film has 12 bits
    (segment,) = read.SegmentSequence
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    assert segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName.startswith("hilum")
    assert read.SegmentationType == "BINARY"
    (frame,) = read.PerFrameFunctionalGroupsSequence
    (derived,) = frame.DerivationImageSequence
    (referred,) = derived.SourceImageSequence
    assert referred.ReferencedSOPInstanceUID == films[kind].dataset.SOPInstanceUID
    if kind == "CT":
        place = frame.PlanePositionSequence[0].ImagePositionPatient
        assert list(place) == list(films[kind].dataset.ImagePositionPatient)


def test_the_picture_has_film_heat_and_words(made: dict[str, dict[str, Dataset]]) -> None:
    """A grey film at the left, colours at the right, and text that changes with the answer."""
    read = made["DX"][SC]
    assert read.BurnedInAnnotation == "YES"
    assert read.PhotometricInterpretation == "RGB"
    colours = read.pixel_array.astype(int)
    spread = np.ptp(colours, axis=2)
    left, right = np.array_split(spread[200:600], 2, axis=1)
    assert (left == 0).mean() > 0.99
    assert (right > 40).mean() > 0.02, "no heat was drawn"
    assert (spread[:60] > 100).any(), "the notice is amber"


@pytest.mark.parametrize("kind", KINDS)
def test_patient_and_study_are_the_films_own(
    made: dict[str, dict[str, Dataset]], films: dict[str, Film], kind: str
) -> None:
    sent = films[kind].dataset
    for result in made[kind].values():
        for name in (
            "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientAge", "StudyID",
            "StudyInstanceUID", "StudyDate", "AccessionNumber", "ReferringPhysicianName",
        ):  # fmt: skip
            assert str(result[name].value) == str(sent[name].value), name
        assert result.SeriesInstanceUID != sent.SeriesInstanceUID
        (equipment,) = result.ContributingEquipmentSequence
        (purpose,) = equipment.PurposeOfReferenceCodeSequence
        assert purpose.CodeMeaning == "Processing Algorithm"
        assert re.fullmatch(r"[0-9a-f]{64}", equipment.SoftwareVersions[1])


def test_the_same_film_gives_the_same_bytes(films: dict[str, Film], model: hilum.Model) -> None:
    """Also from a prediction that another process has pickled; nothing of the clock is in them."""
    one = films["DX"]
    first = [as_file(each) for each in one.prediction.to_dicom(one.data)]
    again = pickle.loads(pickle.dumps(one.prediction))  # noqa: S301
    assert [as_file(each) for each in again.to_dicom(one.data)] == first
    other = result_objects(model, film("DX", SOPInstanceUID="1.2.3"), one.prediction)
    uids = {dcmread_uid(each) for each in first}
    assert uids.isdisjoint({each.SOPInstanceUID for each in other})
    read = [dcmread(BytesIO(data)) for data in first]
    elements = [item for each in read for item in each.iterall()]
    assert {item.value for item in elements if item.VR == "DA"} == {"20260401", "19600229"}
    assert not [item for item in elements if item.VR == "DT"]


def dcmread_uid(data: bytes) -> str:
    return str(dcmread(BytesIO(data)).SOPInstanceUID)


def test_a_film_without_dates_or_name_gets_none(model: hilum.Model, films: dict[str, Film]) -> None:
    bare = film(
        "CR", StudyDate=None, StudyTime=None, ContentDate=None, ContentTime=None,
        PatientName=None, PatientID=None, PatientBirthDate=None, AccessionNumber=None,
    )  # fmt: skip
    for result in by_modality(result_objects(model, bare, films["CR"].prediction)).values():
        assert str(result.PatientName) == result.PatientID == result.StudyDate == ""
        assert result.ContentDate == source.NO_DATE


def test_another_calibration_is_another_device(tmp_path: Path, films: dict[str, Film]) -> None:
    devices = []
    for folder in (
        save_model(tmp_path / "a"),
        Path(shutil.copytree(tmp_path / "a", tmp_path / "b")),
    ):
        if folder.name == "b":
            change(folder, "temperature", 1.5)
        model = hilum.load_model(folder)
        results = model.predict(films["CR"].data).to_dicom(films["CR"].data)
        (device,) = {each.ContributingEquipmentSequence[0].DeviceUID for each in results}
        devices.append(device)
    assert devices[0] != devices[1]


def test_a_refusal_is_a_result(tmp_path: Path, films: dict[str, Film], model: hilum.Model) -> None:
    """One film that the model cannot decide, and one that nobody can read."""
    hesitant = hilum.load_model(save_model(tmp_path / "model", abstains=True))
    prediction = hesitant.predict(films["CR"].data)
    assert prediction.abstained
    assert prediction.probabilities
    report = by_modality(prediction.to_dicom(films["CR"].data))[SR]
    assert len([item for item in items(report) if item.ValueType == "NUM"]) == 2
    assert [item.TextValue for item in named(report, codes.REASON.meaning)] == [prediction.reason]

    cut = film("CR", PixelData=films["CR"].dataset.PixelData[:2000])
    unread = model.predict(as_file(cut))
    results = by_modality(unread.to_dicom(as_file(cut)))
    assert {*results} == {SR, SC}
    texts = [item.TextValue for item in named(results[SR], codes.REASON.meaning)]
    assert texts == [unread.reason]
    assert "cut short" in unread.reason
    values = {
        item.ConceptCodeSequence[0].CodeValue
        for item in named(results[SR], "Finding")
        if item.ValueType == "CODE"
    }
    assert values == {standard.SCT.NotEvaluated.value}


def test_a_reason_in_results_does_not_name_the_file(
    model: hilum.Model, films: dict[str, Film], tmp_path: Path
) -> None:
    """Files are named after patients; and the same film gives the same results, wherever it is."""
    cut = as_file(film("CR", PixelData=films["CR"].dataset.PixelData[:2000]))
    folder = tmp_path / "in"
    folder.mkdir()
    path = folder / "Mueller_Aenne.dcm"
    path.write_bytes(cut)
    predict.predict_files(
        model.folder, [folder], tmp_path / "p.csv", silent, dicom=tmp_path / "out"
    )
    written = {
        each.Modality: as_file(each) for each in map(dcmread, sorted((tmp_path / "out").iterdir()))
    }
    assert {*written} == {SR, SC}
    given = f"{folder}/../in/{path.name}"  # a name that is not the one that a scan finds
    for prediction in (model.predict(cut), model.predict(path), model.predict(given)):
        made = {each.Modality: as_file(each) for each in prediction.to_dicom(cut)}
        assert made == written
    assert not [content for content in written.values() if b"Mueller_Aenne" in content]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"StudyInstanceUID": None}, "without StudyInstanceUID"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.128"}, "Positron Emission"),
    ],
)
def test_a_film_that_results_cannot_refer_to(
    model: hilum.Model, films: dict[str, Film], changes: dict[str, str], words: str
) -> None:
    with pytest.raises(hilum.HilumError, match=words):
        result_objects(model, film("CR", **changes), films["CR"].prediction)


def test_results_are_of_the_film_that_was_predicted(films: dict[str, Film]) -> None:
    with pytest.raises(hilum.HilumError, match="got another file"):
        films["CR"].prediction.to_dicom(films["DX"].data)
    with pytest.raises(hilum.HilumError, match="knows none"):
        hilum.Prediction("normal", {"normal": 1.0}, abstained=False).to_dicom(films["CR"].data)


def test_own_classes_have_private_codes() -> None:
    names = ["my_class", "ein sehr langer Name einer Klasse", "ein sehr langer Name, ein anderer"]
    made = [codes.class_code(name) for name in names]
    assert len({code.value for code in made}) == len(names)
    assert {code.scheme_designator for code in made} == {codes.SCHEME}
    assert all(len(code.value) <= codes.LONGEST for code in made)
    assert codes.class_code("covid19").scheme_designator == "SCT"


def test_codes_are_those_of_the_standards_tables() -> None:
    """Which are not in pydicom's tables of DICOM PS3.16; the page on results lists them."""

    def listed(code: Any) -> bool:
        rows = concepts.get(code.scheme_designator, {}).values()
        return any(row[code.value][0] == code.meaning for row in rows if code.value in row)

    ours = [*codes.CLASSES.values(), codes.PROCESSING_ALGORITHM]
    page = (Path(__file__).parents[2] / "docs" / "hospital.md").read_text(encoding="utf-8")
    absent = [code for code in ours if not listed(code)]
    assert [code.value for code in absent] == [
        "840539006", "233604007", "53084003", "75570004", "Newcode1",
    ]  # fmt: skip
    assert all(code.value in page and code.meaning in page for code in absent)


def test_identifiers_are_valid() -> None:
    made = identity.uid("a", "b")
    assert re.fullmatch(r"2\.25\.[1-9]\d{0,38}", made)
    assert made != identity.uid("ab")


@pytest.mark.parametrize("kind", KINDS)
def test_other_programs_find_no_error(
    made: dict[str, dict[str, Dataset]], kind: str, tmp_path: Path
) -> None:
    """dicom3tools' dciodvfy checks each object by its definition, DCMTK's dsrdump reads the SR."""
    if not shutil.which("dciodvfy") or not shutil.which("dsrdump"):
        pytest.skip("dicom3tools and dcmtk are not installed")
    for modality, result in made[kind].items():
        path = tmp_path / f"{modality}.dcm"
        path.write_bytes(as_file(result))
        done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
        said = (done.stdout + done.stderr).splitlines()
        assert not [line for line in said if line.startswith("Error")], modality
    done = subprocess.run(
        ["dsrdump", tmp_path / f"{SR}.dcm"], capture_output=True, text=True, check=True
    )
    assert '"Probability of COVID-19"' in done.stdout
    assert '"Algorithm Version"' in done.stdout


def test_no_warning_names_the_patient(
    model: hilum.Model, films: dict[str, Film], recwarn: pytest.WarningsRecorder
) -> None:
    """highdicom warns of a name in one part, and quotes it."""
    made = result_objects(model, film("CR", PatientName="Musterfrau"), films["CR"].prediction)
    assert str(made[0].PatientName) == "Musterfrau"
    assert [str(one.message) for one in recwarn if "Musterfrau" in str(one.message)] == []


MALFORMED = {  # keyword -> what the file has in place of a value
    "StudyInstanceUID": f"{ROOT}.2", "SeriesInstanceUID": f"{ROOT}.3", "StudyDate": "20260401",
    "PatientBirthDate": "19600229", "PatientAge": "066Y", "StudyTime": "101500",
}  # fmt: skip


@pytest.mark.parametrize("keyword", [*MALFORMED, "SOPInstanceUID"])
def test_no_warning_quotes_a_value_that_is_none(
    keyword: str,
    model: hilum.Model,
    tmp_path: Path,
    recwarn: pytest.WarningsRecorder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """pydicom warns of values that the standard forbids, logs the same, and quotes them."""
    stated = MALFORMED.get(keyword, f"{ROOT}.1").encode()
    planted = b"canary"[: len(stated)] + stated[6:]
    listed = tmp_path / "films" / "odd.dcm"
    listed.parent.mkdir()
    listed.write_bytes(as_file(film("CR")).replace(stated, planted))
    assert planted in listed.read_bytes()
    made = tmp_path / "made"
    predict.predict_files(model.folder, [listed], tmp_path / "p.csv", silent, dicom=made)
    if keyword not in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        assert [*made.iterdir()]  # such a value is not copied; without identifiers nothing is made
    said = [*(str(one.message) for one in recwarn), *caplog.messages]
    assert not [text for text in said if "cana" in text]


def test_predict_writes_results_of_a_folder(
    model: hilum.Model, films: dict[str, Film], tmp_path: Path
) -> None:
    """One film's objects under its name; a picture is refused before anything is predicted."""
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "chest.dcm").write_bytes(films["CR"].data)
    out, results = tmp_path / "preds.csv", tmp_path / "results"
    predict.predict_files(model.folder, [folder], out, silent, dicom=results)
    report = dcmread(results / "chest-report.dcm")
    assert {path.name for path in results.iterdir()} >= {"chest-report.dcm", "chest-picture.dcm"}
    assert (
        report.SOPInstanceUID
        == result_objects(model, films["CR"].dataset, films["CR"].prediction)[0].SOPInstanceUID
    )
    cv2.imwrite(str(folder / "film.png"), pixels("CR"))
    with pytest.raises(hilum.HilumError, match="DICOM"):
        predict.predict_files(model.folder, [folder], out, silent, dicom=results)
