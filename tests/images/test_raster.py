"""PNG, JPEG and TIFF against Pillow, OpenCV and tifffile."""

from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageOps

from hilum import images
from hilum.images import gray, jpeg
from hilum.images.header import read_png, read_tiff
from hilum.images.read_image import _decode
from hilum.images.sniff import sniff
from hilum.types import HilumError

shapes = hnp.array_shapes(min_dims=2, max_dims=2, max_side=24)


def decoded(data: bytes, at_least: int | None = None) -> Any:
    return _decode(data, sniff(data[:132]), at_least)[0]


def encoded(picture: Image.Image, form: str, **options: Any) -> bytes:
    file = BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def tiff(pixels: Any, **options: Any) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


@given(hnp.arrays(np.uint8, shapes))
@settings(max_examples=60, deadline=None)
def test_eight_bits_come_back_unchanged(pixels: Any) -> None:
    for data in (encoded(Image.fromarray(pixels), "PNG"), tiff(pixels)):
        back = decoded(data)
        assert back.dtype == np.uint8
        np.testing.assert_array_equal(back, pixels)


@given(hnp.arrays(np.uint16, shapes), st.sampled_from("<>"))
@settings(max_examples=60, deadline=None)
def test_sixteen_bits_come_back_scaled(pixels: Any, order: str) -> None:
    white = max(2 ** int(pixels.max()).bit_length(), 256) - 1  # too few pixels to spare one
    for data in (cv2.imencode(".png", pixels)[1].tobytes(), tiff(pixels, byteorder=order)):
        back = decoded(data)
        assert back.dtype == np.float32
        np.testing.assert_array_equal(np.rint(back.astype(np.float64) * white), pixels)


@given(
    st.tuples(st.integers(1, 400), st.integers(1, 400)),
    st.integers(1, 450),
    st.sampled_from(["L", "RGB"]),
)
@settings(max_examples=60, deadline=None)
def test_scaled_jpeg_is_never_smaller_than_asked(
    size: tuple[int, int], at_least: int, mode: str
) -> None:
    data = encoded(Image.new(mode, size, 77 if mode == "L" else (77, 77, 77)), "JPEG")
    height, width = decoded(data, at_least).shape
    assert min(height, width) >= min(at_least, *size)
    assert (height, width) <= (size[1], size[0])
    assert width / height == pytest.approx(size[0] / size[1], abs=8 / height, rel=8 / min(size))


def test_scaled_jpeg_is_the_mean_of_its_pixels(rng: np.random.Generator) -> None:
    smooth = cv2.resize(rng.integers(0, 256, (9, 12), dtype=np.uint8), (640, 480))
    data = encoded(Image.fromarray(smooth), "JPEG", quality=95)
    full, half, eighth = decoded(data), decoded(data, 240), decoded(data, 60)
    assert (full.shape, half.shape, eighth.shape) == ((480, 640), (240, 320), (60, 80))
    np.testing.assert_array_equal(full, np.asarray(Image.open(BytesIO(data))))
    for small in (half, eighth):
        reference = cv2.resize(full, small.shape[::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(small.astype(int) - reference).max() <= 3


def test_scale_is_the_smallest_of_the_fast_ones() -> None:
    header = jpeg.read_header(BytesIO(encoded(Image.new("L", (1000, 801)), "JPEG")))
    wanted = {None: 801, 802: 801, 402: 801, 401: 401, 202: 401, 201: 201, 101: 101, 1: 101}
    assert {side: jpeg.scaled_size(header, side)[0] for side in wanted} == wanted


def test_grey_stored_as_colour_is_identical(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (31, 17), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    for mode in ("RGB", "RGBA", "LA", "P"):
        np.testing.assert_array_equal(decoded(encoded(picture.convert(mode), "PNG")), pixels)
    flat = encoded(picture, "JPEG", quality=90)
    colour = encoded(picture.convert("RGB"), "JPEG", quality=90)
    np.testing.assert_array_equal(decoded(flat), decoded(colour))
    deep = rng.integers(0, 65536, (31, 17), dtype=np.uint16)
    three = np.repeat(deep[..., None], 3, axis=2)
    expected = deep.astype(np.float32) / np.float32(65535)
    np.testing.assert_array_equal(decoded(cv2.imencode(".png", three)[1].tobytes()), expected)
    np.testing.assert_array_equal(decoded(tiff(three, photometric="rgb")), expected)


def test_colour_becomes_luma_as_in_pillow(rng: np.random.Generator) -> None:
    colour = rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)
    picture = Image.fromarray(colour)
    reference = np.asarray(picture.convert("L"))
    np.testing.assert_array_equal(decoded(encoded(picture, "PNG")), reference)
    np.testing.assert_array_equal(decoded(encoded(picture, "TIFF")), reference)
    smooth = Image.fromarray(cv2.resize(colour, (200, 160)))
    data = encoded(smooth, "JPEG", quality=95, subsampling=0)
    stored_luma = np.asarray(Image.open(BytesIO(data)).convert("YCbCr"))[..., 0]
    assert np.abs(decoded(data).astype(int) - stored_luma).max() <= 2


def test_deep_luma_by_hand(rng: np.random.Generator) -> None:
    colour = rng.integers(0, 65536, (20, 10, 3), dtype=np.uint16)
    by_hand = (colour * [0.299, 0.587, 0.114]).sum(axis=2)
    assert np.abs(gray.luma(colour) - by_hand).max() < 1
    assert gray.luma(np.full((1, 1, 3), 65535, np.uint16) - [[[0, 1, 0]]]).max() <= 65535


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG"])
def test_every_mode_matches_pillow(mode: str, form: str, rng: np.random.Generator) -> None:
    if (form, mode) in {("PNG", "CMYK"), *(("JPEG", m) for m in ("P", "LA", "RGBA", "I;16"))}:
        pytest.skip("the format does not know the mode")
    ramp = Image.fromarray(np.linspace(0, 255, 48 * 32).astype(np.uint8).reshape(32, 48))
    picture = Image.fromarray(rng.integers(0, 65536, (9, 8), dtype=np.uint16))
    if mode != "I;16":
        picture = ramp.convert("RGB").convert(mode)
    data = encoded(picture, form)
    back = decoded(data)
    if mode == "I;16":
        reference = np.asarray(picture) / np.float32(65535)
    else:
        reference = np.asarray(Image.open(BytesIO(data)).convert("RGB").convert("L"))
    assert back.dtype == reference.dtype
    assert np.abs(back.astype(float) - reference).max() <= (1 if form == "JPEG" else 0)


def test_transparency_lies_on_black() -> None:
    pixels = np.array([[[200, 255], [200, 128], [200, 0]]], np.uint8)
    assert decoded(encoded(Image.fromarray(pixels, "LA"), "PNG")).tolist() == [[200, 100, 0]]
    flat = Image.fromarray(np.array([[10, 200]], np.uint8))
    assert decoded(encoded(flat, "PNG", transparency=200)).tolist() == [[10, 0]]
    deep = np.full((1, 2, 4), 40000, np.uint16)
    deep[..., 3] = [65535, 0]
    back = decoded(cv2.imencode(".png", deep)[1].tobytes())
    assert back.tolist() == [[pytest.approx(40000 / 65535), 0]]


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32, np.uint32, np.float32, np.float64])
def test_numbers_without_agreed_white_are_stretched(kind: type) -> None:
    back = decoded(tiff(np.array([[20, 120], [70, 45]], kind)))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, [[0, 1], [0.5, 0.25]], atol=1e-7)


def test_floats_in_range_stay() -> None:
    assert decoded(tiff(np.array([[0.25, 0.5]], np.float32))).tolist() == [[0.25, 0.5]]
    extreme = np.array([[-3e38, 3e38, 0]], np.float32)
    np.testing.assert_allclose(decoded(tiff(extreme)), [[0, 1, 0.5]], atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_a_number_is_refused(bad: float) -> None:
    with pytest.raises(HilumError, match="got 2 that are NaN or infinite"):
        decoded(tiff(np.array([[0, bad, 1, bad]], np.float32)))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_white_is_zero_is_turned(kind: type) -> None:
    top = np.iinfo(kind).max
    plain, turned = (
        decoded(tiff(np.array([[0, top]], kind), photometric=name))
        for name in ("minisblack", "miniswhite")
    )
    np.testing.assert_array_equal(turned, plain[:, ::-1])


@pytest.mark.parametrize("pixels", [np.zeros((1, 1)), np.full((5, 4), 7), np.full((3, 3), 255)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_one_pixel_and_constant_images(pixels: Any, kind: type) -> None:
    back = decoded(tiff(pixels.astype(kind)))
    assert back.shape == pixels.shape
    assert len(np.unique(back)) == 1
    assert 0 <= back.min() <= (255 if kind is np.uint8 else 1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
def test_orientation_as_pillow_turns_it(
    orientation: int, form: str, rng: np.random.Generator, tmp_path: Path
) -> None:
    blocks = rng.integers(0, 256, (3, 5), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    exif = Image.Exif()
    exif[274] = orientation
    data = encoded(Image.fromarray(blocks), form, exif=exif)
    with Image.open(BytesIO(data)) as picture:
        reference = np.asarray(ImageOps.exif_transpose(picture))
    np.testing.assert_array_equal(decoded(data), reference)
    path = tmp_path / "image"
    path.write_bytes(data)
    facts = images.probe(path)
    assert (facts["height"], facts["width"]) == reference.shape
    assert images.read(path, 24).pixels.shape[0] < images.read(path, 24).pixels.shape[1] or (
        orientation >= 5
    )


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.float32])
def test_deep_tiff_is_turned_too(orientation: int, kind: type) -> None:
    pixels = np.arange(-7, 8).astype(kind).reshape(3, 5) * kind(2000)
    data = tiff(pixels, extratags=[(274, "H", 1, orientation, True)])
    reference = gray.upright(pixels, orientation)  # itself checked against Pillow above
    np.testing.assert_array_equal(decoded(data), gray.scale(reference)[0])


def test_deep_png_is_turned_too() -> None:
    pixels = np.arange(15, dtype=np.uint16).reshape(3, 5) * 4369
    exif = Image.Exif()
    exif[274] = 6
    data = encoded(Image.fromarray(pixels), "PNG", exif=exif)
    reference = np.rot90(pixels, -1) / np.float32(65535)
    np.testing.assert_array_equal(decoded(data), reference)


@pytest.mark.parametrize(
    "options", [{"bigtiff": True}, {"compression": "zlib"}, {"tile": (16, 16)}]
)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_tiff_dialects(options: dict[str, Any], kind: type, rng: np.random.Generator) -> None:
    pixels = rng.integers(0, np.iinfo(kind).max, (40, 33)).astype(kind)
    back = decoded(tiff(pixels, **options))
    np.testing.assert_array_equal(back, pixels if kind is np.uint8 else pixels / np.float32(65535))


def test_headers_agree_with_other_libraries(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 65536, (14, 9), dtype=np.uint16)
    header = read_png(BytesIO(cv2.imencode(".png", pixels)[1].tobytes()))
    assert (header.width, header.height, header.bits, header.kind) == (9, 14, 16, "grey")
    for order in "<>":
        header = read_tiff(BytesIO(tiff(pixels.astype(np.float32), byteorder=order)))
        assert (header.width, header.height, header.bits, header.numbers) == (9, 14, 32, "float")


def test_jpeg_quality_is_that_of_the_encoder(rng: np.random.Generator) -> None:
    picture = Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8))
    for wanted in range(1, 101):
        header = jpeg.read_header(BytesIO(encoded(picture, "JPEG", quality=wanted)))
        assert header.facts["quality"] == wanted


def test_jpeg_tables_tell_encoders_apart(rng: np.random.Generator) -> None:
    def digest(side: int, quality: int) -> str:
        picture = Image.fromarray(rng.integers(0, 256, (side, side), dtype=np.uint8))
        data = encoded(picture, "JPEG", quality=quality)
        return str(jpeg.read_header(BytesIO(data)).facts["quantisation"])

    assert digest(16, 90) == digest(40, 90) != digest(16, 91)


def test_stray_bytes_in_a_jpeg_are_forgiven(rng: np.random.Generator) -> None:
    smooth = cv2.resize(rng.integers(0, 256, (4, 4), dtype=np.uint8), (64, 64))
    data = encoded(Image.fromarray(smooth), "JPEG")
    strays = data[:-2] + b"\0\0\0" + data[-2:] + b"trailing"
    np.testing.assert_array_equal(decoded(strays), decoded(data))


def test_facts_of_probe_and_read_agree(tmp_path: Path) -> None:
    for form in ("PNG", "JPEG", "TIFF"):
        path = tmp_path / f"misnamed-{form}.txt"
        path.write_bytes(encoded(Image.new("L", (40, 30), 9), form))
        facts = images.probe(path)
        assert facts == images.read(path, 8).facts
        assert facts["format"] == form
        assert facts["bytes"] == path.stat().st_size
        assert (facts["width"], facts["height"], facts["bits"]) == (40, 30, 8)


@pytest.mark.parametrize("folder", ["nih-chestxray14/images", "v7-lung-masks/masks", "COVID-CT"])
def test_real_files_match_pillow(shared: Path, folder: str) -> None:
    paths, left_out = images.list_images(shared / folder)
    for path in paths[:: max(len(paths) // 12, 1)]:
        image = images.read(path)
        with Image.open(path) as picture:
            reference = np.asarray(picture.convert("L"))
        assert np.abs(image.pixels.astype(int) - reference).max() <= 2
        assert image.facts == images.probe(path)
    assert len(paths) > 300
    assert all(thing.reason for thing in left_out)
