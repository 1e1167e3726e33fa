"""One file of any accepted format to one grey image; every known failure becomes one sentence."""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import cv2

from hilum.images import jpeg, raster
from hilum.images.header import Header, read_png, read_tiff
from hilum.images.limits import check_bytes, check_pixels, file_size
from hilum.images.sniff import SNIFFED, Format, sniff
from hilum.types import GreyImage, HilumError, Image, given_path

IN_MEMORY = Path("image in memory")  # how messages call bytes that have no path
SHRINKING = frozenset({"JPEG", "DICOM"})  # formats that may be decoded smaller (`at_least`)
NO_MEMORY = "expected enough memory to decode the image, got too little; make it smaller."
HEADERS = {"PNG": read_png, "JPEG": jpeg.read_header, "TIFF": read_tiff}
# What the decoders raise on damaged content. Pillow: OSError, SyntaxError, ValueError, LookupError,
# OverflowError; pydicom: EOFError, LookupError, NotImplementedError, OSError, RecursionError,
# ValueError; OpenJPEG, CharLS: RuntimeError.
DAMAGE = (
    ArithmeticError, EOFError, LookupError, OSError, RuntimeError, SyntaxError, ValueError,
    cv2.error, struct.error, zlib.error,
)  # fmt: skip


def read(source: str | Path | bytes, at_least: int | None = None, *, hashed: bool = False) -> Image:
    """Grey pixels (height, width) of a PNG, JPEG, TIFF or DICOM file or its bytes, and its facts.

    8-bit images stay uint8; others are float32 in [0, 1]. Where `at_least` is given, a JPEG may
    be decoded smaller, its shorter side no less than that (or than the file has). With `hashed`
    the image knows the SHA-256 of the very bytes that were decoded. Raises HilumError for anything
    that is not one whole image within MAX_BYTES and MAX_PIXELS.

    >>> import hilum
    >>> hilum.read_image("film.png").facts["bytes"] > 0
    True
    """
    if at_least is not None and at_least < 1:
        raise HilumError(
            f"expected at_least to be 1 pixel or more, or None, got {at_least}; correct it"
        )
    if not isinstance(source, str | PathLike | bytes):
        raise HilumError(
            f"an image is read from a file's path or from its bytes; got {type(source).__name__}; "
            "give one of these."
        )
    with _one_sentence(IN_MEMORY if isinstance(source, bytes) else given_path(source)) as file:
        data = _content(source if isinstance(source, bytes) else file)
        pixels, facts = _decode(data, sniff(data[:SNIFFED]), at_least)
        digest = hashlib.sha256(data).hexdigest() if hashed else ""
        return Image(pixels, facts | {"bytes": len(data)}, digest)


def _content(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        check_bytes(len(source))
        return source
    file_size(source)
    return source.read_bytes()


def probe(path: str | Path) -> dict[str, Any]:
    """Facts from the header alone: format, width, height, bits, bytes, photometric...

    Width and height are in pixels, upright and square (`pixel_aspect`: DICOM pixels as stored,
    height over width, where they are not). JPEG adds `quantisation` (digest of its tables) and
    `quality` (IJG); DICOM adds what it knows of patient_id, view, modality, age (years), sex and
    more. Raises HilumError for whatever `read` refuses without looking at pixels.
    """
    with _one_sentence(Path(path)) as file:
        size = file_size(file)
        with file.open("rb") as stream:
            name = sniff(stream.read(SNIFFED))
            if name == "DICOM":
                from hilum.images import dicom

                return dicom.open_header(stream)[2] | {"bytes": size}
            return _facts(_checked_header(stream, name)) | {"bytes": size}


def header_text(path: str | Path, keyword: str) -> str | None:
    """What one text element of a DICOM header says, by its keyword (PS3.6); None for nothing.

    None for a file of another format too. Raises HilumError where the header cannot be read.
    """
    with _one_sentence(Path(path)) as file, file.open("rb") as stream:
        if sniff(stream.read(SNIFFED)) != "DICOM":
            return None
        from hilum.images import dicom

        return dicom.text(stream, keyword)


def _decode(data: bytes, name: Format, at_least: int | None) -> tuple[GreyImage, dict[str, Any]]:
    if name == "DICOM":
        from hilum.images import dicom  # pydicom loads slowly

        return dicom.decode_dicom(BytesIO(data), at_least)
    header = _checked_header(BytesIO(data), name)
    if name == "JPEG":
        return jpeg.decode_jpeg(data, header, at_least), _facts(header)
    pixels, facts = raster.decode_raster(data, header)
    return pixels, _facts(header) | facts


def _checked_header(stream: BinaryIO, name: Format) -> Header:
    header = HEADERS[name](stream)
    check_pixels(header.width, header.height)
    return header


def _facts(header: Header) -> dict[str, Any]:
    width, height = header.upright_size
    facts = {"format": header.format, "width": width, "height": height, "bits": header.bits}
    return facts | {"photometric": header.kind} | header.facts


@contextmanager
def _one_sentence(path: Path) -> Iterator[Path]:
    """Put `path` before every message, and one sentence in place of every decoder's exception.

    A decoder's own words are dropped: they may quote a DICOM header.
    """
    try:
        yield path.expanduser()
    except HilumError as error:
        raise HilumError(f"{path}: {error}.") from None
    except PermissionError:
        raise HilumError(
            f"{path}: expected a file that may be read, got permission denied; change its rights."
        ) from None
    except MemoryError:
        raise HilumError(f"{path}: {NO_MEMORY}") from None
    except DAMAGE as error:
        if getattr(error, "code", None) == cv2.Error.StsNoMem:
            raise HilumError(f"{path}: {NO_MEMORY}") from None
        raise HilumError(
            f"{path}: expected a whole image, got damaged or unsupported content "
            f"({type(error).__name__}); copy or export the file again."
        ) from None
