"""Headers that promise more than the data can hold are refused; blank pictures pass."""

from io import BytesIO

import cv2
import numpy as np
import pytest
from dicom_maker import dicom_bytes, make_dicom
from PIL import Image
from pydicom import uid

from hilum import images
from hilum.images import jpeg, plausible
from hilum.types import HilumError

PROMISED = (8000, 8900)  # (height, width) of a header over the data of a small picture
TOO_LITTLE = "expected at least .* for 8900 x 8000 pixels, got"


def small(form: str, **options: object) -> bytes:
    noise = np.random.default_rng(1).integers(0, 256, (80, 96), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(noise).save(file, form, **options)
    return file.getvalue()


def promising(data: bytes, marker: int) -> bytes:
    """A JPEG or JPEG-LS whose frame header has other numbers of rows and columns."""
    at = data.index(bytes([0xFF, marker])) + 5
    size = b"".join(side.to_bytes(2, "big") for side in PROMISED)
    return data[:at] + size + data[at + 4 :]


@pytest.mark.parametrize(("progressive", "marker"), [(False, 0xC0), (True, 0xC2)])
def test_a_jpeg_that_promises_more_than_it_has(progressive: bool, marker: int) -> None:
    data = small("JPEG", progressive=progressive)
    assert images.read(data).pixels.shape == (80, 96)
    with pytest.raises(HilumError, match=TOO_LITTLE):
        images.read(promising(data, marker))


def test_a_dicom_that_promises_more_than_it_has() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (80, 96), dtype=np.uint8)
    made = make_dicom(noise)
    made.compress(uid.JPEGLSLossless, generate_instance_uid=False)
    whole = dicom_bytes(made)
    assert images.read(whole).pixels.shape == (80, 96)
    made.Rows, made.Columns = PROMISED
    with pytest.raises(HilumError, match="expected at least a byte for 5,000 pixels"):
        images.read(promising(dicom_bytes(made), 0xF7))


@pytest.mark.parametrize("quality", [1, 75])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_blank_pictures_have_enough(quality: int, progressive: bool, level: int) -> None:
    """The least that an encoder writes: every block the same, optimal codes."""
    file = BytesIO()
    blank = Image.fromarray(np.full((1600, 1608), level, np.uint8))
    blank.save(file, "JPEG", quality=quality, progressive=progressive, optimize=True)
    assert np.abs(images.read(file.getvalue()).pixels.astype(int) - level).max() <= 2


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "I;16", "1"])
def test_a_blank_png_has_enough(mode: str) -> None:
    file = BytesIO()
    Image.new(mode, (1000, 1000)).save(file, "PNG", compress_level=9)
    assert images.read(file.getvalue()).pixels.shape == (1000, 1000)


def test_a_blank_jpeg_ls_of_a_million_pixels_has_enough() -> None:
    made = make_dicom(np.zeros((1000, 1000), np.uint8))
    made.compress(uid.JPEGLSLossless, generate_instance_uid=False)
    assert images.read(dicom_bytes(made)).pixels.shape == (1000, 1000)


def test_deflate_has_its_bound() -> None:
    plausible.check_deflated(2000, 2000, 8, 4_000_000 // plausible.DEFLATE + 1)
    with pytest.raises(HilumError, match="expected at least 3,876 bytes for 2000 x 2000"):
        plausible.check_deflated(2000, 2000, 8, 3875)


def test_scans_are_bounded() -> None:
    """Twice as many as the most detailed script of scans has; fewer for a larger picture."""
    plausible.check_scans(plausible.MOST_SCANS, 1000, 1000)
    plausible.check_scans(12, 10_000, 8000)
    for scans, side in ((plausible.MOST_SCANS + 1, 10), (12, 9000)):
        with pytest.raises(HilumError, match=f"in about ten scans, got {scans}"):
            plausible.check_scans(scans, side, side)


def test_scans_are_counted() -> None:
    for progressive, fewest in ((False, 1), (True, 6)):
        data = small("JPEG", progressive=progressive)
        assert data.count(jpeg._SCAN_BYTES) == fewest
    grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert np.abs(images.read(data).pixels.astype(int) - grey).max() <= 1
