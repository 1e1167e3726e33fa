"""Compressed samples of other depths than Bits Stored; PS3.5 8.1.1: the sign is the highest bit."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import gdcm
import jpeg_ls
import numpy as np
import pydicom
import pytest
from dicom_maker import Saver, dicom_bytes
from dicom_maker import make_dicom as dicom
from openjpeg.utils import encode_array
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame

from hilum import images
from hilum.images import dicom as dicom_reader
from hilum.images.dicom_pixels import stored_values

ROWS, COLUMNS = 48, 64


def true_values(bits: int, signed: bool) -> Any:
    """(ROWS, COLUMNS) of all kinds of values that `bits` hold, both ends included."""
    values = np.linspace(0, 2**bits - 1, ROWS * COLUMNS).round().astype(int)
    values = np.random.default_rng(4).permutation(values).reshape(ROWS, COLUMNS)
    return values - (2 ** (bits - 1) if signed else 0)


def jpegls(words: Any, _folder: Path) -> tuple[bytes, str]:
    frame = jpeg_ls.encode_buffer(words.tobytes(), ROWS, COLUMNS, 1, 16)
    return bytes(frame), uid.JPEGLSLossless


def jpeg_2000(words: Any, _folder: Path) -> tuple[bytes, str]:
    frame = encode_array(words, bits_stored=16, photometric_interpretation=2)
    return frame, uid.JPEG2000Lossless


def signed_jpeg_2000(words: Any, folder: Path) -> tuple[bytes, str]:
    return jpeg_2000(words.view(np.int16), folder)


def lossless_jpeg(words: Any, folder: Path) -> tuple[bytes, str]:
    source, target = folder / "in.dcm", folder / "out.dcm"
    source.write_bytes(dicom_bytes(dicom(words)))
    reader, change, writer = (
        gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter(),
    )  # fmt: skip
    reader.SetFileName(str(source))
    assert reader.Read()
    kind = gdcm.TransferSyntax.GetTSType(uid.JPEGLosslessSV1)
    change.SetTransferSyntax(gdcm.TransferSyntax(kind))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    pixels = pydicom.dcmread(target).PixelData
    return get_frame(pixels, 0, number_of_frames=1), uid.JPEGLosslessSV1


def run_length(words: Any, _folder: Path) -> tuple[bytes, str]:
    dataset = dicom(words)
    dataset.compress(uid.RLELossless, generate_instance_uid=False)
    return get_frame(dataset.PixelData, 0, number_of_frames=1), uid.RLELossless


CODECS: list[Callable[[Any, Path], tuple[bytes, str]]] = [
    jpegls, jpeg_2000, signed_jpeg_2000, lossless_jpeg, run_length,
]  # fmt: skip


def of_words(words: Any, frame: tuple[bytes, str] | None, tags: dict[str, Any]) -> Dataset:
    """Words of 16 bits, native or as a compressed frame, under another header."""
    dataset = dicom(words, tags)
    if frame is not None:
        dataset.PixelData = encapsulate([frame[0]])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = frame[1]
    return dataset


def stored(dataset: Dataset) -> Any:
    file, layout, _ = dicom_reader.open_header(BytesIO(dicom_bytes(dataset)))
    assert file.pixels is not None
    return stored_values(file.pixels, layout)


@pytest.mark.parametrize("codec", [None, *CODECS])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [9, 12, 15])
@pytest.mark.parametrize("above", ["zero", "sign"])
def test_unused_bits_above(codec: Any, signed: bool, bits: int, above: str, tmp_path: Path) -> None:
    true = true_values(bits, signed)
    words = (true & (2**bits - 1) if above == "zero" else true & 0xFFFF).astype(np.uint16)
    tags = {"BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": int(signed)}
    frame = codec(words, tmp_path) if codec else None
    back = stored(of_words(words, frame, tags))
    np.testing.assert_array_equal(back, true)
    assert back.dtype.kind == "ui"[signed]
    native = pydicom.dcmread(BytesIO(dicom_bytes(of_words(words, None, tags))))
    np.testing.assert_array_equal(back, native.pixel_array)  # pydicom, without a codec


@pytest.mark.parametrize("codec", [None, *CODECS])
@pytest.mark.parametrize("signed", [False, True])
def test_pixels_in_the_upper_bits_of_their_cells(codec: Any, signed: bool, tmp_path: Path) -> None:
    true = true_values(12, signed)
    words = ((true & 0xFFF) << 4 | 5).astype(np.uint16)
    tags = {"BitsStored": 12, "HighBit": 15, "PixelRepresentation": int(signed)}
    frame = codec(words, tmp_path) if codec else None
    np.testing.assert_array_equal(stored(of_words(words, frame, tags)), true)


@pytest.mark.parametrize("codec", [None, jpegls, lossless_jpeg, run_length])
@pytest.mark.parametrize("signed", [False, True])
def test_overlays_in_unused_bits(codec: Any, signed: bool, tmp_path: Path) -> None:
    true = true_values(12, signed)
    overlay = np.random.default_rng(5).integers(0, 16, true.shape) << 12
    words = (true & 0xFFF | overlay).astype(np.uint16)
    tags = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": int(signed)}
    frame = codec(words, tmp_path) if codec else None
    np.testing.assert_array_equal(stored(of_words(words, frame, tags)), true)


def test_a_header_that_counts_too_few_bits_of_jpeg_2000(tmp_path: Path) -> None:
    true = true_values(14, signed=False)
    frame = jpeg_2000(true.astype(np.uint16), tmp_path)
    dataset = of_words(true.astype(np.uint16), frame, {"BitsStored": 12, "HighBit": 11})
    np.testing.assert_array_equal(stored(dataset), true)


def test_near_lossless_white_does_not_turn_black() -> None:
    true = np.random.default_rng(6).integers(4000, 4096, (ROWS, COLUMNS))
    words = true.astype("<u2")
    frame = bytes(jpeg_ls.encode_buffer(words.tobytes(), ROWS, COLUMNS, 1, 16, lossy_error=3))
    about = jpeg_ls.decode_pixel_data(frame)[1]
    tags = {"BitsStored": 12, "HighBit": 11}
    back = stored(of_words(words, (frame, uid.JPEGLSNearLossless), tags))
    assert about["allowed_lossy_error"] == 3
    assert back.max() > 4095  # else this stream shows nothing
    assert np.abs(back.astype(int) - true).max() <= 3


def test_eight_bits_in_a_deeper_stream_saturate(tmp_path: Path, save: Saver) -> None:
    words = np.array([[0, 100, 255, 257]] * ROWS, np.uint16).repeat(COLUMNS // 4, 1)
    frame = jpeg_2000(words, tmp_path)
    dataset = of_words(words, frame, {"BitsStored": 8, "HighBit": 7})
    shown = images.read(save(dataset)).pixels
    np.testing.assert_array_equal(shown, np.minimum(words, 255))
