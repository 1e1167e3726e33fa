"""The film that results refer to: its header, checked, and its pixels.

What all objects of a study share: DICOM PS3.3, C.7.1 and C.7.2, https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.7.2.html
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any, TypeAlias

from pydicom import DataElement, Dataset, dcmwrite
from pydicom.uid import CTImageStorage

from hilum import images
from hilum.dicom.header import header_of
from hilum.types import Grey8, HilumError, Image, Mask

NAMES = ("PatientName", "ReferringPhysicianName")
DATES = ("Acquisition", "Content", "Series", "Study")
NO_PLACE = "the header says no usable position, orientation, spacing or thickness of the slice"
NO_DATE, NO_TIME = "19000101", "000000"  # where the film has none: none is added to it


# an image, and whether it is a CT slice -> its picture, its lungs, and why there are none
Parts: TypeAlias = Callable[[Image, bool], tuple[Grey8, Mask | None, str]]


@dataclass(frozen=True, slots=True)
class Source:
    """A film: its header without pixels, and what was decoded of it.

    It is picklable: a process that may die can decode it.
    """

    header: Dataset
    names: dict[str, Any]  # of persons, which the header has empty
    film: Grey8 | None  # (height, width) as the picture shows it; None: it cannot be read
    lungs: Mask | None  # (height, width) of the film, maybe smaller; None: not found
    without_lungs: str = ""  # why

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


def read_source(dataset: Dataset, image: Image | None, parts: Parts) -> Source:
    """The film of a data set and of the image that was decoded of it.

    Raises HilumError where it lacks what results must refer to, or is no film.
    """
    header = header_of(dataset)
    # highdicom warns of names with one component only, as many archives have them
    names = {name: header[name].value for name in NAMES}
    for name in NAMES:
        header[name] = DataElement(name, "PN", "")
    if image is None:
        return Source(header, names, None, None, "the image cannot be read")
    film, lungs, without = parts(image, str(header.get("Modality")) == "CT")
    if header.SOPClassUID == CTImageStorage and "FrameOfReferenceUID" not in header:
        lungs, without = None, NO_PLACE  # the standard asks for it in a segmentation of a CT slice
    return Source(header, names, film, lungs, without)


def decoded(dataset: Dataset, side: int | None) -> Image | None:
    """The film as `hilum predict` reads it, to a shorter side of no less than `side`; or None."""
    try:
        return images.read(_file(dataset), side)
    except HilumError:
        return None


def _file(dataset: Dataset) -> bytes:
    """The film as a file: hilum's own decoders read it, as they do for `hilum predict`."""
    file = BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()
