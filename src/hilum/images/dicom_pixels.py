"""Stored pixel values out of DICOM pixel data: one decoder per family of transfer syntaxes."""

import struct
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
from pydicom import uid

from hilum.images import codec_process, jpeg, plausible
from hilum.images.codec_process import Frame
from hilum.images.dicom_elements import PixelElement
from hilum.images.dicom_header import Layout
from hilum.types import HilumError

# whole numbers, (row, column) or (row, column, channel); colour JPEG comes as luma (row, column)
Values: TypeAlias = npt.NDArray[Any]
Decoder: TypeAlias = Callable[[bytes, Layout, int | None], Values]

NATIVE = frozenset(
    {uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian}
)
_ITEM = 0xFFFEE000
# Adobe's marker with transform 0: tells libjpeg that the three channels are RGB already
_ADOBE_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"


def stored_values(pixels: PixelElement, layout: Layout, at_least: int | None = None) -> Values:
    """Stored values as whole numbers of the declared bits and sign; DICOM PS3.5 sections 8 and A.

    Baseline JPEG may come smaller, its shorter side no less than `at_least`; HilumError where
    the transfer syntax is not one of DECODERS or the content does not match the header.
    https://dicom.nema.org/medical/dicom/current/output/chtml/part05/chapter_8.html
    """
    if layout.syntax in NATIVE:
        return _native(pixels, layout)
    decode = DECODERS.get(layout.syntax)
    if decode is None:
        raise HilumError(
            f"expected a still-image transfer syntax, got {uid.UID(layout.syntax).name[:80]!r}; "
            "save the image uncompressed"
        )
    return decode(_frame(pixels), layout, at_least)


def _native(pixels: PixelElement, layout: Layout) -> Values:
    if pixels.length is None:
        raise HilumError(
            "expected uncompressed pixel data, got compressed content under an uncompressed or "
            "missing transfer syntax; correct the header"
        )
    data = _view(pixels.stream, pixels.length)
    if pixels.words and not pixels.little_endian and layout.bits_allocated <= 8:
        data = np.frombuffer(data[: len(data) // 2 * 2], ">u2").astype("<u2").tobytes()
    count = layout.rows * layout.columns * layout.samples
    order = "<" if pixels.little_endian else ">"
    if "422" in layout.photometric and len(data) < count:
        return _luma_of_422(data, layout)
    _check_length(len(data), -(-count * layout.bits_allocated // 8))
    if layout.bits_allocated == 1:
        bits = np.frombuffer(data, np.uint8)[: -(-count // 8)]
        return np.unpackbits(bits, count=count, bitorder="little").reshape(layout.shape)
    flat = np.frombuffer(data, f"{order}u{layout.bits_allocated // 8}", count=count)
    stored = flat.astype(flat.dtype.newbyteorder("="), copy=False)
    shift = layout.high_bit + 1 - layout.bits_stored
    return _shaped(
        _extract_bits(stored, layout.bits_stored, shift, layout.signed), layout, layout.planar
    )


def _view(stream: BinaryIO, length: int) -> bytes | memoryview:
    """The next `length` bytes, or what is left; of a stream in memory without a copy of them."""
    if not isinstance(stream, BytesIO):
        return stream.read(length)
    at = stream.tell()
    # not `getbuffer`: a view that dies in one cycle with its stream, as behind an error, brings
    # Python 3.12.1 down. CPython hands out the stream's own bytes here, no copy.
    return memoryview(stream.getvalue())[at : at + length]


def _luma_of_422(data: bytes | memoryview, layout: Layout) -> Values:
    """Y of pixels that share their chroma in pairs, Y1 Y2 Cb Cr; DICOM PS3.3 C.7.6.3.1.2.

    https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.7.6.3.html
    """
    count = layout.rows * layout.columns
    _check_length(len(data), 2 * count + count % 2 * 2)
    pairs = np.frombuffer(data, np.uint8, count=2 * (count + count % 2)).reshape(-1, 4)
    return pairs[:, :2].reshape(-1)[:count].reshape(layout.rows, layout.columns)


def _check_length(got: int, wanted: int) -> None:
    if got < wanted:
        raise HilumError(
            f"expected {wanted:,} bytes of pixel data, got {got:,}: the file is cut short; "
            "copy it again"
        )


def _shaped(flat: Values, layout: Layout, planar: bool) -> Values:
    if not planar or layout.samples == 1:
        return flat.reshape(layout.shape)
    planes = flat.reshape(layout.samples, layout.rows, layout.columns)
    return np.moveaxis(planes, 0, -1)  # (channel, row, column) -> (row, column, channel)


def _extract_bits(values: Values, bits: int, shift: int, signed: bool) -> Values:
    """`bits` bits of each value from bit `shift` up, as two's complement where `signed`."""
    width = 8 * values.dtype.itemsize
    unsigned = values.view(f"u{values.dtype.itemsize}")
    if not signed and shift == 0 and bits < width:
        most = 2**bits - 1
        return unsigned if unsigned.max() <= most else unsigned & np.array(most, unsigned.dtype)
    if bits < width:
        unsigned = unsigned << np.array(width - bits - shift, unsigned.dtype)
    typed = unsigned.view(f"{'ui'[signed]}{values.dtype.itemsize}")
    return typed >> np.array(width - bits, typed.dtype) if bits < width else typed


def _of_stream(values: Values, precision: int, layout: Layout, cells: bool) -> Values:
    """Stored values of a compressed stream whose samples have `precision` bits; PS3.5 8.1.1, 8.2.

    The sign is the highest stored bit. Samples of more bits than are stored may be whole pixel
    `cells` with whatever lies in their other bits. Else a value beyond the stored bits comes from
    lossy coding, or the header counts too few bits, and the stream is right.
    https://dicom.nema.org/medical/dicom/current/output/chtml/part05/sect_8.2.html
    """
    stored, shift = layout.bits_stored, layout.high_bit + 1 - layout.bits_stored
    if precision <= stored:
        return _extract_bits(values, precision, 0, layout.signed)
    if shift and precision > layout.high_bit:
        return _extract_bits(values, stored, shift, layout.signed)
    if not cells and _extract_bits(values, precision, 0, signed=False).max() >= 2**stored:
        return _extract_bits(values, precision, 0, layout.signed)
    return _extract_bits(values, stored, 0, layout.signed)


def _frame(pixels: PixelElement) -> bytes:
    """The one compressed frame: all fragments after the offset table; DICOM PS3.5 A.4.

    https://dicom.nema.org/medical/dicom/current/output/chtml/part05/sect_A.4.html
    """
    fragments = []
    while len(head := pixels.stream.read(8)) == 8:
        group, element, length = struct.unpack("<HHI", head)
        if group << 16 | element != _ITEM:
            break
        fragments.append(pixels.stream.read(length))
        _check_length(len(fragments[-1]), length)
    if len(fragments) < 2:
        raise HilumError(
            "expected compressed pixel data in fragments, got none; copy the file again"
        )
    return b"".join(fragments[1:])


def _check_stream(layout: Layout, rows: int, columns: int, samples: int) -> None:
    """A compressed stream of another size would be decoded past what was checked."""
    if (rows, columns, samples) != (layout.rows, layout.columns, layout.samples):
        raise HilumError(
            f"expected compressed pixels of {layout.columns} x {layout.rows} x {layout.samples}, "
            f"got {columns} x {rows} x {samples}; correct the header"
        )


def _jpeg(data: bytes, layout: Layout, at_least: int | None) -> Values:
    """JPEG of 8 bits as luma through libjpeg-turbo, of other depths and lossless through GDCM."""
    header = jpeg.read_header(BytesIO(data))
    _check_stream(layout, header.height, header.width, jpeg.CHANNELS.get(header.kind, 0))
    if header.bits != 8 or layout.syntax in LOSSLESS_JPEG:
        jpeg.check_data(data, header)
        return _jpeg_by_gdcm(data, layout, header.bits)
    if layout.photometric == "RGB" and not _states_colour_space(data):
        data = data[:2] + _ADOBE_RGB + data[2:]
    return _extract_bits(jpeg.decode_stored(data, header, at_least), 8, 0, layout.signed)


def _states_colour_space(data: bytes) -> bool:
    head = data[:4096]
    return b"JFIF\0" in head or b"\xff\xee\x00\x0eAdobe" in head


def _jpeg_by_gdcm(data: bytes, layout: Layout, precision: int) -> Values:
    # GDCM cuts off what lies above the bits stored, which may be pixels that lie higher
    bits_decoded = min(max(precision, layout.bits_stored), layout.bits_allocated)
    frame = Frame("GDCM", replace(layout, bits_stored=bits_decoded), data)
    stored = _from_buffer(codec_process.decode(frame)[1], layout, layout.bits_allocated)
    cells = layout.syntax in LOSSLESS_JPEG
    return _shaped(_of_stream(stored, precision, layout, cells), layout, layout.planar)


def _from_buffer(data: bytes, layout: Layout, bits: int) -> Values:
    """(sample,) unsigned values of as many whole bytes as `bits` take, little-endian."""
    size = 1 if bits <= 8 else 2 if bits <= 16 else 4
    count = layout.rows * layout.columns * layout.samples
    _check_length(len(data), count * size)
    return np.frombuffer(data, f"<u{size}", count=count)


def _jpeg_ls(data: bytes, layout: Layout, _at_least: int | None) -> Values:
    header = jpeg.read_header(BytesIO(data))
    _check_stream(layout, header.height, header.width, jpeg.CHANNELS.get(header.kind, 0))
    plausible.check_blank(header.width, header.height, len(data))
    facts, buffer = codec_process.decode(Frame("JPEG-LS", layout, data))
    stored = _from_buffer(buffer, layout, header.bits)
    by_plane = facts["interleave_mode"] == 0
    cells = facts["allowed_lossy_error"] == 0
    return _shaped(_of_stream(stored, header.bits, layout, cells), layout, by_plane)


def _jpeg_2000(data: bytes, layout: Layout, _at_least: int | None) -> Values:
    plausible.check_blank(layout.columns, layout.rows, len(data))
    facts, buffer = codec_process.decode(Frame("JPEG 2000", layout, data))
    _check_stream(layout, *facts["size"])
    stored = np.frombuffer(buffer, facts["dtype"]).reshape(layout.shape)
    bits = min(facts["precision"], 8 * stored.itemsize)
    return _of_stream(stored, bits, layout, cells=False)


def _run_length(data: bytes, layout: Layout, _at_least: int | None) -> Values:
    """RLE: one PackBits segment per byte of each sample, high byte first; DICOM PS3.5 annex G.

    https://dicom.nema.org/medical/dicom/current/output/chtml/part05/chapter_G.html
    """
    count, size = layout.rows * layout.columns, -(-layout.bits_allocated // 8)
    number, *offsets = struct.unpack("<16I", data[:64])
    if number != layout.samples * size:
        raise HilumError(
            f"expected {layout.samples * size} run-length segments, got {number}; "
            "copy the file again"
        )
    ends = [*offsets[1:number], len(data)]
    segments = [data[start:end] for start, end in zip(offsets, ends, strict=False)]
    planes = np.stack([_unpack_bits(segment, count) for segment in segments])
    # (segment, pixel) -> (sample, pixel, byte), low byte first
    planes = planes.reshape(layout.samples, size, count)[:, ::-1].transpose(0, 2, 1)
    stored = np.ascontiguousarray(planes).view(f"<u{size}").reshape(-1)
    shift = layout.high_bit + 1 - layout.bits_stored
    return _shaped(
        _extract_bits(stored, layout.bits_stored, shift, layout.signed), layout, planar=True
    )


def _unpack_bits(segment: bytes, count: int) -> npt.NDArray[np.uint8]:
    """The first `count` bytes that a PackBits `segment` stands for.

    Section 9 of TIFF 6.0, https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf
    """
    out, at = bytearray(), 0
    while at < len(segment) and len(out) < count:
        lead = segment[at]
        if lead < 128:
            out += segment[at + 1 : at + 2 + lead]
            at += lead + 2
        elif lead > 128:
            out += segment[at + 1 : at + 2] * (257 - lead)
            at += 2
        else:
            at += 1
    _check_length(len(out), count)
    return np.frombuffer(bytes(out[:count]), np.uint8)


LOSSLESS_JPEG = frozenset({uid.JPEGLossless, uid.JPEGLosslessSV1})
DECODERS: dict[str, Decoder] = {
    uid.JPEGBaseline8Bit: _jpeg,
    uid.JPEGExtended12Bit: _jpeg,
    uid.JPEGLossless: _jpeg,
    uid.JPEGLosslessSV1: _jpeg,
    uid.JPEGLSLossless: _jpeg_ls,
    uid.JPEGLSNearLossless: _jpeg_ls,
    uid.JPEG2000Lossless: _jpeg_2000,
    uid.JPEG2000: _jpeg_2000,
    uid.HTJ2KLossless: _jpeg_2000,
    uid.HTJ2KLosslessRPCL: _jpeg_2000,
    uid.HTJ2K: _jpeg_2000,
    uid.RLELossless: _run_length,
}
