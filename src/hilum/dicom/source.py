"""The film that results refer to: its header, checked, and its pixels."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any

from pydicom import DataElement, Dataset, dcmwrite
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
)

from hilum import images
from hilum.types import HilumError, Image

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
NAMES = ("PatientName", "ReferringPhysicianName")
PLACED = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
DATES = ("Acquisition", "Content", "Series", "Study")
NO_DATE, NO_TIME = "19000101", "000000"  # where the film has none: none is added to it


@dataclass(frozen=True, slots=True)
class Source:
    """A film: its header without pixels, and what was decoded of it."""

    header: Dataset
    names: dict[str, Any]  # of persons, which the header has empty
    image: Image | None  # None: it cannot be read

    @property
    def instance(self) -> str:
        """SOP Instance UID."""
        return str(self.header.SOPInstanceUID)

    @property
    def is_slice(self) -> bool:
        """Whether it is a CT slice."""
        return str(self.header.get("Modality")) == "CT"

    @property
    def number(self) -> int:
        """Instance Number of the film, which its results have as well."""
        return max(1, int(self.header.get("InstanceNumber") or 1))

    @property
    def taken(self) -> tuple[str, str]:
        """Date and time of the film, as DICOM writes them.

        Results have the film's own, so that the same film and model give the same bytes.
        """
        for word in DATES:
            date, time = (str(self.header.get(f"{word}{part}") or "") for part in ("Date", "Time"))
            if date:
                return date, time or NO_TIME
        return NO_DATE, NO_TIME


def read_source(dataset: Dataset, side: int | None) -> Source:
    """The film of a data set, decoded to a shorter side of no less than `side`.

    Raises HilumError where it lacks what results must refer to, or is no film.
    """
    header = _header(dataset)
    # highdicom warns of names with one component only, as many archives have them
    names = {name: header[name].value for name in NAMES}
    for name in NAMES:
        header[name] = DataElement(name, "PN", "")
    try:
        return Source(header, names, images.read(_file(dataset), side))
    except HilumError:
        return Source(header, names, None)


def _header(dataset: Dataset) -> Dataset:
    """A copy without pixels; what may be empty is there."""
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
    header.update({
        element.tag: element
        for element in dataset
        if element.keyword not in PIXELS and not element.tag.is_private
    })  # fmt: skip
    for name in EMPTY:
        if name not in header:
            setattr(header, name, "")
    if any(name not in header for name in PLACED):  # a place in the room needs all of them
        header.pop("FrameOfReferenceUID", None)
    return header


def _file(dataset: Dataset) -> bytes:
    """The film as a file: hilum's own decoders read it, as they do for `hilum predict`."""
    file = BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()
