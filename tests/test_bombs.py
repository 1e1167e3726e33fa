"""Small files that promise, or unpack to, far more than they weigh: quick and small in the end."""

import gzip
import json
import shutil
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openjpeg.utils import encode_array
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
)

from hilum import images
from hilum.datasets import archive
from hilum.inference import model_folder
from hilum.types import HilumError
from peak_memory import PeakMemory

GOLDEN = Path(__file__).parent / "golden"
SECONDS, BYTES = 1.0, 256 << 20
GREY = np.random.default_rng(1).integers(0, 256, (60, 50), np.uint8)
DEEP = 10_000  # sequences in sequences
MANY = 100_000  # tensors


def chunk(name: bytes, content: bytes) -> bytes:
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def saved(form: str, **options: Any) -> bytes:
    file = BytesIO()
    Image.fromarray(GREY).save(file, form, **options)
    return file.getvalue()


def png_of(side: int) -> bytes:
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 20))
    return saved("PNG")[:8] + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def png_with(name: bytes, content: bytes) -> bytes:
    whole = saved("PNG")
    return whole[:33] + chunk(name, content) + whole[33:]


def jpeg_of(side: int) -> bytes:
    whole = saved("JPEG")
    at = whole.index(b"\xff\xc0") + 5
    return whole[:at] + struct.pack(">HH", side, side) + whole[at + 4 :]


def jpeg_with_exif() -> bytes:
    """A directory of 65,535 entries, each of 4 GiB and leading back to the directory."""
    entry = struct.pack("<HHII", 0x9286, 7, 0xFFFFFFFF, 8)
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + entry * 5000
    whole = saved("JPEG")
    return whole[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + whole[2:]


def dicom(syntax: str = ExplicitVRLittleEndian, frame: bytes = bytes(3000), **tags: Any) -> bytes:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = CTImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = "1.2.3"
    made.Rows, made.Columns, made.SamplesPerPixel = 60, 50, 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    for keyword, value in tags.items():
        setattr(made, keyword, value)
    made.add_new(0x7FE00010, "OB", frame)
    if syntax == JPEG2000Lossless:
        made["PixelData"].is_undefined_length = True
    file = BytesIO()
    dcmwrite(file, made, enforce_file_format=True)
    return file.getvalue()


def dicom_of_tiles() -> bytes:
    """JPEG 2000 of 54,834 tiles, by a header (SIZ) over the data of a small picture."""
    stream = bytearray(encode_array(GREY, bits_stored=8, photometric_interpretation=2))
    at = stream.index(b"\xff\x51") + 6
    struct.pack_into(">8I", stream, at, 8900, 8000, 0, 0, 36, 36, 0, 0)
    return dicom(JPEG2000Lossless, encapsulate([bytes(stream)]), Rows=8000, Columns=8900)


def dicom_of_sequences() -> bytes:
    inner = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff" * DEEP
    whole = dicom()
    at = whole.index(b"\x28\0\x02\0US")
    return whole[:at] + inner + whole[at:]


def overlapping() -> bytes:
    """A zip of 20,000 members that are all the same megabyte."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("00000", bytes(1 << 20))
        (first,) = opened.infolist()
        for number in range(1, 20_000):
            again = zipfile.ZipInfo(f"{number:05}")
            for slot in ("compress_type", "CRC", "compress_size", "file_size", "header_offset"):
                setattr(again, slot, getattr(first, slot))
            opened.filelist.append(again)
    return file.getvalue()


def zipped(content: bytes) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a.zip", content)
    return file.getvalue()


def nested() -> bytes:
    """Zip in zip in zip: 512 MiB in the end, as a hundred names in the middle."""
    return zipped(zipped(zipped(bytes(512 << 20))))


def tensors() -> bytes:
    one = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    head = json.dumps({f"{number}": one for number in range(MANY)}).encode()
    return struct.pack("<Q", len(head)) + head


def as_image(data: bytes, _folder: Path) -> None:
    images.read(data)


def as_archive(data: bytes, folder: Path) -> None:
    (folder / "a.zip").write_bytes(data)
    archive.extract(folder / "a.zip", folder / "out")


def as_model(data: bytes, folder: Path) -> None:
    shutil.copytree(GOLDEN / "model", folder / "model")
    (folder / "model" / model_folder.HEAD).write_bytes(data)
    model_folder._parts(folder / "model")


Reader = Callable[[bytes, Path], None]
BOMBS: dict[str, tuple[Callable[[], bytes], Reader, str]] = {
    "png of 50,000 x 50,000": (lambda: png_of(50_000), as_image, "at most 80,000,000 pixels"),
    "png just within the pixels": (lambda: png_of(8900), as_image, "expected at least"),
    "jpeg of 65,500 x 65,500": (lambda: jpeg_of(65_500), as_image, "at most 80,000,000 pixels"),
    "jpeg just within the pixels": (lambda: jpeg_of(8900), as_image, "expected at least"),
    "gzipped FITS": (
        lambda: gzip.compress(b"SIMPLE  =                    T".ljust(2880) + bytes(512 << 20)),
        as_image, "expected",
    ),
    "overlapping zip": (overlapping, as_archive, "must be a sound archive"),
    "nested zip": (nested, as_archive, ""),
    "nested zip as image": (nested, as_image, "a ZIP archive"),
    "dicom of 65,535 x 65,535 x 9,999": (
        lambda: dicom(Rows=65535, Columns=65535, NumberOfFrames=9999), as_image, "expected",
    ),
    "dicom of tiles": (dicom_of_tiles, as_image, "a byte for 5,000 pixels"),
    "deflated dicom": (
        lambda: dicom(DeflatedExplicitVRLittleEndian, bytes(512 << 20)), as_image, "once inflated",
    ),
    "dicom of sequences": (dicom_of_sequences, as_image, "expected"),
    "animated png": (
        lambda: png_with(b"acTL", struct.pack(">II", 2**31 - 1, 0)), as_image, "an animated PNG",
    ),
    "exif": (jpeg_with_exif, as_image, ""),
    "profile": (
        lambda: png_with(b"iCCP", b"p\0\0" + zlib.compress(bytes(512 << 20))), as_image, "",
    ),
    "text": (
        lambda: png_with(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(512 << 20))), as_image, "",
    ),
    "safetensors of 100,000 tensors": (tensors, as_model, "got 100000 arrays"),
}  # fmt: skip


@pytest.mark.hard
@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name: str, tmp_path: Path, peak_memory: PeakMemory) -> None:
    """Refused, or where it says nothing the small thing that it is, in a second and 256 MiB."""
    make, read, words = BOMBS[name]
    data = make()
    images.read(saved("PNG"))  # libraries are loaded before
    images.read(dicom())
    said, start = "", time.process_time()
    with peak_memory() as grown:
        try:
            read(data, tmp_path)
        except HilumError as error:
            said = str(error)
    seconds = time.process_time() - start
    print(  # noqa: T201 - what docs/reliability.md counts
        f"{name}: {len(data):,} bytes, {seconds:.2f} s, {grown() >> 20} MiB: {said[-110:]}"
    )
    assert bool(said) == bool(words)
    assert words in said
    assert len(said) < 1000
    assert seconds < SECONDS
    assert grown() < BYTES
    assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) < BYTES
