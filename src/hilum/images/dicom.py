"""One DICOM file to one grey image and its facts."""

from typing import Any, BinaryIO

from hilum.images import dicom_grey, dicom_header, dicom_pixels
from hilum.images.dicom_elements import DicomFile, parse
from hilum.images.dicom_header import Layout
from hilum.images.limits import check_pixels
from hilum.types import GreyImage

KEYWORDS = (
    *dicom_header.LAYOUT_KEYWORDS,
    *dicom_header.FACT_KEYWORDS,
    *dicom_grey.GREY_KEYWORDS,
)


def open_header(stream: BinaryIO) -> tuple[DicomFile, Layout, dict[str, Any]]:
    """The file up to its pixels, their checked layout, and facts (width and height in pixels)."""
    file = parse(stream, KEYWORDS)
    layout = dicom_header.layout(file)
    check_pixels(layout.columns, layout.rows)
    size = {"width": layout.columns, "height": layout.rows, "bits": layout.bits_stored}
    facts = {"format": "DICOM", **size, "photometric": layout.photometric}
    return file, layout, facts | dicom_header.facts(file)


def decode(stream: BinaryIO, at_least: int | None = None) -> tuple[GreyImage, dict[str, Any]]:
    """Grey (height, width) and facts; 8-bit JPEG may shrink to a shorter side of `at_least`."""
    file, layout, facts = open_header(stream)
    assert file.pixels is not None  # noqa: S101  (layout refuses a file without pixel data)
    if layout.samples == 3:
        stored = dicom_pixels.stored_values(file.pixels, layout, at_least)
        return dicom_grey.from_colour(stored, layout), facts
    if layout.photometric == "PALETTE COLOR":
        stored = dicom_pixels.stored_values(file.pixels, layout)
        return dicom_grey.from_palette(stored, file.elements), facts
    rules = dicom_grey.display(file.elements, layout)
    # averaging pixels first is only right where the rest is linear
    linear = rules.plain and rules.padding is None
    stored = dicom_pixels.stored_values(file.pixels, layout, at_least if linear else None)
    grey = dicom_grey.from_grey(stored, rules, layout)
    return grey, facts | {"greys": "as stored" if grey.dtype == "uint8" else rules.rule}
