"""Which format a file's first bytes belong to; names and suffixes are never trusted."""

import string
from typing import Literal, TypeAlias

from hilum.types import HilumError

Format: TypeAlias = Literal["PNG", "JPEG", "TIFF", "DICOM"]

SNIFFED = 132  # bytes: a DICOM file shows its magic after a preamble of 128
SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".dcm", ".dicom", ".ima"}
)

MAGIC: dict[bytes, Format] = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",  # BigTIFF
    b"MM\0+": "TIFF",
}
STRANGERS = {
    b"GIF8": "a GIF image",
    b"BM": "a BMP image",
    b"RIFF": "a WebP or other RIFF file",
    b"\0\0\0\x0cjP  ": "a bare JPEG 2000 file",
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "a gzip archive",
    b"PK\x03\x04": "a ZIP archive",
}
_PRINTABLE = frozenset(string.printable.encode())
_SHORT_VRS = frozenset({b"UL", b"UI", b"CS", b"DA", b"TM", b"SH", b"LO", b"OB", b"US"})


def sniff(head: bytes) -> Format:
    """The format of a file that begins with `head` (SNIFFED bytes); HilumError for any other.

    PNG: https://www.w3.org/TR/png-3/#5PNG-file-signature; the DICOM preamble:
    https://dicom.nema.org/medical/dicom/current/output/chtml/part10/chapter_7.html
    """
    if head[128:132] == b"DICM":  # first: the preamble may pose as a TIFF header
        return "DICOM"
    for magic, name in MAGIC.items():
        if head.startswith(magic):
            return name
    if _is_bare_dicom(head):
        return "DICOM"
    raise HilumError(
        f"expected the content of a PNG, JPEG, TIFF or DICOM file, got {_describe(head)}; "
        "export the image to one of these"
    )


def _is_bare_dicom(head: bytes) -> bool:
    """Does the file begin with a data element of group 2 or 8, as one without preamble does?"""
    if len(head) < 8:
        return False
    orders: tuple[Literal["little", "big"], ...] = ("little", "big")
    for order in orders:
        group = int.from_bytes(head[0:2], order)
        element = int.from_bytes(head[2:4], order)
        if (group, element) not in {
            (2, 0),
            (2, 1),
            (2, 2),
            (8, 0),
            (8, 1),
            (8, 5),
            (8, 8),
            (8, 22),
        }:
            continue
        if head[4:6] in _SHORT_VRS or int.from_bytes(head[4:8], "little") <= 256:
            return True
    return False


def _describe(head: bytes) -> str:
    for magic, name in STRANGERS.items():
        if head.startswith(magic):
            return name
    if all(byte in _PRINTABLE or byte > 127 for byte in head):
        return "a text file"
    return f"a file that begins with the bytes {head[:4].hex(' ')}"
