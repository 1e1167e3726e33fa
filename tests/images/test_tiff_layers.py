"""TIFFs of several channels: separate planes, alpha, and channels of no known meaning."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from hilum import images
from hilum.images import gray
from hilum.images.read_image import _decode
from hilum.images.sniff import sniff
from hilum.types import HilumError

KINDS = [np.uint8, np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64]
DIALECTS: list[dict[str, Any]] = [
    {}, {"byteorder": ">"}, {"tile": (16, 32)}, {"rowsperstrip": 7}, {"compression": "zlib"},
    {"bigtiff": True}, {"bigtiff": True, "byteorder": ">", "tile": (16, 16)},
]  # fmt: skip
SHAPE = (40, 33)


def decoded(data: bytes) -> Any:
    return _decode(data, sniff(data[:132]), None)[0]


def tiff(pixels: Any, **options: Any) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, pixels, metadata=None, **options)
    return file.getvalue()


def channels(count: int, kind: type, rng: np.random.Generator) -> npt.NDArray[Any]:
    """(height, width, channel) of noise that fills the range of `kind`, floats in [0, 1]."""
    noise = rng.random((*SHAPE, count))
    if np.dtype(kind).kind == "f":
        return noise.astype(kind)
    ends = np.iinfo(kind)
    filled: npt.NDArray[Any] = (noise * float(ends.max - ends.min) + float(ends.min)).astype(kind)
    return filled


def same(planes: npt.NDArray[Any], **options: Any) -> None:
    """Both orders of the channels come out alike, and as the file's own numbers say."""
    apart = decoded(tiff(planes.transpose(2, 0, 1), planarconfig="separate", **options))
    mixed = decoded(tiff(planes, planarconfig="contig", **options))
    np.testing.assert_array_equal(apart, mixed)
    colour = planes[..., :3] if options["photometric"] == "rgb" else planes[..., [0, 0, 0]]
    if "extrasamples" not in options or options["extrasamples"] == ["unspecified"]:
        np.testing.assert_array_equal(mixed, gray.scale(gray.luma(colour))[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_separate_planes_of_colour(
    kind: type, dialect: dict[str, Any], rng: np.random.Generator
) -> None:
    if kind is np.uint8 and dialect.get("bigtiff") and dialect.get("byteorder") == ">":
        pytest.skip("Pillow, which reads 8 bits, refuses big-endian BigTIFF")
    same(channels(3, kind, rng), photometric="rgb", **dialect)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32])
def test_separate_planes_with_a_predictor(kind: type, rng: np.random.Generator) -> None:
    same(channels(3, kind, rng), photometric="rgb", compression="zlib", predictor=True)


@pytest.mark.parametrize("extra", ["unassalpha", "assocalpha", "unspecified"])
@pytest.mark.parametrize("form", ["rgb", "minisblack"])
def test_a_further_channel(extra: str, form: str, rng: np.random.Generator) -> None:
    planes = channels(4 if form == "rgb" else 2, np.uint16, rng)
    same(planes, photometric=form, extrasamples=[extra])
    same(planes, photometric=form, extrasamples=[extra], byteorder=">", tile=(16, 16))


def test_only_straight_alpha_is_multiplied_with(rng: np.random.Generator) -> None:
    """TIFF 6.0, tag 338: 0 is no alpha at all, 1 has been multiplied with already."""
    planes = channels(4, np.uint16, rng)
    planes[..., 3] = 0
    for extra, shown in (("unspecified", True), ("assocalpha", True), ("unassalpha", False)):
        back = decoded(tiff(planes, photometric="rgb", extrasamples=[extra]))
        assert bool(back.any()) is shown


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_sixteen_bit_grey_keeps_its_depth_beside_alpha(photometric: str) -> None:
    ramp = np.arange(SHAPE[0] * SHAPE[1], dtype=np.uint16).reshape(SHAPE) * 3
    opaque = np.full(SHAPE, 65535, np.uint16)
    options: dict[str, Any] = {"photometric": photometric, "extrasamples": ["unassalpha"]}
    back = decoded(tiff(np.dstack([ramp, opaque]), **options))
    np.testing.assert_array_equal(back, decoded(tiff(ramp, photometric=photometric)))
    assert len(np.unique(back)) == ramp.size


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("form", ["rgb", "minisblack"])
def test_channels_are_turned(
    orientation: int, planar: str, form: str, rng: np.random.Generator
) -> None:
    planes = channels(3 if form == "rgb" else 2, np.uint16, rng)
    stored = planes if planar == "contig" else planes.transpose(2, 0, 1)
    options: dict[str, Any] = {"photometric": form, "planarconfig": planar}
    turned = decoded(tiff(stored, extratags=[(274, "H", 1, orientation, True)], **options))
    np.testing.assert_array_equal(
        turned, gray.upright(decoded(tiff(stored, **options)), orientation)
    )


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("kind", ["separated", "palette"])
def test_deep_files_that_nothing_here_decodes_are_refused(
    planar: str, kind: str, rng: np.random.Generator
) -> None:
    if kind == "palette":
        colours = np.zeros((3, 65536), np.uint16)
        data = tiff(channels(1, np.uint16, rng)[..., 0], photometric=kind, colormap=colours)
    else:
        planes = channels(4, np.uint16, rng)
        planes = planes if planar == "contig" else planes.transpose(2, 0, 1)
        data = tiff(planes, photometric=kind, planarconfig=planar)
    with pytest.raises(HilumError, match="expected 16-bit"):
        decoded(data)


def test_pairs_with_a_predictor_are_refused(rng: np.random.Generator) -> None:
    data = tiff(
        channels(2, np.uint16, rng),
        photometric="minisblack", planarconfig="contig", compression="zlib", predictor=True,
    )  # fmt: skip
    with pytest.raises(HilumError, match="export the image without alpha"):
        decoded(data)


def test_a_transparent_grey_of_sixteen_bits_is_black() -> None:
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", transparency=int(pixels[1, 1]))
    if "transparency" not in Image.open(BytesIO(file.getvalue())).info:
        pytest.skip("this Pillow writes no transparency of 16 bits")
    expected = np.where(pixels == pixels[1, 1], 0, pixels) / np.float32(65535)
    np.testing.assert_array_equal(decoded(file.getvalue()), expected)


@pytest.mark.parametrize("samples", [2, 3])
def test_channels_cut_short_are_refused(
    samples: int, rng: np.random.Generator, tmp_path: Path
) -> None:
    form = "rgb" if samples == 3 else "minisblack"
    planes = channels(samples, np.uint16, rng)
    for order, stored in (("separate", planes.transpose(2, 0, 1)), ("contig", planes)):
        path = tmp_path / "film.tif"
        data = tiff(stored, photometric=form, planarconfig=order)
        path.write_bytes(data)
        assert images.read(path).pixels.shape == SHAPE
        for keep in (100, 300, len(data) // 2, len(data) - 10):
            path.write_bytes(data[:keep])
            with pytest.raises(HilumError, match=r"copy|export"):
                images.read(path)
