"""Values of a film's header that are none are not copied into its results."""

import pickle
import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from result_films import Film, as_file, film

import hilum
from hilum.dicom.header import header_of
from hilum.dicom.parts import parts_of
from hilum.dicom.results import result_objects
from hilum.dicom.source import NO_PLACE, read_source

GONE = object()
# (kind of film, keyword, what its file has there, what the header of its results has)
CASES: list[tuple[str, str, bytes, Any]] = [
    ("CR", "PatientSex", b"X ", ""),
    ("CR", "PatientSex", b"M ", "M"),
    ("CR", "PatientBirthDate", b"1960", ""),
    ("CR", "StudyDate", b"20260230", ""),
    ("CR", "StudyDate", b"20260228", "20260228"),
    ("CR", "StudyTime", b"10.15 ", ""),
    ("CR", "PatientAge", b"66", GONE),
    ("CR", "PatientWeight", b"70,5", GONE),
    ("CR", "PatientWeight", b"70.123456789012345678 ", 70.1234567890123457),
    ("CR", "InstanceNumber", b"99999999999 ", GONE),
    ("CR", "AccessionNumber", b"longer than sixteen characters", "longer than sixteen characters"),
    ("CR", "PatientOrientation", b"L\\X ", GONE),
    ("CR", "PatientOrientation", b"L ", GONE),
    ("CR", "PixelSpacing", b"0\\0 ", GONE),
    ("CR", "PixelSpacing", b"0.15", GONE),
    ("CT", "SpacingBetweenSlices", b"-2", GONE),
    ("CT", "SpacingBetweenSlices", b"2 ", 2),
]
# with one of these the slice has no place in the room
NOWHERE = (
    ("PixelSpacing", b"0\\0 "),
    ("PixelSpacing", b""),
    ("SliceThickness", b"5 mm"),
    ("SliceThickness", b"0 "),
    ("ImagePositionPatient", b"1\\2 "),
    ("ImageOrientationPatient", b"1\\0\\0\\1\\0\\0 "),
    ("ImageOrientationPatient", b"1\\0\\0\\0\\0.9\\0 "),
    ("FrameOfReferenceUID", b""),
)


def with_raw(kind: str, keyword: str, value: bytes) -> Dataset:
    """A film of its kind whose file has these bytes in the place of an element's value."""
    made, tag = dcmread(BytesIO(as_file(film(kind)))), Tag(tag_for_keyword(keyword) or 0)
    raw = RawDataElement(tag, dictionary_VR(tag), len(value), value, 0, False, True)
    made._dict[tag] = raw
    return made


@pytest.mark.parametrize(("kind", "keyword", "value", "wanted"), CASES)
def test_what_is_no_value_is_left_empty_or_out(
    kind: str, keyword: str, value: bytes, wanted: Any
) -> None:
    header = header_of(with_raw(kind, keyword, value))
    assert header.get(keyword, GONE) == wanted
    assert ("FrameOfReferenceUID" in header) == (kind == "CT")


@pytest.mark.parametrize(("keyword", "value"), NOWHERE)
def test_a_place_in_the_room_is_whole_or_none(keyword: str, value: bytes) -> None:
    assert "FrameOfReferenceUID" not in header_of(with_raw("CT", keyword, value))


# several values of each kind, as archives have them
SEVERAL = (
    ("OperatorsName", b"M\xfcller^A\\Busch^B"),
    ("SoftwareVersions", b"1.2\\3.4 "),
    ("ImageType", b"ORIGINAL\\PRIMARY"),
    ("DateOfLastCalibration", b"20260101\\20260202 "),
    ("TimeOfLastCalibration", b"1015\\1020 "),
    ("WindowCenter", b"100\\200 "),
    ("ReferencedFrameNumber", b"1\\2 "),
    ("SOPClassesSupported", b"1.2\\1.3 "),
    ("FrameIncrementPointer", b"\x18\x00\x63\x10\x18\x00\x65\x10"),
)


@pytest.mark.parametrize(("keyword", "value"), SEVERAL)
def test_a_film_with_several_values_reaches_another_process(keyword: str, value: bytes) -> None:
    """A node decodes films in processes of their own; pydicom's several names cannot be pickled."""
    film_ = read_source(with_raw("CR", keyword, value), None, parts_of)
    header = pickle.loads(pickle.dumps(film_)).header  # noqa: S301 - its own
    assert header[keyword].VM == 2
    assert header[keyword].value == film_.header[keyword].value


@pytest.mark.parametrize(
    "keyword", ["PatientName", "PatientID", "StudyInstanceUID", "AccessionNumber"]
)
def test_several_patients_or_studies_in_one_film_are_one_sentence(keyword: str) -> None:
    with pytest.raises(hilum.HilumError, match=f"a backslash in {keyword}; correct") as raised:
        header_of(with_raw("CR", keyword, b"1.2\\1.3 "))
    assert "1.3" not in str(raised.value)


def test_directions_may_be_rounded() -> None:
    turned = with_raw("CT", "ImageOrientationPatient", b"0.866025\\0.5\\0\\0\\0\\-1")
    assert "FrameOfReferenceUID" in header_of(turned)


def test_a_slice_without_place_has_a_report_that_says_so(
    model: hilum.Model, films: dict[str, Film]
) -> None:
    """A segmentation of a CT slice must lie in the room: highdicom and the standard ask for it."""
    nowhere = with_raw("CT", "SliceThickness", b"0 ")
    made = result_objects(model, nowhere, films["CT"].prediction)
    assert [each.Modality for each in made] == ["SR", "OT"]
    assert NO_PLACE.encode() in as_file(made[0])


def test_a_header_that_highdicom_refuses_is_one_sentence(
    model: hilum.Model, films: dict[str, Film], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it refuses beyond what is known; its words may quote the patient."""

    def refuse(*_: object) -> None:
        raise ValueError("Musterfrau")

    monkeypatch.setattr("hilum.dicom.sr.report", refuse)
    with pytest.raises(hilum.HilumError, match=r"cannot be written \(ValueError\)") as raised:
        result_objects(model, films["CR"].dataset, films["CR"].prediction)
    assert "Musterfrau" not in str(raised.value)


def test_other_programs_find_no_error_in_results_of_such_films(
    model: hilum.Model, films: dict[str, Film], tmp_path: Path
) -> None:
    if not shutil.which("dciodvfy"):
        pytest.skip("dicom3tools are not installed")
    cases = [case[:3] for case in CASES if case[1] != "AccessionNumber"]
    for kind, keyword, value in (*cases, *(("CT", *row) for row in NOWHERE)):
        for each in result_objects(model, with_raw(kind, keyword, value), films[kind].prediction):
            path = tmp_path / "result.dcm"
            path.write_bytes(as_file(each))
            done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
            said = (done.stdout + done.stderr).splitlines()
            wrong = [line for line in said if line.startswith("Error")]
            assert not wrong, (keyword, value, each.Modality)
