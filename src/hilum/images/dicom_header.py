"""What a DICOM header says: how its one image is stored, and facts for the manifest."""

import re
from dataclasses import dataclass
from typing import Any

from pydicom.uid import UID

from hilum.images import dicom_kind, dicom_view
from hilum.images.dicom_elements import DicomFile, Elements
from hilum.types import HilumError

LAYOUT_KEYWORDS = (
    "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration",
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
)  # fmt: skip
FACT_KEYWORDS = (
    "PatientID", "PatientAge", "PatientSex", "Modality", "ViewPosition", "ViewCodeSequence",
    "ImageType", "FrameLaterality", "ImageLaterality", "Laterality", "Manufacturer",
    "BurnedInAnnotation", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID",
    "AccessionNumber", "InstitutionName", "StationName",
)  # fmt: skip
MODALITIES = {"CR": "X-ray", "DX": "X-ray", "CT": "CT"}
DAYS_PER_YEAR = 365.25
YEARS = {"D": 1 / DAYS_PER_YEAR, "W": 7 / DAYS_PER_YEAR, "M": 1 / 12, "Y": 1.0, "": 1.0}
COLOURS = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_ICT", "YBR_RCT"})
LATERALITIES = ("FrameLaterality", "ImageLaterality", "Laterality")
SINGLE = frozenset({"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"})
LONGEST_FACT = 64  # characters, as DICOM's LO and UI allow


@dataclass(frozen=True, slots=True)
class Layout:
    """How the pixels of one image are stored; DICOM PS3.3 C.7.6.3, PS3.5 section 8.

    https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.7.6.3.html
    """

    rows: int
    columns: int
    samples: int  # 1 or 3 channels
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    planar: bool  # channels one after the other
    photometric: str
    syntax: str  # transfer syntax UID

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns) or (rows, columns, channel)."""
        size = (self.rows, self.columns)
        return size if self.samples == 1 else (*size, self.samples)


def layout(file: DicomFile) -> Layout:
    """The checked layout of the file's image; HilumError where it holds none, or several."""
    elements = file.elements
    if file.floats:
        raise HilumError(
            f"expected pixels as whole numbers, got {file.floats} (modality "
            f"{_modality(elements)!r}), as maps of measured values have; leave it out"
        )
    if file.pixels is None:
        raise HilumError(
            "expected a DICOM image, got one without pixel data (modality "
            f"{_modality(elements)!r}); "
            "leave it out"
        )
    frames = elements.decimals("NumberOfFrames")
    if frames and frames[0] > 1:
        raise HilumError(
            f"expected one image, got a DICOM file of {frames[0]:.0f} frames; save one on its own"
        )
    photometric = elements.text("PhotometricInterpretation") or ""
    single = photometric in SINGLE
    bits_allocated = elements.integer("BitsAllocated")
    bits_stored = elements.integer("BitsStored", bits_allocated)
    image_layout = Layout(
        elements.integer("Rows"),
        elements.integer("Columns"),
        elements.integer("SamplesPerPixel", 1 if single else 3),
        bits_allocated,
        bits_stored,
        elements.integer("HighBit", bits_stored - 1),
        elements.integer("PixelRepresentation", 0) == 1,
        elements.integer("PlanarConfiguration", 0) == 1,
        photometric,
        file.syntax,
    )
    _check(image_layout)
    return image_layout


def _modality(elements: Elements) -> str:
    """The modality code, only where it looks like one: a message must not quote free text."""
    code = elements.text("Modality") or ""
    return code if re.fullmatch(r"[A-Z]{2,10}", code) else "unknown"


def _check(layout: Layout) -> None:
    if layout.photometric not in SINGLE | COLOURS:
        raise HilumError(
            "expected a grey, palette, RGB or YBR photometric interpretation, got none or another; "
            "export the image as MONOCHROME2"
        )
    if layout.samples != (1 if layout.photometric in SINGLE else 3):
        raise HilumError(
            f"expected the samples per pixel that {layout.photometric} has, got {layout.samples}; "
            "correct the header"
        )
    if layout.bits_allocated not in (1, 8, 16, 32):
        raise HilumError(
            f"expected 1, 8, 16 or 32 bits allocated per sample, got {layout.bits_allocated}; "
            "export the image again"
        )
    if not 0 < layout.bits_stored <= layout.high_bit + 1 <= layout.bits_allocated:
        raise HilumError(
            f"expected bits stored that fit into those allocated, got {layout.bits_stored} up to "
            f"high bit {layout.high_bit} of {layout.bits_allocated}; correct the header"
        )


def header_facts(file: DicomFile) -> dict[str, Any]:
    """What the manifest can use, where known: patient_id, view, modality, age (years), sex..."""
    elements = file.elements
    modality = elements.text("Modality")
    facts = {
        "patient_id": elements.text("PatientID"),
        "view": dicom_view.view(elements),
        "modality": MODALITIES.get(modality or ""),
        "dicom_modality": modality,
        "kind": dicom_kind.kind(elements),
        "age": age_in_years(elements.text("PatientAge") or ""),
        "sex": {"M": "M", "F": "F"}.get(elements.text("PatientSex") or ""),
        "laterality": next(filter(None, map(elements.text, LATERALITIES)), None),
        "manufacturer": elements.text("Manufacturer"),
        "burned_in": {"YES": True, "NO": False}.get(elements.text("BurnedInAnnotation") or ""),
        "study_uid": elements.text("StudyInstanceUID"),
        "series_uid": elements.text("SeriesInstanceUID"),
        "instance_uid": elements.text("SOPInstanceUID"),
        "accession": elements.text("AccessionNumber"),
        "institution": elements.text("InstitutionName"),
        "station": elements.text("StationName"),
        "transfer_syntax": UID(file.syntax).name,
    }
    known = {name: value for name, value in facts.items() if value is not None}
    return {
        name: value[:LONGEST_FACT] if isinstance(value, str) else value
        for name, value in known.items()
    }


def age_in_years(text: str) -> float | None:
    """Years of a DICOM age string ("062Y", "018M", "006W", "010D"; PS3.5 6.2) or a bare number.

    https://dicom.nema.org/medical/dicom/current/output/chtml/part05/sect_6.2.html
    """
    match = re.fullmatch(r"(\d{1,3})([DWMY]?)", text.strip().upper())
    return int(match[1]) * YEARS[match[2]] if match else None
