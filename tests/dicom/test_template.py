"""Content that is encoded once and filled in: the bytes are those that pydicom writes."""

from io import BytesIO

import pytest
from pydicom import DataElement, Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.sr.codedict import codes as standard
from pydicom.tag import Tag
from result_films import Film, as_file

import hilum
from hilum.dicom import sr, template
from hilum.dicom.coded import item
from hilum.dicom.results import maker_of, result_objects

CONTENT = Tag("ContentSequence")


def content(word: str, uid: str, number: float, digits: str) -> list[Dataset]:
    """Two items, one of them with two of its own, as a report has them."""
    said, measured, value, outer = Dataset(), Dataset(), Dataset(), Dataset()
    said.ValueType, said.TextValue, said.UID = "TEXT", word, uid
    said.ConceptNameCodeSequence = [item(standard.DCM.Finding)]
    value.NumericValue, value.FloatingPointValue = digits, number
    value.MeasurementUnitsCodeSequence = [item(standard.UCUM.NoUnits)]
    measured.MeasuredValueSequence = [value]
    outer.ContentSequence, outer.ValueType = [said, measured], "CONTAINER"
    constant = Dataset()
    constant.TextValue = "für alle gleich"
    return [outer, constant]


def encoded(items: list[Dataset]) -> bytes:
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = False, True
    write_data_element(file, DataElement(CONTENT, "SQ", items), ["ISO_IR 192"])
    return file.getvalue()


NAMES = ("@word@", "2.25.1", 0.5, "0.25")


@pytest.mark.parametrize(
    "own", [NAMES, ("", "1.2.3", -1e300, "1e-08"), ("grün\r\n" * 9000, "2.25.12345", 0.1, "0.1")]
)
def test_filled_in_is_what_pydicom_writes(own: tuple[str, str, float, str]) -> None:
    """Values of odd and even length, empty, longer than 64 kB and beyond ASCII; every length."""
    parts = template.pattern(content(*NAMES), NAMES)
    made = template.filled(CONTENT, parts, dict(zip(NAMES, own, strict=True)))
    assert encoded(content(*own)) == encoded([])[:-4] + made.length.to_bytes(4, "little") + (
        made.value or b""
    )


def test_a_report_is_not_decoded_to_be_written(model: hilum.Model, films: dict[str, Film]) -> None:
    """What pydicom writes of it is what it reads: also after the content was looked at."""
    one = films["DX"]
    report = maker_of(model).objects(one.dataset, one.prediction)[0]
    data = as_file(report)
    assert report.get_item(CONTENT).is_raw
    assert len(report.ContentSequence) > 3
    assert as_file(report) == data
    assert as_file(dcmread(BytesIO(data))) == data


def test_films_of_one_model_share_the_pattern_alone(
    model: hilum.Model, films: dict[str, Film]
) -> None:
    """Every number, name and sentence of a second film is its own."""
    sr._content.cache_clear()
    texts = []
    for kind in ("CR", "DX"):
        one = films[kind]
        report = dcmread(BytesIO(as_file(result_objects(model, one.dataset, one.prediction)[0])))
        texts.append(str(report.ContentSequence))
        for p in one.prediction.probabilities.values():
            assert f"{p!r}" in texts[-1]
        assert one.dataset.SOPInstanceUID in texts[-1]
    assert sr._content.cache_info().hits + sr._content.cache_info().misses == 2
    assert not [
        word for text in texts for word in ("2.25.1\n", "@reason@", "@seen@") if word in text
    ]
    assert texts[0] != texts[1]
