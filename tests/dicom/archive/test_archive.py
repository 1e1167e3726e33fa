"""Films from an archive and results back into it: Orthanc, DICOMweb, DCMTK and dicom3tools.

Run by `make test-dicom`.
"""

import json
import re
from pathlib import Path

import highdicom as hd
import orthanc
import pytest
from archive_films import LOSSLESS, MADE
from orthanc import Orthanc
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes as standard
from result_films import CLASSES

import hilum
from conftest import Ward
from hilum.dicom import codes

pytestmark = pytest.mark.dicom
SR, SC, SEG = "SR", "OT", "SEG"


def by_pydicom(report: Dataset) -> dict[str, float]:
    """Class -> probability, from the numbers of a report and their modifiers."""
    found = {}
    for item in report.get("ContentSequence", ()):
        if item.ValueType == "NUM":
            (name,) = [
                inner.ConceptCodeSequence[0].CodeMeaning
                for inner in item.ContentSequence
                if inner.ConceptNameCodeSequence[0].CodeMeaning == "Finding"
            ]
            found[name] = float(item.MeasuredValueSequence[0].NumericValue)
        found |= by_pydicom(item)
    return found


def by_highdicom(path: Path) -> dict[str, float]:
    """The same by highdicom's reader of TID 1500."""
    (group,) = hd.sr.srread(path).content.get_image_measurement_groups()
    found = {}
    for measurement in group.get_measurements():
        (name,) = [
            item.value.meaning
            for item in measurement[0].ContentSequence
            if item.name == standard.DCM.Finding
        ]
        found[name] = float(measurement.value)
    return found


@pytest.mark.parametrize("name", MADE)
def test_probabilities_in_the_archive_are_those_of_predict(
    ward: Ward, predicted: dict[str, dict[str, str]], name: str
) -> None:
    row, path = predicted[name], ward.results[name][SR]
    expected = {
        codes.class_code(class_).meaning: pytest.approx(float(row[f"p_{class_}"]), abs=1e-6)
        for class_ in CLASSES
    }
    assert by_pydicom(dcmread(path)) == expected
    assert by_highdicom(path) == expected


def test_every_lossless_syntax_gives_the_same_digits(ward: Ward) -> None:
    first, *others = (by_pydicom(dcmread(ward.results[name][SR])) for name in LOSSLESS)
    assert len(first) == len(CLASSES)
    assert all(other == first for other in others)
    assert by_pydicom(dcmread(ward.results["jpeg"][SR])) != first  # lossy: another film


def test_the_same_process_answers_over_http(ward: Ward) -> None:
    (answer,) = ward.served["predictions"]
    found = {codes.class_code(name).meaning: p for name, p in answer["probabilities"].items()}
    assert found == by_pydicom(dcmread(ward.results["DX"][SR]))


def test_results_are_in_their_films_study(ward: Ward) -> None:
    assert ward.status.films["sent"] == len(MADE)
    assert ward.status.failed == []
    assert ward.status.commitments == {"committed": 3 * len(MADE)}
    for name, film in ward.films.items():
        assert set(ward.results[name]) == {SR, SC, SEG}
        for path in ward.results[name].values():
            result = dcmread(path)
            assert result.PatientID == film.PatientID
            assert result.PatientName == film.PatientName
            assert result.StudyInstanceUID == film.StudyInstanceUID
            assert result.SeriesInstanceUID != film.SeriesInstanceUID


@pytest.mark.parametrize("name", ["CR", "DX", "CT"])
def test_dciodvfy_finds_no_error_in_what_the_archive_gives_out(ward: Ward, name: str) -> None:
    for modality, path in ward.results[name].items():
        said = orthanc.run("dciodvfy", path)
        assert not re.findall(r"^Error.*", said, re.M), (modality, said)


def test_dsrdump_prints_the_report(
    ward: Ward, predicted: dict[str, dict[str, str]], model: hilum.Model
) -> None:
    said = orthanc.run("dsrdump", ward.results["DX"][SR])
    numbers = [float(text) for text in re.findall(r'NUM:.*?="([\d.e-]+)"', said)]
    row = predicted["DX"]
    assert numbers == pytest.approx([float(row[f"p_{name}"]) for name in CLASSES], abs=1e-6)
    assert "Research use only" in said or hilum.NOTICE in said
    assert "Verdict of the audits on the model" in said


def test_a_result_that_comes_twice_is_one_instance(archive: Orthanc, ward: Ward) -> None:
    before = archive.ask("/statistics")["CountInstances"]
    orthanc.send(archive.dicom, orthanc.AET, [ward.results["CR"][SR]], "-R")
    assert archive.ask("/statistics")["CountInstances"] == before


def test_the_pages_sender_and_its_second_sending_take_all_films(
    archive: Orthanc, ward: Ward, paths: dict[str, Path]
) -> None:
    """Compressed films as well, which DCMTK's storescu refuses without an option."""
    page = orthanc.PAGE.read_text(encoding="utf-8")
    (sender,) = re.findall(r"^5\. Send a film: `(.*?) film\.dcm`", page, re.M)
    for path in paths.values():
        orthanc.run(*sender.replace("4242", str(archive.dicom)).split(), path)
    (query,) = re.findall(r"/tools/find -d '(.*?)'", orthanc.block("sh", "tools/find"))
    found = archive.ask("/tools/find", "POST", json.loads(query))
    assert len(found) == len({film.SeriesInstanceUID for film in ward.films.values()})
