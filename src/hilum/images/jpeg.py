"""JPEG: headers read marker by marker, and decoding at the smallest DCT scale that is enough."""

import hashlib
import struct
from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO
from typing import BinaryIO

import numpy as np
import simplejpeg
from PIL import Image

from hilum.images import gray, plausible
from hilum.images.header import Header, exif_orientation, take
from hilum.types import Grey8, HilumError

CHANNELS = {"grey": 1, "colour": 3, "CMYK": 4}
KINDS = {channels: kind for kind, channels in CHANNELS.items()}
SCALES = (8, 4, 2)  # libjpeg-turbo has fast paths for these
# SOF markers, with that of JPEG-LS (ITU-T T.87), whose header has the same layout
_FRAMES = (frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}) | {0xF7}
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a segment
_SCAN, _END, _TABLES, _APP1 = 0xDA, 0xD9, 0xDB, 0xE1
_SCAN_BYTES = bytes([0xFF, _SCAN])
_WANTED = _FRAMES | {_TABLES, _APP1}
MAX_TABLES = 1 << 16  # bytes: the four that a picture can use have 516
MAX_SEGMENTS, MAX_STRAY = 2048, 4096  # a hostile file must not keep the header reader busy

# Luminance table of ITU-T T.81 (1992), K.1; only sums of it are compared, so order is free.
_LUMINANCE = np.array(
    [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
     14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
     18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
     49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99]
)  # fmt: skip


def read_header(stream: BinaryIO) -> Header:
    """Header of the JPEG in `stream`, up to its first scan; ITU-T T.81 (1992), annex B.

    https://www.w3.org/Graphics/JPEG/itu-t81.pdf
    """
    stream.seek(2)
    frame, coding, tables, exif = b"", 0, b"", b""
    for marker, content in _segments(stream):
        if marker in _FRAMES:
            frame, coding = content, marker
        elif marker == _TABLES:
            tables += content
            if len(tables) > MAX_TABLES:
                raise HilumError(
                    f"expected at most {MAX_TABLES:,} bytes of JPEG tables, got more; "
                    "export the image again"
                )
        elif content.startswith(b"Exif\0"):
            exif = content[6:]  # the last one counts, and it alone is parsed
    if len(frame) < 6:
        raise HilumError("expected a JPEG with a frame header, got none; export the image again")
    bits, height, width, channels = struct.unpack(">BHHB", frame[:6])
    facts = {
        "quantisation": hashlib.blake2s(tables, digest_size=8).hexdigest(),
        "quality": quality(tables),
    }
    kind = KINDS.get(channels, f"{channels} channels")
    return Header(
        "JPEG", width, height, bits, kind, exif_orientation(exif), coding=coding, facts=facts
    )


def check_data(data: bytes, header: Header) -> None:
    """HilumError for less data than such a JPEG can have, or more scans than any needs."""
    plausible.check_jpeg(header.coding, header.width, header.height, len(data))
    plausible.check_scans(data.count(_SCAN_BYTES), header.width, header.height)


def _segments(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(marker, content) of the segments that matter before the first scan."""
    for _ in range(MAX_SEGMENTS):
        marker = _next_marker(stream)
        if marker in (_SCAN, _END):
            return
        if marker in _BARE:
            continue
        length = max(struct.unpack(">H", take(stream, 2))[0] - 2, 0)
        start = stream.tell()
        if marker in _WANTED:
            yield marker, take(stream, length)
        stream.seek(start + length)
    raise HilumError(
        f"expected pixels within {MAX_SEGMENTS} JPEG segments, got none; export the image again"
    )


def _next_marker(stream: BinaryIO) -> int:
    """Code of the next marker; a few stray bytes before it and fill bytes are passed over."""
    for _ in range(MAX_STRAY):
        if take(stream, 1) != b"\xff":
            continue
        code = take(stream, 1)[0]
        if code not in (0, 0xFF):
            return code
        stream.seek(-1, 1)  # 0xFF may be a fill byte: the next one decides
    raise HilumError(f"expected a JPEG marker, got {MAX_STRAY} other bytes; copy the file again")


@lru_cache(maxsize=256)  # a whole dataset shares a handful of tables
def quality(tables: bytes) -> int | None:
    """IJG quality 1-100 whose luminance table has the sum nearest to that of `tables` (DQT).

    The scaling of the tables is that of the Independent JPEG Group's library, https://www.ijg.org.
    """
    if len(tables) < 65 or tables[0] & 15:
        return None
    wide = tables[0] >> 4
    if wide and len(tables) < 129:
        return None
    steps = np.frombuffer(tables[1:], ">u2" if wide else "u1", count=64)
    settings = np.arange(1, 101)[:, None]  # (quality, 1) against (64,) steps
    scales = np.where(settings < 50, 5000 // settings, 200 - 2 * settings)
    sums = np.clip((_LUMINANCE * scales + 50) // 100, 1, 255).sum(axis=1)
    return int(np.abs(sums - int(steps.sum())).argmin()) + 1


def decode_jpeg(data: bytes, header: Header, at_least: int | None = None) -> Grey8:
    """Pixels (height, width), upright; the shorter side may shrink to no less than `at_least`.

    Colour comes out as the luma that the file stores (ITU-T T.871, JFIF), CMYK through Pillow.
    https://www.itu.int/rec/T-REC-T.871
    """
    if header.bits != 8:
        raise HilumError(
            f"expected a JPEG of 8 bits per channel, got {header.bits}; export it as 16-bit PNG"
        )
    return gray.upright(decode_stored(data, header, at_least), header.orientation)


def decode_stored(data: bytes, header: Header, at_least: int | None) -> Grey8:
    """Pixels (height, width) of an 8-bit JPEG as `decode` gives them, but not turned upright."""
    check_data(data, header)
    if header.kind == "CMYK":
        return _decode_with_pillow(data)
    height, width = scaled_size(header, at_least)
    try:
        pixels = simplejpeg.decode_jpeg(data, "GRAY", min_height=height, min_width=width)
    except ValueError:  # strict: Pillow forgives stray bytes, yet refuses what is cut short
        return _decode_with_pillow(data)
    return np.asarray(pixels[..., 0])


def scaled_size(header: Header, at_least: int | None) -> tuple[int, int]:
    """(height, width) as stored, at the smallest fast scale that keeps `at_least`."""
    scale = reduction(min(header.height, header.width), at_least)
    return -(-header.height // scale), -(-header.width // scale)


def reduction(shorter: int, at_least: int | None) -> int:
    """By how much a side of `shorter` pixels may shrink and keep `at_least`: 1, 2, 4 or 8."""
    if at_least is None:
        return 1
    return next((scale for scale in SCALES if -(-shorter // scale) >= at_least), 1)


def _decode_with_pillow(data: bytes) -> Grey8:
    with Image.open(BytesIO(data), formats=("JPEG", "MPO")) as image:
        if image.mode not in ("L", "RGB", "CMYK"):
            raise HilumError(f"expected a grey, colour or CMYK JPEG, got {image.mode!r}; export it")
        if image.mode == "L":
            return np.asarray(image)
        return gray.luma(np.asarray(image.convert("RGB")))
