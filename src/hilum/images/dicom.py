"""One DICOM file to one grey image and its facts."""

from dataclasses import replace
from typing import Any, BinaryIO

from hilum.images import (
    dicom_frames,
    dicom_grayscale,
    dicom_header,
    dicom_kind,
    dicom_pixels,
    dicom_shape,
)
from hilum.images.dicom_elements import DicomFile, parse_dicom
from hilum.images.dicom_header import Layout
from hilum.images.limits import check_pixels
from hilum.types import GreyImage

KEYWORDS = (
    *dicom_header.LAYOUT_KEYWORDS,
    *dicom_header.FACT_KEYWORDS,
    *dicom_grayscale.GREY_KEYWORDS,
    *dicom_shape.SHAPE_KEYWORDS,
    *dicom_frames.GROUPS,
    *dicom_kind.KIND_KEYWORDS,
)


def open_header(stream: BinaryIO) -> tuple[DicomFile, Layout, dict[str, Any]]:
    """The file up to its pixels, their checked layout, and facts.

    Width and height are in square pixels; `pixel_aspect` is height over width of a stored pixel
    that is not square.
    """
    file = parse_dicom(stream, KEYWORDS)
    dicom_kind.require_picture(file.elements)
    layout = dicom_header.layout(file)
    file = replace(file, elements=dicom_frames.of_one_frame(file.elements))
    aspect = dicom_shape.aspect(file.elements)
    height, width = dicom_shape.square_size(layout.rows, layout.columns, aspect)
    check_pixels(width, height)
    size = {"width": width, "height": height, "bits": layout.bits_stored}
    facts = {"format": "DICOM", **size, "photometric": layout.photometric}
    if aspect != 1:
        facts["pixel_aspect"] = aspect
    return file, layout, facts | dicom_header.header_facts(file)


def text(stream: BinaryIO, keyword: str) -> str | None:
    """The first value of one text element (PS3.6 keyword) of the header, None where it is empty."""
    return parse_dicom(stream, (keyword,)).elements.text(keyword)


def decode_dicom(stream: BinaryIO, at_least: int | None = None) -> tuple[GreyImage, dict[str, Any]]:
    """Grey (height, width) and facts; 8-bit JPEG may shrink to a shorter side of `at_least`."""
    file, layout, facts = open_header(stream)
    grey, rule = _to_grey(file, layout, at_least)
    return dicom_shape.squared(grey, facts.get("pixel_aspect", 1.0)), facts | rule


def _to_grey(
    file: DicomFile, layout: Layout, at_least: int | None
) -> tuple[GreyImage, dict[str, Any]]:
    """Grey (row, column), and the facts that only a grey image has."""
    assert file.pixels is not None  # noqa: S101  (layout refuses a file without pixel data)
    if layout.samples == 3:
        stored = dicom_pixels.stored_values(file.pixels, layout, at_least)
        return dicom_grayscale.from_colour(stored, layout), {}
    if layout.photometric == "PALETTE COLOR":
        stored = dicom_pixels.stored_values(file.pixels, layout)
        return dicom_grayscale.from_palette(stored, file.elements, layout), {}
    rules = dicom_grayscale.display(file.elements, layout)
    # averaging pixels first is only right where the rest is linear
    linear = rules.plain and rules.padding is None
    stored = dicom_pixels.stored_values(file.pixels, layout, at_least if linear else None)
    grey = dicom_grayscale.from_grey(stored, rules, layout)
    return grey, {"greys": "as stored" if grey.dtype == "uint8" else rules.rule}
