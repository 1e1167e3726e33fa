"""The raw values of a DICOM file, read without conversion, so that no value reaches a message."""

import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import SEEK_END, BytesIO
from math import isfinite
from typing import Any, BinaryIO

from pydicom.datadict import keyword_dict
from pydicom.filereader import data_element_generator, read_sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.values import converters

from hilum.images.limits import MAX_BYTES
from hilum.types import HilumError

PIXEL_DATA = 0x7FE00010
FLOATS = {0x7FE00008: "Float Pixel Data", 0x7FE00009: "Double Float Pixel Data"}
_VRS = frozenset(name.encode() for name in map(str, converters) if len(name) == 2)
_UNDEFINED = 0xFFFFFFFF
# a deflated film shrinks to a half; blank ones are below FREE, whatever they shrink to
RATIO, FREE = 100, 64 << 20  # inflated bytes of one, and those that are always allowed
PIECE = 1 << 16  # bytes inflated at a time


@dataclass(frozen=True, slots=True)
class Elements:
    """Data elements of one DICOM data set or sequence item, by tag, values undecoded."""

    raw: dict[int, Any]

    def content(self, keyword: str) -> bytes:
        """The value's bytes as they are in the file; empty where the element is absent."""
        element = self.raw.get(keyword_dict[keyword])
        value = getattr(element, "value", b"")
        return value if isinstance(value, bytes) else b""

    def texts(self, keyword: str) -> list[str]:
        """The values of a text element without padding; control characters removed."""
        content = self.content(keyword)
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            text = content.decode("latin-1")  # keeps different identifiers different
        values = ["".join(c for c in part if c.isprintable()).strip() for part in text.split("\\")]
        return values if any(values) else []

    def text(self, keyword: str) -> str | None:
        """The first value of a text element, or None."""
        values = self.texts(keyword)
        return values[0] or None if values else None

    def decimals(self, keyword: str) -> list[float]:
        """The values of a DS or IS element; HilumError where one is not a finite number."""
        try:
            values = [float(text) for text in self.texts(keyword) if text]
        except ValueError:
            values = [float("nan")]
        if not all(abs(value) < float("inf") for value in values):
            raise HilumError(
                f"expected numbers in {keyword}, got something else; correct the header"
            )
        return values

    def numbers(self, keyword: str) -> list[float | None]:
        """The values of a DS or IS element in their places; None for what is no finite number."""
        return [_finite(text) for text in self.texts(keyword)]

    def integers(self, keyword: str, signed: bool = False) -> list[int]:
        """The values of a US or SS element (16 bits each, `signed` or not)."""
        content = self.content(keyword)
        count = len(content) // 2
        return list(
            struct.unpack(
                f"{self._byte_order(keyword)}{count}{'hH'[not signed]}", content[: 2 * count]
            )
        )

    def integer(self, keyword: str, default: int | None = None) -> int:
        """The first value of a US element, or `default`; HilumError where both are missing."""
        values = self.integers(keyword)
        if values:
            return values[0]
        if default is None:
            raise HilumError(f"expected a DICOM image with {keyword}, got none; export it again")
        return default

    def items(self, keyword: str) -> list["Elements"]:
        """The items of a sequence element; none where it is absent."""
        element = self.raw.get(keyword_dict[keyword])
        if element is None:
            return []
        sequence = element.value
        if isinstance(sequence, bytes):
            unknown = element.VR == "UN"  # always in implicit VR, little-endian; PS3.5 6.2.2
            sequence = read_sequence(
                BytesIO(sequence), unknown or element.is_implicit_VR,
                unknown or element.is_little_endian, len(sequence), "iso8859",
            )  # fmt: skip
        return [Elements(_by_tag(_usable(item))) for item in sequence or ()]

    def _byte_order(self, keyword: str) -> str:
        element = self.raw[keyword_dict[keyword]] if self.content(keyword) else None
        return ">" if element is not None and not element.is_little_endian else "<"


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Where the pixel data begins in `stream`, and how it is written."""

    stream: BinaryIO
    length: int | None  # bytes; None: encapsulated, of undefined length
    little_endian: bool
    words: bool  # value representation OW, of 16 bits


@dataclass(frozen=True, slots=True)
class DicomFile:
    """A DICOM file read up to its pixel data."""

    elements: Elements
    syntax: str  # transfer syntax UID, guessed for files that declare none
    pixels: PixelElement | None
    floats: str | None = None  # name of the element that holds pixels as floats in place of these


def parse_dicom(stream: BinaryIO, keywords: Iterable[str]) -> DicomFile:
    """Read the `keywords` elements up to the pixel data; DICOM PS3.10 section 7, PS3.5 section 7.

    A missing preamble, file meta group or transfer syntax is made up for by looking at the first
    element; a deflated data set is inflated up to FREE bytes, or RATIO times what it weighs.
    https://dicom.nema.org/medical/dicom/current/output/chtml/part10/chapter_7.html
    """
    stream.seek(0)
    if stream.read(132)[128:] != b"DICM":
        stream.seek(0)
    meta = Elements(
        _by_tag(
            data_element_generator(
                stream, is_implicit_VR=False, is_little_endian=True, stop_when=_after_meta
            )
        )
    )
    declared = meta.text("TransferSyntaxUID")
    if declared == DeflatedExplicitVRLittleEndian:
        stream = _inflate(stream)
    syntax = _actual_syntax(stream, declared)
    little_endian = syntax != ExplicitVRBigEndian
    explicit = syntax != ImplicitVRLittleEndian
    data_elements = data_element_generator(
        stream, not explicit, little_endian, _at_pixels,
        specific_tags=[keyword_dict[keyword] for keyword in keywords],
    )  # fmt: skip
    elements = Elements(_by_tag(data_elements))  # leaves the stream at the pixels
    tag = _tag(stream, little_endian)
    return DicomFile(
        elements,
        declared if declared and declared != DeflatedExplicitVRLittleEndian else syntax,
        _pixel_element(stream, explicit, little_endian) if tag == PIXEL_DATA else None,
        FLOATS.get(tag or 0),
    )


def _finite(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def _by_tag(elements: Iterable[Any]) -> dict[int, Any]:
    return {int(element.tag): element for element in elements}


def _usable(item: Any) -> Iterator[Any]:
    """Elements of a sequence's item, less those whose kind depends on one that is not there."""
    for tag in sorted(item.keys()):
        with suppress(AttributeError):  # pydicom's, for instance for the data of a LUT
            yield item.get_item(tag)


def _after_meta(tag: int, _vr: str | None, _length: int) -> bool:
    return tag >> 16 != 2


def _at_pixels(tag: int, _vr: str | None, _length: int) -> bool:
    return tag == PIXEL_DATA or tag in FLOATS


def _inflate(stream: BinaryIO) -> BinaryIO:
    """The rest of `stream` without its deflate compression; DICOM PS3.5 A.5.

    https://dicom.nema.org/medical/dicom/current/output/chtml/part05/sect_A.5.html
    """
    start = stream.tell()
    size = stream.seek(0, SEEK_END) - start
    stream.seek(start)
    most = min(MAX_BYTES, max(FREE, RATIO * size))
    inflater, content = zlib.decompressobj(-zlib.MAX_WBITS), BytesIO()
    while not inflater.eof and (piece := stream.read(PIECE)):
        content.write(inflater.decompress(piece, most + 1 - content.tell()))
        if content.tell() > most:
            raise HilumError(
                f"expected at most {most:,} bytes once inflated, got more; export it uncompressed"
            )
    if not inflater.eof:
        raise HilumError(
            "expected a whole deflated data set, got one cut short; copy the file again"
        )
    content.seek(0)
    return content


def _actual_syntax(stream: BinaryIO, declared: str | None) -> str:
    """The native transfer syntax in which the elements at the stream's place are really written."""
    head = stream.read(6)
    stream.seek(-len(head), 1)
    if head[4:6] not in _VRS:
        return str(ImplicitVRLittleEndian)
    big = declared == ExplicitVRBigEndian or (declared is None and head[0] == 0)
    return str(ExplicitVRBigEndian if big else ExplicitVRLittleEndian)


def _tag(stream: BinaryIO, little_endian: bool) -> int | None:
    """Tag of the element at the stream's place, which stays there; None at its end."""
    head = stream.read(4)
    stream.seek(-len(head), 1)
    if len(head) < 4:
        return None
    group, element = struct.unpack("<HH" if little_endian else ">HH", head)
    return int(group << 16 | element)


def _pixel_element(stream: BinaryIO, explicit: bool, little_endian: bool) -> PixelElement | None:
    """The pixel data element at the stream's place, its header consumed; None if cut short."""
    head = stream.read(8)
    length_field = stream.read(4) if explicit else head[4:]
    if len(length_field) < 4:
        return None
    length = struct.unpack("<I" if little_endian else ">I", length_field)[0]
    words = not explicit or head[4:6] == b"OW"
    return PixelElement(stream, None if length == _UNDEFINED else length, little_endian, words)
