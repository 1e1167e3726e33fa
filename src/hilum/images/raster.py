"""PNG and TIFF to grey pixels: OpenCV where it can answer for every pixel, Pillow elsewhere."""

import zlib
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from hilum.images import grey
from hilum.images.header import WHITE_IS_ZERO, Header
from hilum.types import Grey8, GreyImage, HilumError

DEPTHS = {
    "unsigned": (1, 2, 4, 8, 16, 32),
    "signed": (8, 16, 32),
    "float": (32, 64),
}


def decode(data: bytes, header: Header) -> GreyImage:
    """Pixels (height, width) of a PNG or TIFF file, upright: uint8, or float32 in [0, 1]."""
    if header.bits not in DEPTHS[header.numbers]:
        raise HilumError(
            f"wanted a depth of 1, 2, 4, 8, 16 or 32 bits, got {header.bits} bits "
            f"{header.numbers}; export the image with 8 or 16 bits"
        )
    if header.bits == 8 and header.kind in ("grey", "RGB") and _is_plain_png(data, header):
        pixels: GreyImage = _decode_plain(data, header)
    elif header.bits <= 8 and header.numbers == "unsigned":
        pixels = _decode_shallow(data, header)
    else:
        pixels = grey.scale(_decode_deep(data, header))
        if header.kind == WHITE_IS_ZERO:
            pixels = grey.negative(pixels)
    # both libraries turn TIFF files themselves, and neither turns PNG
    return pixels if header.format == "TIFF" else grey.upright(pixels, header.orientation)


def _is_plain_png(data: bytes, header: Header) -> bool:
    """Whether this is a PNG whose checksums all hold, to its end, and no colour is transparent.

    OpenCV hands out half a picture where checksums fail. W3C PNG (Third Edition), chapter 5.
    """
    if header.format != "PNG":
        return False
    seen, at = memoryview(data), 8
    while (start := at + 4) + 8 <= len(seen):
        end = start + 4 + int.from_bytes(seen[at:start], "big")
        name, at = bytes(seen[start : start + 4]), end + 4
        if zlib.crc32(seen[start:end]) != int.from_bytes(seen[end:at], "big") or name == b"tRNS":
            return False
        if name == b"IEND":
            return True
    return False


def _decode_plain(data: bytes, header: Header) -> Grey8:
    """(height, width) uint8 of such a PNG through OpenCV, in less time than Pillow takes."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.shape[1::-1] != (header.width, header.height):
        raise HilumError(
            "wanted all pixels of a PNG, got fewer, though its checksums hold: the program that "
            "wrote it failed; export the image again"
        )
    grey8: Grey8 = np.asarray(pixels, np.uint8)
    return grey8 if grey8.ndim == 2 else grey.luma(grey8[..., ::-1])


def _decode_shallow(data: bytes, header: Header) -> Grey8:
    """(height, width) uint8 through Pillow; transparency is laid on black."""
    with Image.open(BytesIO(data), formats=(header.format,)) as image:
        image.load()
        mode = image.mode
        if mode in ("1", "L") and "transparency" not in image.info:
            return np.asarray(image.convert("L"))
        if mode in ("RGB", "CMYK", "YCbCr") and "transparency" not in image.info:
            return grey.luma(np.asarray(image.convert("RGB")))
        if mode not in ("1", "L", "RGB", "P", "LA", "PA", "RGBA"):
            raise HilumError(f"wanted a grey or colour image, got mode {mode!r}; export it as grey")
        layers = np.asarray(image.convert("RGBA"))
    return grey.on_black(grey.luma(layers[..., :3]), layers[..., 3])


def _decode_deep(data: bytes, header: Header) -> npt.NDArray[Any]:
    """(height, width) of the file's own number type through OpenCV."""
    if header.format == "PNG":  # OpenCV hands out half a picture where checksums fail
        with Image.open(BytesIO(data), formats=("PNG",)) as image:
            image.verify()
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    size = header.upright_size if header.format == "TIFF" else (header.width, header.height)
    if pixels is None or pixels.shape[1::-1] != size:
        raise HilumError(
            f"wanted {header.bits}-bit {header.kind} pixels, got content that cannot be decoded: "
            "the file is damaged or of a rare kind; export it again as 16-bit PNG"
        )
    if pixels.ndim == 2:
        return np.asarray(pixels)
    channels = pixels.shape[2]
    if channels == 3:
        return grey.luma(pixels[..., ::-1])
    if channels == 4 and pixels.dtype == np.uint16:
        return grey.on_black(grey.luma(pixels[..., 2::-1]), pixels[..., 3])
    raise HilumError(
        f"wanted 1 or 3 channels of {pixels.dtype}, got {channels}; export the image as grey"
    )
