"""Every kind of bad file ends in one sentence, and nothing is decoded before it is measured."""

import os
import re
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from dicom_maker import dicom_bytes, make_dicom
from openjpeg.utils import encode_array
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from hilum import images
from hilum.images import limits
from hilum.types import HilumError

SENTENCE = re.compile(r"^[^\n]+: expected [^\n]+, got [^\n]+; [^\n]+\.$")


def encoded(form: str, mode: str = "L", **options: Any) -> bytes:
    coarse = np.random.default_rng(5).integers(0, 256, (6, 6), dtype=np.uint8)
    picture = Image.fromarray(cv2.resize(coarse, (60, 50))).convert(mode)
    file = BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def tiff(pixels: Any, **options: Any) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + head + struct.pack(">I", zlib.crc32(head)) + b"\0" * 64


def png_short_of_rows() -> bytes:
    """Half the rows of a picture, with checksums that hold."""
    whole = encoded("PNG")
    head, rows = whole[16:29], zlib.compress(bytes(61 * 25))
    parts = [(b"IHDR", head), (b"IDAT", rows), (b"IEND", b"")]
    return whole[:8] + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def jpeg_claiming(width: int, height: int) -> bytes:
    data = encoded("JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def tiff_claiming(width: int) -> bytes:
    entry = struct.pack("<HHII", 256, 4, 1, width) + struct.pack("<HHII", 257, 4, 1, width)
    return b"II*\0\x08\0\0\0\x02\0" + entry + b"\0\0\0\0"


def dicom(pixels: Any = None, **tags: Any) -> bytes:
    values = np.zeros((6, 5), np.uint16) if pixels is None else pixels
    return dicom_bytes(make_dicom(values, tags))


def framed(dataset: Dataset, frame: bytes, syntax: str) -> bytes:
    """`dataset` as a file whose pixels are the compressed `frame`."""
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    return dicom_bytes(dataset)


def without_fragments() -> bytes:
    whole = framed(make_dicom(np.zeros((6, 5), np.uint16)), b"frame", uid.JPEG2000Lossless)
    return whole[: whole.index(b"frame") - 8]


def later_directory(first: bytes) -> bytes:
    """A TIFF whose directory of entries claims 65,535 of them."""
    at = struct.unpack("<I", first[4:8])[0]
    return first[:at] + b"\xff\xff" + first[at + 2 :]


BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "an empty file of 0 bytes"),
    "text": (b"these are not pixels\n" * 20, "got a text file"),
    "short text": (b"x", "got a text file"),
    "html": (b"<!DOCTYPE html><html>404</html>", "got a text file"),
    "gif": (encoded("GIF"), "a GIF image"),
    "bmp": (encoded("BMP"), "a BMP image"),
    "webp": (encoded("WEBP"), "RIFF"),
    "pdf": (b"%PDF-1.7\n\xff\x00", "a PDF document"),
    "zip": (b"PK\x03\x04\0\0\0", "a ZIP archive"),
    "binary": (bytes(range(256)), "begins with the bytes 00 01 02 03"),
    "png magic only": (b"\x89PNG\r\n\x1a\n", "cut short"),
    "png cut": (encoded("PNG")[:-200], "damaged or unsupported"),
    "png checksum": (encoded("PNG")[:60] + b"\0\1\2" + encoded("PNG")[63:], "damaged"),
    "png cut by its encoder": (png_short_of_rows(), "expected all pixels of a PNG, got fewer"),
    "png colour type": (png_claiming(5, 5)[:25] + b"\x05" + png_claiming(5, 5)[26:], "got 5"),
    "png of no height": (png_claiming(5, 0), "got 5 x 0"),
    "png bomb": (png_claiming(50_000, 50_000), "got 50000 x 50000"),
    "animated png": (
        encoded("PNG", save_all=True, append_images=[Image.new("L", (60, 50))]),
        "an animated PNG",
    ),
    "deep png cut": (
        cv2.imencode(".png", np.arange(4000, dtype=np.uint16).reshape(40, 100))[1].tobytes()[:-90],
        "damaged or unsupported",
    ),
    "jpeg magic only": (b"\xff\xd8\xff\xe0", "cut short"),
    "jpeg cut": (encoded("JPEG")[:-100], "damaged or unsupported"),
    "cmyk jpeg cut": (encoded("JPEG", "CMYK")[:-100], "damaged or unsupported"),
    "jpeg without frame": (b"\xff\xd8\xff\xd9", "a JPEG with a frame header"),
    "jpeg bomb": (jpeg_claiming(65_000, 65_000), "got 65000 x 65000"),
    "jpeg of no width": (jpeg_claiming(0, 10), "got 0 x 10"),
    "jpeg of 12 bits": (
        encoded("JPEG").replace(b"\xff\xc0\0\x0b\x08", b"\xff\xc1\0\x0b\x0c"),
        "of 8 bits per channel, got 12",
    ),
    "jpeg of endless segments": (b"\xff\xd8" + b"\xff\xe2\0\2" * 5000, "2048 JPEG segments"),
    "jpeg of strays": (b"\xff\xd8\xff\xe2\0\2" + b"\1" * 9000, "got 4096 other bytes"),
    "tiff magic only": (b"II*\0", "cut short"),
    "tiff cut": (tiff(np.ones((40, 40), np.uint8))[:-300], "expected"),
    "deep tiff cut": (tiff(np.ones((40, 40), np.uint16))[:-300], "cannot be decoded"),
    "tiff without size": (b"II*\0\x08\0\0\0\0\0\0\0\0\0", "got neither"),
    "tiff of many entries": (later_directory(tiff(np.ones((4, 4), np.uint8))), "65,535"),
    "tiff bomb": (tiff_claiming(60_000), "got 60000 x 60000"),
    "tiff of two pages": (
        encoded("TIFF", save_all=True, append_images=[Image.new("L", (9, 9))]),
        "a TIFF of several pages",
    ),
    "tiff of halves": (tiff(np.ones((9, 9), np.float16)), "bits of float numbers, got 16"),
    "tiff of NaN": (tiff(np.full((9, 9), np.nan, np.float32)), "got 81 that are NaN"),
    "tiff of complex": (tiff(np.ones((9, 9), np.complex64)), "sample format 6"),
    "tiff in Lab": (
        encoded("TIFF", "RGB").replace(b"\x06\1\3\0\1\0\0\0\2", b"\x06\1\3\0\1\0\0\0\x08"),
        "photometric 8",
    ),
    "dicom cut in the header": (dicom()[:300], "without pixel data"),
    "dicom cut in the pixels": (dicom()[:-20], "expected 60 bytes of pixel data, got 40"),
    "dicom bomb": (dicom(Rows=65535, Columns=65535), "got 65535 x 65535"),
    "dicom of no rows": (dicom(Rows=0), "got 5 x 0"),
    "dicom of frames": (dicom(NumberOfFrames=3), "of 3 frames"),
    "dicom of video": (
        framed(make_dicom(np.zeros((6, 5), np.uint8)), b"film", uid.MPEG4HP41), "MPEG-4",
    ),
    "dicom without fragments": (without_fragments(), "in fragments, got none"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("suffix", [".png", ".dcm"])
def test_one_sentence_for_bad_content(name: str, suffix: str, tmp_path: Path) -> None:
    data, words = BAD[name]
    path = tmp_path / f"image{suffix}"
    path.write_bytes(data)
    start = time.process_time()
    with pytest.raises(HilumError) as caught:
        images.read(path)
    assert SENTENCE.match(str(caught.value)), str(caught.value)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert time.process_time() - start < 2


def test_probe_refuses_by_header_what_read_refuses(tmp_path: Path) -> None:
    pixels_only = {"cut", "deep", "checksum", "NaN", "halves", "12 bits", "fragments", "video"}
    for name, (data, words) in BAD.items():
        if any(word in name for word in pixels_only) and "header" not in name:
            continue
        path = tmp_path / "image"
        path.write_bytes(data)
        with pytest.raises(HilumError, match=re.escape(words)):
            images.probe(path)


@pytest.mark.parametrize("call", [images.read, images.probe])
def test_paths_that_are_no_files(call: Callable[[Path], Any], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "file").write_bytes(b"x")
    for path, words in {
        tmp_path: "got a folder",
        tmp_path / "absent.png": "where there is none",
        tmp_path / "pipe": "got a device, pipe or socket",
        tmp_path / "dangling": "where there is none",
        tmp_path / "circle": "leads nowhere",
        tmp_path / "file" / "below": "leads nowhere",
        tmp_path / ("n" * 300): "leads nowhere",
        tmp_path / "null\0byte": "leads nowhere",
    }.items():
        with pytest.raises(HilumError, match=words) as caught:
            call(path)
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "closed.png"
    path.write_bytes(encoded("PNG"))
    path.chmod(0)
    with pytest.raises(HilumError, match="permission denied"):
        images.read(path)


def test_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    path = tmp_path / "closed.png"
    path.write_bytes(encoded("PNG"))
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(
        HilumError, match=r"closed\.png: expected a file that may be read, got perm"
    ):
        images.read(path)


def test_too_many_bytes(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(limits.MAX_BYTES + 1)  # sparse: takes no room on the disk
    with pytest.raises(HilumError, match="expected a file of at most 268,435,456 bytes"):
        images.read(path)


@pytest.mark.parametrize("at_least", [0, -5])
def test_senseless_size(at_least: int, tmp_path: Path) -> None:
    with pytest.raises(HilumError, match=f"got {at_least}"):
        images.read(tmp_path / "any.png", at_least)


def seeds() -> dict[str, bytes]:
    ramp = (np.arange(3000).reshape(50, 60) % 4096).astype(np.uint16)
    tags = {"BitsStored": 12, "WindowCenter": 900, "WindowWidth": 2000}

    def compressed(syntax: str) -> bytes:
        dataset = make_dicom(ramp, tags)
        dataset.compress(syntax, generate_instance_uid=False)
        return dicom_bytes(dataset)

    j2k = encode_array(ramp, bits_stored=12, photometric_interpretation=2)
    eight = make_dicom(ramp.astype(np.uint8))
    return {
        "PNG": encoded("PNG"),
        "PNG of 16 bits": cv2.imencode(".png", ramp)[1].tobytes(),
        "PNG with palette": encoded("PNG", "P"),
        "JPEG": encoded("JPEG"),
        "progressive colour JPEG": encoded("JPEG", "RGB", progressive=True),
        "CMYK JPEG": encoded("JPEG", "CMYK"),
        "TIFF": encoded("TIFF"),
        "TIFF of 16 bits": tiff(ramp),
        "deflated TIFF": tiff(ramp.astype(np.float32), compression="zlib"),
        "DICOM": dicom_bytes(make_dicom(ramp, tags)),
        "deflated DICOM": dicom(ramp, syntax=uid.DeflatedExplicitVRLittleEndian, **tags),
        "DICOM RLE": compressed(uid.RLELossless),
        "DICOM JPEG-LS": compressed(uid.JPEGLSLossless),
        "DICOM JPEG 2000": framed(make_dicom(ramp, tags), j2k, uid.JPEG2000Lossless),
        "DICOM JPEG": framed(eight, encoded("JPEG"), uid.JPEGBaseline8Bit),
    }


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """`data` cut, holed, or with up to eight bytes changed, half of the time near its head."""
    changed = bytearray(data)
    kind = rng.integers(4)
    if kind == 0:
        return bytes(changed[: rng.integers(1, len(changed))])
    if kind == 1:
        start = rng.integers(len(changed))
        del changed[start : start + rng.integers(1, 40)]
        return bytes(changed)
    reach = len(changed) if kind == 2 else min(len(changed), 700)
    for _ in range(rng.integers(1, 9)):
        changed[rng.integers(reach)] = rng.integers(256)
    return bytes(changed)


SEEDS = seeds()


def message(call: Callable[[Path], Any], path: Path) -> str:
    """The error's words, or nothing; any other exception than HilumError passes through."""
    try:
        call(path)
    except HilumError as error:
        return str(error)
    return ""


@pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore::UserWarning:pydicom")
@pytest.mark.parametrize("name", SEEDS)
def test_mutated_files_are_read_or_refused(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(list(name.encode()))
    data, path, messages = SEEDS[name], tmp_path / "image", []
    for _ in range(300):
        path.write_bytes(mutated(data, rng))
        messages += [message(images.probe, path), message(images.read, path)]
    refused = [text for text in messages if text]
    assert len(refused) > 50
    assert [text for text in refused if not SENTENCE.match(text)] == []


def test_light_to_import() -> None:
    code = (
        "import sys, hilum.images; print(sorted({'torch', 'timm', 'openvino'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
