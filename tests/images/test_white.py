"""What is white in files of more than 8 bits: declared, or the same guess for a film anywhere."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image
from scipy.ndimage import generic_filter

from hilum import images
from hilum.images.white_level import SPARED, white, white_note

SIDE = 64  # 4,096 pixels, of which four may be brighter than white


def film(bits: int, exposure: float = 1.0) -> npt.NDArray[np.uint16]:
    """(SIDE, SIDE): a smooth picture in so many bits, its brightest at `exposure` of white."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    grey = np.minimum(0.5 + 0.6 * np.sin(5 * x) * np.cos(4 * y), 1) * exposure
    return np.rint(np.maximum(grey, 0) * (2**bits - 1)).astype(np.uint16)


def png(pixels: npt.NDArray[np.uint16], chunk: tuple[bytes, bytes] | None = None) -> bytes:
    """A 16-bit PNG of grey (height, width) or of channels, with a chunk before its pixels."""
    data: bytes = cv2.imencode(".png", pixels)[1].tobytes()
    if chunk is None:
        return data
    name, content = chunk
    checked = struct.pack(">I", zlib.crc32(name + content))
    return data[:33] + struct.pack(">I", len(content)) + name + content + checked + data[33:]


def tiff(pixels: npt.NDArray[Any], *tags: tuple[int, str, int, int, bool]) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, pixels, extratags=list(tags), metadata=None)
    return file.getvalue()


def read(folder: Path, data: bytes) -> Any:
    path = folder / "film"
    path.write_bytes(data)
    return images.read(path)


@pytest.mark.parametrize("bits", range(8, 17))
@pytest.mark.parametrize("write", [png, tiff])
def test_one_picture_at_every_depth(bits: int, write: Any, tmp_path: Path) -> None:
    expected = film(16) / 65535
    shown = read(tmp_path, write(film(bits)))
    assert np.abs(shown.pixels - expected).max() <= 0.5 / (2**bits - 1) + 1e-5
    assert shown.facts["white"] == "not stated"
    assert shown.facts["greys"] == f"white {2**bits - 1}, guessed"


@pytest.mark.parametrize("bits", range(9, 15))
@pytest.mark.parametrize("where", [np.s_[:10, :10], np.s_[:, :6], np.s_[::2]])
def test_letters_and_borders_at_the_white_of_the_file_decide_nothing(
    bits: int, where: Any, tmp_path: Path
) -> None:
    pixels = film(bits)
    lettered = pixels.copy()
    lettered[where] = 65535
    before, after = (read(tmp_path, png(each)).pixels for each in (pixels, lettered))
    kept = np.ones(pixels.shape, bool)
    kept[where] = False
    np.testing.assert_array_equal(before[kept], after[kept])
    assert (after[where] == 1).all()


def test_letters_do_not_brighten_a_film_of_16_bits() -> None:
    pixels = film(16, 0.45)
    pixels[:10, :10] = 65535
    assert white(pixels) == 65535


@pytest.mark.parametrize("hot", [1, SIDE**2 // SPARED])
@pytest.mark.parametrize("value", [4096, 65535])
def test_hot_pixels_decide_nothing(hot: int, value: int, tmp_path: Path) -> None:
    pixels = film(12)
    broken = pixels.copy()
    broken.reshape(-1)[-hot:] = value
    before, after = (read(tmp_path, png(each)).pixels for each in (pixels, broken))
    np.testing.assert_array_equal(before.reshape(-1)[:-hot], after.reshape(-1)[:-hot])
    assert (after[-1, -1] == 1) == (hot > 1)  # a lone one is a defect, several are drawn in
    more = broken.copy()
    more.reshape(-1)[: SIDE**2 // SPARED + 1] = 60000
    assert white(more) == 65535


@pytest.mark.parametrize("place", [(0, 0), (0, 9), (9, 0), (5, 7), (SIDE - 1, SIDE - 1)])
def test_a_lone_pixel_beyond_white_is_as_what_lies_around_it(
    place: tuple[int, int], tmp_path: Path
) -> None:
    """SciPy's median of the 8 neighbours, mirrored at the edge, is the second opinion."""
    pixels = film(12)
    broken = pixels.copy()
    broken[place] = 4096
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    near = generic_filter(pixels.astype(float), np.median, footprint=ring, mode="mirror")
    after = read(tmp_path, png(broken)).pixels
    assert after[place] == pytest.approx(int(near[place]) / 4095, abs=1e-6)
    after[place] = pixels[place] / np.float32(4095)
    np.testing.assert_array_equal(after, read(tmp_path, png(pixels)).pixels)


def test_letters_beyond_white_stay(tmp_path: Path) -> None:
    pixels = film(12)
    pixels[4:9, 5:7] = 65535
    shown = read(tmp_path, png(pixels)).pixels
    assert (shown[4:9, 5:7] == 1).all()


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 15])
@pytest.mark.parametrize("exposure", [1.0, 0.2])
def test_significant_bits_are_honoured(bits: int, exposure: float, tmp_path: Path) -> None:
    """As the PNG standard scales them up, as zeros fill them up, and as detectors leave them."""
    stored = film(bits, exposure).astype(np.uint32)
    top = 2**bits - 1
    for pixels in (np.rint(stored * (65535 / top)), stored << (16 - bits), stored):
        data = png(pixels.astype(np.uint16), (b"sBIT", bytes([bits])))
        shown = read(tmp_path, data)
        assert np.abs(shown.pixels - stored / top).max() < 1.5 / 65535
        assert shown.facts["white"] == f"sBIT, {bits} bits"
        assert shown.facts["greys"].endswith(", declared")


def test_significant_bits_of_colour(tmp_path: Path) -> None:
    pixels = np.repeat(film(12, 0.2)[..., None], 3, axis=2)
    shown = read(tmp_path, png(pixels, (b"sBIT", bytes([12, 12, 12]))))
    np.testing.assert_allclose(shown.pixels, film(12, 0.2) / 4095, atol=1e-6)


@pytest.mark.parametrize("bits", [0, 3, 17, 200])
def test_impossible_bits_are_no_declaration(bits: int, tmp_path: Path) -> None:
    shown = read(tmp_path, png(film(12), (b"sBIT", bytes([bits]))))
    assert shown.facts["white"] == "not stated"
    np.testing.assert_allclose(shown.pixels, film(12) / 4095, atol=1e-6)


@pytest.mark.parametrize("tag", [281, 341])  # MaxSampleValue, SMaxSampleValue
def test_greatest_sample_value_of_tiff(tag: int, tmp_path: Path) -> None:
    dark = film(12, 0.2)
    shown = read(tmp_path, tiff(dark, (tag, "H", 1, 4095, True)))
    np.testing.assert_allclose(shown.pixels, dark / 4095, atol=1e-6)
    assert shown.facts["white"] == "MaxSampleValue, 12 bits"
    hot = film(12)
    hot[0, 0] = 40000
    shown = read(tmp_path, tiff(hot, (tag, "H", 1, 40000, True)))  # a statistic, no white
    assert shown.facts["greys"] == "white 4095, guessed"


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.uint32, np.float32, np.float64])
def test_no_single_pixel_stretches_the_rest(kind: type, tmp_path: Path) -> None:
    pixels = film(12).astype(kind) + kind(7)
    broken = pixels.copy()
    broken[0, 0] = kind(30000)
    before, after = (read(tmp_path, tiff(each)).pixels for each in (pixels, broken))
    np.testing.assert_allclose(before.reshape(-1)[1:], after.reshape(-1)[1:], atol=1e-3)
    assert (after.min(), after.max()) == (0, 1)


def test_a_float_above_one_does_not_stretch_the_rest(tmp_path: Path) -> None:
    pixels = (film(12) / 9000).astype(np.float32)
    pixels[3, 3] = 1.01
    shown = read(tmp_path, tiff(pixels))
    np.testing.assert_array_equal(shown.pixels, np.minimum(pixels, 1))
    assert shown.facts["greys"] == "as stored"
    assert not images.white_is_guessed(shown.facts)


def test_eight_bits_say_nothing_of_white(tmp_path: Path) -> None:
    file = BytesIO()
    Image.fromarray(film(8).astype(np.uint8)).save(file, "PNG")
    facts = read(tmp_path, file.getvalue()).facts
    assert "white" not in facts
    assert not images.white_is_guessed(facts)


def test_the_note_counts() -> None:
    assert white_note(0, 9) == ()
    assert white_note(4, 9)[0].startswith("4 of 9 files have more than 8 bits")
