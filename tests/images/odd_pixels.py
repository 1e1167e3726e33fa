"""Images with unusual pixels: their bytes, and what they must become or the words of the refusal.

What an image must become is said by NumPy, by Pillow, or in closed form.
"""

import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import tifffile
from dicom_maker import dicom_bytes, make_dicom
from PIL import Image, ImageCms
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian

GREY = np.random.default_rng(1).integers(0, 256, (6, 5), np.uint8)
COLOUR = np.random.default_rng(2).integers(0, 256, (6, 5, 3), np.uint8)
DEEP = np.random.default_rng(3).integers(0, 65536, (6, 5), np.uint16)
DEEP[0, 0] = 65535
RAMP = np.arange(30, dtype=np.int16).reshape(6, 5)
SMOOTH = cv2.resize(COLOUR, (40, 48), interpolation=cv2.INTER_CUBIC)
# x, y, and their steps of the seven passes of an interlaced PNG: W3C PNG (Third Edition), 8.1
PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class OddImage:
    """A file, and grey (height, width) in its own range, or words."""

    data: bytes
    becomes: Any
    within: float = 0.0  # of the range from black to white


def luma(colour: Any) -> Any:
    """ITU-R BT.601, rounded, as Pillow has it."""
    return np.asarray(Image.fromarray(colour).convert("L"))


def deep_luma(colour: Any) -> Any:
    return colour @ np.array([0.299, 0.587, 0.114]) / 65535


def on_black(grey: Any, alpha: Any) -> Any:
    return np.floor(grey.astype(float) * alpha / 255 + 0.5)


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def saved(pixels: Any, form: str, mode: str | None = None, **options: Any) -> bytes:
    image = Image.fromarray(pixels)
    return encoded(image.convert(mode) if mode else image, form, **options)


def tiff(pixels: Any, **options: Any) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(pixels: Any, code: int = 0, *extra: tuple[bytes, bytes], interlaced: bool = False) -> bytes:
    """(height, width) or (height, width, channel) by hand, for what Pillow does not write."""
    height, width = pixels.shape[:2]
    stored = pixels.astype(pixels.dtype.newbyteorder(">"))
    parts = [stored[y::dy, x::dx] for x, y, dx, dy in PASSES] if interlaced else [stored]
    rows = b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)
    return png_file((width, height), 8 * pixels.dtype.itemsize, code, extra, rows, interlaced)


def png_of_four_bits(pixels: Any, *extra: tuple[bytes, bytes]) -> bytes:
    """Grey (height, width) of an even width, 0 to 15."""
    rows = b"".join(b"\0" + bytes(row[::2] << 4 | row[1::2]) for row in pixels)
    return png_file(pixels.shape[::-1], 4, 0, extra, rows)


def png_file(
    size: tuple[int, int], bits: int, code: int, extra: Any, rows: bytes, interlaced: bool = False
) -> bytes:
    head = struct.pack(">IIBBBBB", *size, bits, code, 0, 0, interlaced)
    chunks = [(b"IHDR", head), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def dicom(pixels: Any, **tags: Any) -> bytes:
    return dicom_bytes(make_dicom(pixels, tags))


def with_overlay() -> bytes:
    """Group 6000, a drawing over the whole film that is no part of its pixels; PS3.3 C.9.2."""
    made = make_dicom(GREY)
    made.add_new(0x60000010, "US", 6)
    made.add_new(0x60000011, "US", 5)
    made.add_new(0x60000040, "CS", "G")
    made.add_new(0x60000050, "SS", [1, 1])
    made.add_new(0x60000100, "US", 1)
    made.add_new(0x60000102, "US", 0)
    made.add_new(0x60003000, "OW", b"\xff" * 4)
    return dicom_bytes(made)


def with_table() -> bytes:
    """A VOI table that turns 0 to 29 into their squares."""
    item = Dataset()
    item.add_new(0x00283002, "US", [30, 0, 16])
    item.add_new(0x00283006, "OW", (np.arange(30) ** 2 * 77).astype("<u2").tobytes())
    return dicom(RAMP.astype(np.uint16), VOILUTSequence=[item])


def of_floats() -> bytes:
    """Float Pixel Data in place of whole numbers; PS3.3 C.7.6.24."""
    made = make_dicom(GREY)
    del made.PixelData
    made.BitsAllocated = 32
    made.add_new(0x7FE00008, "OF", RAMP.astype("<f4").tobytes())
    return dicom_bytes(made)


def window(centre: float, width: float, values: Any) -> Any:
    """PS3.3 C.11.2.1.2.1, in closed form."""
    return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)


def pngs() -> dict[str, OddImage]:
    alpha = GREY[::-1].copy()
    palette = Image.fromarray(COLOUR).quantize(8)
    holed, whole = BytesIO(), np.asarray(palette.convert("RGB"))
    palette.save(holed, "PNG", transparency=bytes([0, 128, 255]))
    see = np.choose(np.minimum(np.asarray(palette), 2), [0, 128, 255])
    top = DEEP >> 4
    four = np.arange(16, dtype=np.uint8).reshape(4, 4)
    rgba = np.dstack([COLOUR, alpha])
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return {
        "png of one pixel": OddImage(saved(GREY[:1, :1], "PNG"), GREY[:1, :1]),
        "png of one row": OddImage(saved(GREY[:1], "PNG"), GREY[:1]),
        "png of one column": OddImage(saved(GREY[:, :1], "PNG"), GREY[:, :1]),
        "constant png": OddImage(saved(np.full((6, 5), 9, np.uint8), "PNG"), np.full((6, 5), 9)),
        "png of one bit": OddImage(
            saved(GREY, "PNG", "1"), np.asarray(Image.fromarray(GREY).convert("1")) * 255
        ),
        "png with a palette": OddImage(encoded(palette, "PNG"), luma(whole)),
        "png with a palette that has holes": OddImage(holed.getvalue(), on_black(luma(whole), see)),
        "interlaced png": OddImage(png(GREY, interlaced=True), GREY),
        "interlaced png of 16 bits": OddImage(png(DEEP, interlaced=True), DEEP / 65535, 1e-6),
        "png with alpha": OddImage(saved(rgba, "PNG"), on_black(luma(COLOUR), alpha)),
        "grey png with alpha": OddImage(
            saved(np.dstack([GREY, alpha]), "PNG"), on_black(GREY, alpha)
        ),
        "png that nothing is seen of": OddImage(
            saved(np.dstack([COLOUR, 0 * alpha]), "PNG"), np.zeros((6, 5))
        ),
        "png with one grey transparent": OddImage(
            saved(GREY, "PNG", transparency=int(GREY[2, 2])), np.where(GREY[2, 2] == GREY, 0, GREY)
        ),
        "png with one colour transparent": OddImage(
            saved(COLOUR, "PNG", transparency=tuple(map(int, COLOUR[2, 2]))),
            np.where((COLOUR[2, 2] == COLOUR).all(axis=2), 0, luma(COLOUR)),
        ),
        "png of four bits": OddImage(png_of_four_bits(four), four * 17),
        "png of four bits with one grey transparent": OddImage(
            png_of_four_bits(four, (b"tRNS", b"\0\x0f")), np.where(four == 15, 0, four * 17)
        ),
        "png of four bits with bits beyond them in tRNS": OddImage(
            png_of_four_bits(four, (b"tRNS", b"\xff\xf3")), np.where(four == 3, 0, four * 17)
        ),
        "colour png of 16 bits with one colour transparent": OddImage(
            png(DEEP[..., None].repeat(3, 2), 2, (b"tRNS", struct.pack(">HHH", *[DEEP[2, 2]] * 3))),
            np.where(DEEP[2, 2] == DEEP, 0, DEEP / 65535), 1e-6,
        ),
        "grey png of 16 bits with one grey transparent": OddImage(
            png(DEEP, 0, (b"tRNS", struct.pack(">H", DEEP[2, 2]))),
            np.where(DEEP[2, 2] == DEEP, 0, DEEP / 65535), 1e-6,
        ),
        "grey png of 16 bits with alpha": OddImage(
            png(np.dstack([DEEP, DEEP[::-1]]), 4), DEEP / 65535 * (DEEP[::-1] / 65535), 2e-5
        ),
        "png of 12 bits by sBIT": OddImage(png(top, 0, (b"sBIT", b"\x0c")), top / 4095, 1e-6),
        "png with gamma": OddImage(png(GREY, 0, (b"gAMA", struct.pack(">I", 100_000))), GREY),
        "png with a profile": OddImage(saved(COLOUR, "PNG", icc_profile=profile), luma(COLOUR)),
    }  # fmt: skip


def tiffs() -> dict[str, OddImage]:
    floats = RAMP.astype(np.float32)
    cmyk = Image.fromarray(COLOUR).convert("CMYK")
    three = np.stack([DEEP, DEEP[::-1], DEEP[:, ::-1]], axis=-1)
    large = np.tile(three, (8, 8, 1))  # (48, 40, 3)
    refused = {
        f"tiff with {value}": OddImage(
            tiff(np.where(RAMP == 7, np.float32(value), floats)), "got 1 that are NaN or infinite"
        )
        for value in ("nan", "inf", "-inf")
    }
    options = {"photometric": "rgb", "tile": (16, 16), "planarconfig": "separate"}
    return refused | {
        "constant tiff of floats": OddImage(tiff(np.full((6, 5), 7.5, np.float32)), 0 * floats),
        "tiff of doubles": OddImage(tiff(floats.astype(float) * -3), 1 - floats / 29, 1e-6),
        "signed tiff": OddImage(tiff(RAMP - np.int16(9)), floats / 29, 1e-6),
        "big-endian tiff": OddImage(tiff(DEEP, byteorder=">"), DEEP / 65535, 1e-6),
        "tiff with white as zero": OddImage(
            tiff(DEEP, photometric="miniswhite"), 1 - DEEP / 65535, 1e-6
        ),
        "tiff with white as zero and alpha": OddImage(
            tiff(
                np.dstack([DEEP, DEEP]), photometric="miniswhite", planarconfig="contig",
                extrasamples=["unassalpha"],
            ),
            "got some that are transparent",
        ),
        "cmyk tiff": OddImage(encoded(cmyk, "TIFF"), luma(COLOUR)),
        "tiled tiff with planes apart": OddImage(
            tiff(np.moveaxis(large, -1, 0).copy(), **options), deep_luma(large), 2e-5
        ),
        "tiff of one bit": OddImage(tiff(GREY > 99, photometric="minisblack"), (GREY > 99) * 255),
        "tiff of two pages": OddImage(tiff(np.stack([GREY, GREY]), photometric="minisblack"),
                                      "a TIFF of several pages"),
        "tiff of complex numbers": OddImage(tiff(floats + 1j), "sample format 6"),
    }  # fmt: skip


def jpegs() -> dict[str, OddImage]:
    grey, options = luma(SMOOTH), {"quality": 95, "subsampling": 0}
    exif = Image.Exif()
    exif[274] = 6
    twelve = saved(grey, "JPEG").replace(b"\xff\xc0\0\x0b\x08", b"\xff\xc1\0\x0b\x0c")
    return {
        "grey jpeg": OddImage(saved(grey, "JPEG", quality=95), grey, 0.02),
        "colour jpeg": OddImage(saved(SMOOTH, "JPEG", **options), grey, 0.02),
        "jpeg of red, green and blue": OddImage(
            saved(SMOOTH, "JPEG", keep_rgb=True, quality=95), grey, 0.02
        ),
        "progressive jpeg": OddImage(
            saved(SMOOTH, "JPEG", progressive=True, **options), grey, 0.02
        ),
        "cmyk jpeg by Adobe": OddImage(
            encoded(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG"), grey, 0.12
        ),
        "jpeg turned by exif": OddImage(
            saved(grey, "JPEG", exif=exif, quality=95), np.rot90(grey, -1), 0.02
        ),
        "jpeg of 12 bits": OddImage(twelve, "of 8 bits per channel, got 12"),
    }


def dicoms() -> dict[str, OddImage]:
    ramp, unsigned = RAMP.astype(float), RAMP.astype(np.uint16)
    narrow = {"WindowCenter": 12, "WindowWidth": 11}
    wide = {"WindowCenter": -100, "WindowWidth": 61}
    marked = unsigned | np.uint16(0x8000)  # a drawing in a bit that the pixels do not use
    inner = np.where(RAMP == 3, 0, window(12, 11, ramp))
    return {
        "inverted dicom": OddImage(
            dicom(GREY, PhotometricInterpretation="MONOCHROME1"), 255 - GREY.astype(int)
        ),
        "signed dicom": OddImage(
            dicom(RAMP - np.int16(12), WindowCenter=0, WindowWidth=11), window(12, 11, ramp), 1e-6
        ),
        "big-endian dicom": OddImage(
            dicom(unsigned.astype(">u2"), syntax=ExplicitVRBigEndian, **narrow),
            window(12, 11, ramp), 1e-6,
        ),
        "dicom with a falling slope": OddImage(
            dicom(unsigned, RescaleSlope=-2, RescaleIntercept=-70, **wide),
            window(-100, 61, -2 * ramp - 70), 1e-6,
        ),
        "dicom with a slope of zero": OddImage(
            dicom(unsigned, RescaleSlope=0, RescaleIntercept=12, **narrow),
            np.full((6, 5), window(12, 11, 12.0)), 1e-6,
        ),
        "dicom with a slope of NaN": OddImage(
            dicom(unsigned, RescaleSlope="12345678").replace(b"12345678", b"NaN     "),
            "expected numbers in RescaleSlope",
        ),
        "dicom with an endless slope": OddImage(
            dicom(unsigned, RescaleSlope="1e308"), "got values beyond 1e+200"
        ),
        "dicom with the narrowest window": OddImage(
            dicom(unsigned, WindowCenter=11.5, WindowWidth="1e-308", VOILUTFunction="SIGMOID"),
            ramp > 11,
        ),
        "dicom with a window above its pixels": OddImage(
            dicom(unsigned, WindowCenter=900, WindowWidth=9), np.zeros((6, 5))
        ),
        "dicom with a window below its pixels": OddImage(
            dicom(unsigned, WindowCenter=-900, WindowWidth=9), np.ones((6, 5))
        ),
        "dicom with a table": OddImage(with_table(), ramp**2 * 77 / 65535, 1e-5),
        "dicom with padding": OddImage(
            dicom(unsigned, PixelPaddingValue=3, **narrow), inner, 1e-6
        ),
        "inverted dicom with padding": OddImage(
            dicom(unsigned, PixelPaddingValue=3, PhotometricInterpretation="MONOCHROME1", **narrow),
            np.where(RAMP == 3, 0, 1 - window(12, 11, ramp)), 1e-6,
        ),
        "dicom of padding alone": OddImage(
            dicom(0 * unsigned, PixelPaddingValue=0), np.zeros((6, 5))
        ),
        "constant dicom": OddImage(dicom(0 * unsigned + 40), np.zeros((6, 5))),
        "dicom with an overlay": OddImage(with_overlay(), GREY),
        "dicom with an overlay in an unused bit": OddImage(
            dicom(marked, BitsStored=12, **narrow), window(12, 11, ramp), 1e-6
        ),
        "colour dicom": OddImage(dicom(COLOUR), luma(COLOUR)),
        "dicom of one bit": OddImage(
            dicom(GREY, BitsAllocated=1, BitsStored=1, HighBit=0),
            np.unpackbits(GREY, bitorder="little")[:30].reshape(6, 5),
        ),
        "dicom of floats": OddImage(of_floats(), "got Float Pixel Data"),
        "dicom of two frames": OddImage(
            dicom(np.vstack([GREY, GREY]), Rows=6, NumberOfFrames=2), "of 2 frames"
        ),
    }  # fmt: skip


ODD = pngs() | tiffs() | jpegs() | dicoms()
