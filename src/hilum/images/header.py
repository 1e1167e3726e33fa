"""What a PNG or TIFF file says about itself before anything is decoded; JPEG has its own file."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, BinaryIO, Literal

from hilum.images.white_level import BITS as DEEP
from hilum.images.white_level import LEAST_BITS, NOT_STATED
from hilum.types import HilumError

ORIENTATION = 274  # the TIFF tag that EXIF borrows
PNG_KINDS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}
WHITE_IS_ZERO = "grey, white is zero"
TIFF_KINDS = {
    0: WHITE_IS_ZERO, 1: "grey", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr",
}  # fmt: skip
TIFF_SIZES = {1: "B", 3: "H", 4: "I", 16: "Q"}  # type code -> struct code
MAX_TIFF_ENTRIES, MAX_PNG_CHUNKS = 4096, 4096


@dataclass(frozen=True, slots=True)
class Header:
    """One image's header; width and height in pixels as stored, before `orientation` is applied."""

    format: str
    width: int
    height: int
    bits: int  # per channel
    kind: str  # of colour
    orientation: int = 1  # TIFF 6.0 tag 274: 1 upright ... 8
    numbers: Literal["unsigned", "signed", "float"] = "unsigned"
    samples: int = 0  # channels of a TIFF, alpha and others too; 0 where nobody asks
    planar: bool = False  # channels one after the other
    alpha: bool = True  # whether a last channel beyond the colours is to be multiplied with
    coding: int = 0  # SOF marker of a JPEG: baseline, progressive, lossless, ...
    white_bits: int | None = None  # significant bits of a sample, where the file declares them
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) after the orientation is applied."""
        turned = self.orientation >= 5
        return (self.height, self.width) if turned else (self.width, self.height)


def take(stream: BinaryIO, count: int) -> bytes:
    """Exactly `count` bytes of `stream`; HilumError where it ends before."""
    got = stream.read(count)
    if len(got) < count:
        raise HilumError(
            f"expected {count} more header bytes, got {len(got)}: the file is cut short; "
            "copy it again"
        )
    return got


def read_png(stream: BinaryIO) -> Header:
    """Header of the PNG in `stream`, up to its pixels; W3C PNG (Third Edition), chapter 11.

    https://www.w3.org/TR/png-3/#11IHDR
    """
    stream.seek(8)
    length, name = struct.unpack(">I4s", take(stream, 8))
    if name != b"IHDR" or length != 13:
        raise HilumError(f"expected a PNG header chunk, got {name!r}; export the image again")
    width, height, bits, colour = struct.unpack(">IIBB", take(stream, 10))
    if colour not in PNG_KINDS:
        raise HilumError(
            f"expected a PNG colour type of 0, 2, 3, 4 or 6, got {colour}; export again"
        )
    stream.seek(7, 1)  # rest of IHDR and its checksum
    chunks = _png_chunks(stream)
    significant = chunks.get(b"sBIT", b"")[: 3 if colour in (2, 6) else 1]
    stated = max(significant, default=0) if bits == DEEP else 0
    return Header(
        "PNG", width, height, bits, PNG_KINDS[colour], exif_orientation(chunks.get(b"eXIf", b"")),
        white_bits=white_bits(stated), facts=_white_fact(bits, white_bits(stated), "sBIT"),
    )  # fmt: skip


def _png_chunks(stream: BinaryIO) -> dict[bytes, bytes]:
    """The chunks eXIf and sBIT that are before the pixels; refuses animations."""
    chunks: dict[bytes, bytes] = {}
    for _ in range(MAX_PNG_CHUNKS):
        head = stream.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            break
        length = int.from_bytes(head[:4], "big")
        start = stream.tell()
        if head[4:] == b"acTL" and struct.unpack(">I", take(stream, 4))[0] > 1:
            raise HilumError("expected one image, got an animated PNG; save one frame on its own")
        if head[4:] in (b"eXIf", b"sBIT"):
            chunks[head[4:]] = stream.read(length)
        stream.seek(start + length + 4)
    return chunks


def white_bits(stated: int) -> int | None:
    """`stated` where it can be the number of significant bits in a 16-bit sample, else None.

    https://www.w3.org/TR/png-3/#11sBIT
    """
    return stated if LEAST_BITS <= stated <= DEEP else None


def _white_fact(bits: int, stated: int | None, where: str) -> dict[str, Any]:
    """The fact `white` of a file of more than 8 bits: where its white is declared, if it is."""
    if bits <= 8:
        return {}
    return {"white": f"{where}, {stated} bits" if stated else NOT_STATED}


def exif_orientation(exif: bytes) -> int:
    """Orientation 1-8 of an EXIF block (a TIFF without image); 1 where it is absent or broken.

    CIPA DC-008 (Exif 2.3), https://www.cipa.jp/std/documents/e/DC-008-2012_E.pdf
    """
    if exif[:4] not in (b"II*\0", b"MM\0*"):
        return 1
    try:
        tags, _ = _tiff_directory(BytesIO(exif))
    except (HilumError, struct.error):
        return 1
    return _orientation(tags)


def _orientation(tags: dict[int, tuple[int, ...]]) -> int:
    value = tags.get(ORIENTATION, (1,))[0]
    return value if 1 <= value <= 8 else 1


def read_tiff(stream: BinaryIO) -> Header:
    """Header of the one-page TIFF or BigTIFF in `stream`; Adobe TIFF 6.0, section 8.

    https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf
    """
    tags, following = _tiff_directory(stream)
    if following:
        raise HilumError(
            "expected one image, got a TIFF of several pages; save one page on its own"
        )
    if 256 not in tags or 257 not in tags:
        raise HilumError("expected a TIFF with a width and a height, got neither; export it again")
    kind, sample = tags.get(262, (1,))[0], tags.get(339, (1,))[0]
    if kind not in TIFF_KINDS or sample not in (1, 2, 3, 4):
        raise HilumError(
            f"expected a grey, palette, RGB, CMYK or YCbCr TIFF, got photometric {kind} "
            f"with sample format {sample}; export it as 8- or 16-bit grey"
        )
    bits = max(tags.get(258, (1,)))
    numbers: dict[int, Literal["unsigned", "signed", "float"]] = {2: "signed", 3: "float"}
    samples = tags.get(277, (1,))[0]
    stated = _stated_bits(tags) if bits == DEEP and sample not in numbers else None
    return Header(
        "TIFF", tags[256][0], tags[257][0], bits, TIFF_KINDS[kind], _orientation(tags),
        numbers.get(sample, "unsigned"),
        samples=samples,
        planar=samples > 1 and tags.get(284, (1,))[0] == 2,
        alpha=tags.get(338, (0,))[0] == 2,
        white_bits=stated,
        facts=_white_fact(bits, stated, "MaxSampleValue"),
    )  # fmt: skip


def _stated_bits(tags: dict[int, tuple[int, ...]]) -> int | None:
    """Significant bits by MaxSampleValue or SMaxSampleValue; TIFF 6.0, tags 281 and 341.

    Either may be no more than the greatest value met, which one hot pixel decides: only a value
    of 2**n - 1 is taken for a white.
    """
    most = max((*tags.get(281, (0,)), *tags.get(341, (0,))))
    return white_bits(most.bit_length()) if most & most + 1 == 0 else None


def directory_at(head: bytes) -> int:
    """Offset of the first directory, by the first 16 bytes of a TIFF or BigTIFF."""
    order = "<" if head[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", head, 2)[0] == 43
    return int(struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)[0])


def _tiff_directory(stream: BinaryIO) -> tuple[dict[int, tuple[int, ...]], int]:
    """The whole-number tags of the first directory, and the offset of the next directory or 0."""
    stream.seek(0)
    order = "<" if take(stream, 2) == b"II" else ">"
    big = struct.unpack(order + "H", take(stream, 2))[0] == 43

    def unpack(code: str) -> tuple[int, ...]:
        return struct.unpack(order + code, take(stream, struct.calcsize(order + code)))

    if big:
        unpack("HH")
    stream.seek(unpack("Q" if big else "I")[0])
    count = unpack("Q" if big else "H")[0]
    if count > MAX_TIFF_ENTRIES:
        raise HilumError(
            f"expected a TIFF directory of at most {MAX_TIFF_ENTRIES} entries, got {count:,}; "
            "export the image again"
        )
    tags = dict(_tiff_entry(stream, unpack, big) for _ in range(count))
    return tags, unpack("Q" if big else "I")[0]


def _tiff_entry(
    stream: BinaryIO, unpack: Callable[[str], tuple[int, ...]], big: bool
) -> tuple[int, tuple[int, ...]]:
    """One tag and its first values; leaves `stream` at the next entry."""
    tag, type_, count = unpack("HHQ" if big else "HHI")
    room = 8 if big else 4
    end = stream.tell() + room
    code = TIFF_SIZES.get(type_)
    if code is None or not count:
        stream.seek(end)
        return tag, (0,)
    if struct.calcsize(code) * count > room:
        stream.seek(unpack("Q" if big else "I")[0])
    values = unpack(f"{min(count, 4)}{code}") if tag in _TIFF_WANTED else (0,)
    stream.seek(end)
    return tag, values


_TIFF_WANTED = frozenset({256, 257, 258, 262, ORIENTATION, 277, 281, 284, 338, 339, 341})
