"""The header of a film as its results may copy it: complete, and without values that are none.

Archives hold films with a pixel spacing of zero, a year for a birth date or a sex of "X". A result
with them would be refused elsewhere, or could not be written at all. They are left empty where
DICOM lets them be (Type 2), else left out; identifiers stay as they are. Texts are decoded, those
in sequences too: results have one character set, whatever the film has.
"""

from collections.abc import Callable, Iterator
from math import isfinite

import numpy as np
from pydicom import DataElement, Dataset, config
from pydicom.sequence import Sequence
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
)
from pydicom.valuerep import DA, DS, DT, TM, validate_value

from hilum.dicom.unquoted import unquoted
from hilum.types import HilumError

KINDS = (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    CTImageStorage,
    SecondaryCaptureImageStorage,
)
NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
# DICOM Type 2: there, though it may be empty
EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
UTF_8 = "ISO_IR 192"
UNCOPIED = ("SpecificCharacterSet", "PixelData", "FloatPixelData", "DoubleFloatPixelData")
TIMES: dict[str, Callable[[str], object]] = {"DA": DA, "DT": DT, "TM": TM}
CHECKED = ("AS", "CS", "DS", "IS", *TIMES)
SEXES = ("M", "F", "O")
DIRECTIONS = frozenset("LRAPHF")
LONGEST, LARGEST = 16, 2**31 - 1  # characters of a decimal, and the largest whole number
UNIT = 1e-4  # how far the directions of rows and columns may be from unit length and a right angle


@unquoted()
def header_of(dataset: Dataset) -> Dataset:
    """A copy without pixels; what may be empty is there, and what cannot be used is not.

    Raises HilumError where it lacks what results must refer to, or is no film.
    """
    missing = [name for name in NEEDED if not dataset.get(name)]
    if missing:
        raise HilumError(
            "results as DICOM refer to the film by its identifiers; got a film without "
            f"{', '.join(missing)}; take it from the archive as it is stored there."
        )
    if dataset.SOPClassUID not in KINDS:
        raise HilumError(
            "results as DICOM are made for CR, DX, CT and Secondary Capture images; got "
            f"{dataset.SOPClassUID.name}; leave it out."
        )
    header = Dataset()
    header.update({element.tag: element for element in _usable(dataset)})
    header.SpecificCharacterSet = UTF_8  # highdicom refuses ISO 2022's first set, which has no name
    for name in EMPTY:
        if name not in header:
            setattr(header, name, "")
    _require_one_value(header)
    _check_directions(header)
    _check_place(header)
    return header


def _require_one_value(header: Dataset) -> None:
    """A backslash parts values: what should be one name or identifier is several ones then."""
    several = [name for name in (*NEEDED, *EMPTY) if header[name].VM > 1]
    if several:
        raise HilumError(
            "results as DICOM belong to one patient and study; got a film with a backslash in "
            f"{', '.join(several)}; correct it in the archive."
        )


def _usable(dataset: Dataset) -> Iterator[DataElement]:
    for tag in dataset.keys():  # noqa: SIM118 - values convert each element, which may raise
        try:
            element = _read(dataset[tag])
            usable = element.VR not in CHECKED or all(map(_checks(element), _values(element)))
        except (ValueError, TypeError, OverflowError, NotImplementedError):
            continue
        if usable and element.keyword not in UNCOPIED and not element.tag.is_private:
            yield element


def _read(element: DataElement) -> DataElement:
    """An element whose values can be copied: numbers shortened, texts of items decoded."""
    if element.VR == "PN" and element.VM > 1:  # as pydicom reads several names, none can be pickled
        return DataElement(element.tag, "PN", _values(element))
    return _unpacked(element) if element.VR == "SQ" else _shortened(element)


def _unpacked(element: DataElement) -> DataElement:
    """A sequence with items of its own: pydicom writes bytes that are not decoded as they are."""
    return DataElement(element.tag, "SQ", Sequence([_item(item) for item in element.value]))


def _item(item: Dataset) -> Dataset:
    made = Dataset()
    made.update({element.tag: element for element in _usable(item)})
    return made


def _shortened(element: DataElement) -> DataElement:
    """Numbers of more than 16 characters, as many scanners write them, in 16."""
    if element.VR != "DS" or all(len(text) <= LONGEST for text in _values(element)):
        return element
    numbers = [DS(float(text), auto_format=True) for text in _values(element)]
    return DataElement(element.tag, "DS", numbers)


def _values(element: DataElement) -> list[str]:
    values = element.value if element.VM > 1 else [element.value]
    return [str(value) for value in values if value is not None]


def _checks(element: DataElement) -> Callable[[str], bool]:
    """Whether a value is one; may raise ValueError instead."""
    if element.keyword == "PatientSex":
        return lambda text: text in ("", *SEXES)

    def check(text: str) -> bool:
        validate_value(element.VR, text, config.RAISE)
        if text and element.VR in TIMES:
            TIMES[element.VR](text)  # no 30th of February
        return element.VR != "IS" or text == "" or abs(int(text)) <= LARGEST

    return check


def _check_directions(header: Dataset) -> None:
    """Two words of L, R, A, P, H and F, or none."""
    words = header.get("PatientOrientation") or ()
    two = len(words) == 2 and not isinstance(words, str)
    if not (two and all(word and DIRECTIONS.issuperset(word) for word in words)):
        header.pop("PatientOrientation", None)


def _check_place(header: Dataset) -> None:
    """Spacings are lengths; a place in the room, which needs all of its parts, is one or none.

    DICOM PS3.3, 10.7 and C.7.6.2, https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.7.6.2.html
    """
    sizes = {"PixelSpacing": 2, "SliceThickness": 1, "SpacingBetweenSlices": 1}
    for name, count in sizes.items():
        lengths = _numbers(header, name)
        if len(lengths) != count or min(lengths) <= 0:
            header.pop(name, None)
    parts = ("PixelSpacing", "SliceThickness")
    placed = all(name in header for name in parts) and header.get("FrameOfReferenceUID")
    if not (placed and len(_numbers(header, "ImagePositionPatient")) == 3 and _turned(header)):
        header.pop("FrameOfReferenceUID", None)


def _turned(header: Dataset) -> bool:
    """Whether rows and columns have directions: two unit vectors at a right angle."""
    numbers = _numbers(header, "ImageOrientationPatient")
    if len(numbers) != 6:
        return False
    vectors = np.reshape(numbers, (2, 3))
    return bool(np.allclose(vectors @ vectors.T, np.eye(2), atol=UNIT))


def _numbers(header: Dataset, name: str) -> list[float]:
    """The element's finite numbers, none where there is no element or no value."""
    value = header.get(name)
    values = [] if value is None else np.atleast_1d(np.array(value, float)).tolist()
    return [number for number in values if isfinite(number)]
