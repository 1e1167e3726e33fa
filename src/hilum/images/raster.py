"""PNG and TIFF to grey pixels: OpenCV where it can answer for every pixel, Pillow elsewhere."""

import zlib
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from hilum.images import gray, plausible, tiff_planes
from hilum.images.header import WHITE_IS_ZERO, Header
from hilum.types import Grey8, GreyImage, HilumError

DEPTHS = {
    "unsigned": (1, 2, 4, 8, 16, 32),
    "signed": (8, 16, 32),
    "float": (32, 64),
}
CODES = {"unsigned": "u", "signed": "i", "float": "f"}  # of NumPy's types
PNG_CHANNELS = {"grey": 1, "RGB": 3, "palette": 1, "grey with alpha": 2, "RGB with alpha": 4}
COLOURS = {"grey": 1, WHITE_IS_ZERO: 1, "RGB": 3}  # channels of a deep TIFF before any extra one


def decode_raster(data: bytes, header: Header) -> tuple[GreyImage, dict[str, Any]]:
    """Pixels (height, width) of a PNG or TIFF file, upright: uint8, or float32 in [0, 1].

    Deeper files than 8 bits have a fact `greys`: what became white, and who said so.
    """
    if header.bits not in DEPTHS[header.numbers]:
        *less, most = map(str, DEPTHS[header.numbers])
        raise HilumError(
            f"expected {', '.join(less)} or {most} bits of {header.numbers} numbers, got "
            f"{header.bits}; export the image with 8 or 16 bits"
        )
    if header.format == "PNG":
        pixel_bits = PNG_CHANNELS[header.kind] * header.bits
        plausible.check_deflated(header.width, header.height, pixel_bits, len(data))
    facts: dict[str, Any] = {}
    if header.bits == 8 and header.kind in ("grey", "RGB") and _is_plain_png(data, header):
        pixels: GreyImage = _decode_plain(data, header)
    elif header.bits <= 8 and header.numbers == "unsigned":
        pixels = _decode_shallow(data, header)
    else:
        pixels, facts["greys"] = gray.scale(_decode_deep(data, header), header.white_bits)
        if header.kind == WHITE_IS_ZERO:
            pixels = gray.negative(pixels)
    # both libraries turn TIFF files themselves, and neither turns PNG
    if header.format != "TIFF":
        pixels = gray.upright(pixels, header.orientation)
    return pixels, facts


def _is_plain_png(data: bytes, header: Header) -> bool:
    """Whether this is a PNG whose checksums all hold, to its end, and no colour is transparent.

    OpenCV hands out half a picture where checksums fail. W3C PNG (Third Edition), chapter 5.
    https://www.w3.org/TR/png-3/#5Chunk-layout
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
            "expected all pixels of a PNG, got fewer, though its checksums hold: the program that "
            "wrote it failed; export the image again"
        )
    grey8: Grey8 = np.asarray(pixels, np.uint8)
    return grey8 if grey8.ndim == 2 else gray.luma(grey8[..., ::-1])


def _decode_shallow(data: bytes, header: Header) -> Grey8:
    """(height, width) uint8 through Pillow; transparency is laid on black."""
    with Image.open(BytesIO(data), formats=(header.format,)) as image:
        image.load()
        mode = image.mode
        if header.format == "PNG" and "transparency" in image.info:
            image.info["transparency"] = _hole(image.info["transparency"], header)
        if mode in ("1", "L") and "transparency" not in image.info:
            return np.asarray(image.convert("L"))
        if mode in ("RGB", "CMYK", "YCbCr") and "transparency" not in image.info:
            return gray.luma(np.asarray(image.convert("RGB")))
        if mode not in ("1", "L", "RGB", "P", "LA", "PA", "RGBA"):
            raise HilumError(
                f"expected a grey or colour image, got mode {mode!r}; export it as grey"
            )
        layers = np.asarray(image.convert("RGBA"))
    return gray.on_black(gray.luma(layers[..., :3]), layers[..., 3])


def _hole(stated: Any, header: Header) -> Any:
    """What a PNG's tRNS says, in levels of 255 as Pillow's pixels are; bytes are of a palette.

    Bits beyond the depth do not count: https://www.w3.org/TR/png-3/#11tRNS
    """
    if isinstance(stated, bytes) or header.kind == "palette":
        return stated
    most = 2**header.bits - 1
    if isinstance(stated, int):
        return (stated & most) * (255 // most)
    return tuple(value & most for value in stated)


def _decode_deep(data: bytes, header: Header) -> npt.NDArray[Any]:
    """(height, width) of the file's own number type through OpenCV."""
    hole = None  # the one grey level that a PNG may declare transparent, which OpenCV passes over
    if header.format == "PNG":  # OpenCV hands out half a picture where checksums fail
        with Image.open(BytesIO(data), formats=("PNG",)) as image:
            hole = image.info.get("transparency")
            image.verify()
    layers = _layers(data, header)
    if layers.ndim == 2:
        return np.where(layers == hole, 0, layers) if isinstance(hole, int) else layers
    count = layers.shape[2]
    bright = layers[..., 0] if count < 3 else gray.luma(layers[..., :3])
    if count in (1, 3):
        return np.ascontiguousarray(bright)
    if layers.dtype == np.uint16:
        alpha = layers[..., -1]
        if header.kind == WHITE_IS_ZERO and alpha.min() < 65535:
            raise HilumError(
                "expected opaque pixels where zero is white, got some that are transparent; "
                "export the image without alpha"
            )
        return gray.on_black(bright, alpha)
    raise HilumError(
        f"expected 1 or 3 channels of {layers.dtype}, got {count}; export the image as grey"
    )


def _layers(data: bytes, header: Header) -> npt.NDArray[Any]:
    """(height, width) or (height, width, channel), red first, as they are stored."""
    if header.format == "TIFF" and header.samples > 1:
        return _tiff_layers(data, header)
    pixels = _decode_by_opencv(data, header)
    return pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def _tiff_layers(data: bytes, header: Header) -> npt.NDArray[Any]:
    """(height, width, channel): the colours, and one channel of alpha where the file has it."""
    colours = COLOURS.get(header.kind, 0)
    if not colours or header.samples < colours:
        raise _undecodable(header)
    wanted = colours + (header.alpha and header.samples > colours)
    if header.planar:
        planes = [
            _decode_by_opencv(part, header) for part in tiff_planes.apart(data, header, wanted)
        ]
        return np.stack(planes, axis=-1)
    if colours == 3 and header.samples <= 4:
        return _decode_by_opencv(data, header)[..., [2, 1, 0, 3][:wanted]]
    wide = _decode_by_opencv(tiff_planes.side_by_side(data, header), header, header.samples)
    layers = [wide[:, at :: header.samples] for at in range(wanted)]
    return np.stack([gray.upright(layer, header.orientation) for layer in layers], axis=-1)


def _decode_by_opencv(data: bytes, header: Header, wider: int = 1) -> npt.NDArray[Any]:
    """What OpenCV decodes, of the depth and size that the header says; `wider` by that factor."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    turned = header.format == "TIFF" and wider == 1
    width, height = header.upright_size if turned else (header.width * wider, header.height)
    stored = np.dtype(f"{CODES[header.numbers]}{header.bits // 8}")
    if pixels is None or pixels.shape[:2] != (height, width) or pixels.dtype != stored:
        raise _undecodable(header)
    return np.asarray(pixels)


def _undecodable(header: Header) -> HilumError:
    return HilumError(
        f"expected {header.bits}-bit {header.kind} pixels, got content that cannot be decoded: "
        "the file is damaged or of a rare kind; export it again as 16-bit PNG"
    )
