"""Pixels that are not square: which attribute says so, and what becomes of the image."""

from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from dicom_maker import Saver
from dicom_maker import make_dicom as dicom
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate

from hilum import images
from hilum.audits.c15_lesion_localisation import _lesion, geometry
from hilum.data import manifest
from hilum.data.scan import scan
from hilum.experiment import segmentation_data
from hilum.images.dicom_shape import squared
from hilum.preprocess import Pipeline
from hilum.preprocess.geometry import Letterbox
from hilum.types import HilumError

SPACINGS = ["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"]
WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096, "BitsStored": 12}


def disc(rows: int, columns: int, high: float, kind: type = np.uint16) -> Any:
    """(rows, columns) of a bright disc, seen through pixels `high` times as high as wide."""
    y, x = np.mgrid[:rows, :columns] + 0.5
    radius = min(0.3 * columns, 0.4 * rows * high)
    inside = ((y - rows / 2) * high) ** 2 + (x - columns / 2) ** 2 < radius**2
    return (inside * 3000 + 200).astype(kind)


def extent(pixels: Any) -> tuple[int, int]:
    """Height and width of what is bright."""
    bright = pixels > (float(pixels.min()) + float(pixels.max())) / 2
    return int(bright.any(axis=1).sum()), int(bright.any(axis=0).sum())


def area_means(pixels: Any, count: int) -> Any:
    """(row, column) -> (`count`, column): means of the rows that each new row covers."""
    ends, rows = np.linspace(0, len(pixels), count + 1), np.arange(len(pixels) + 1)
    sums = np.vstack([np.zeros(pixels.shape[1]), np.cumsum(pixels.astype(float), axis=0)])
    at = np.stack([np.interp(ends, rows, column) for column in sums.T], axis=1)
    return np.diff(at, axis=0) * count / len(pixels)


@pytest.mark.parametrize("keyword", [*SPACINGS, "PixelAspectRatio"])
@pytest.mark.parametrize(
    ("vertical", "horizontal", "size"),
    [(2, 1, (120, 96)), (1, 2, (60, 192)), (3, 2, (90, 96)), (4, 3, (80, 96)), (1, 1, (60, 96)),
     (100, 101, (60, 96))],
)  # fmt: skip
def test_what_is_round_stays_round(
    keyword: str, vertical: int, horizontal: int, size: tuple[int, int], save: Saver
) -> None:
    high = vertical / horizontal
    values = [vertical, horizontal]
    if keyword != "PixelAspectRatio":
        values = [f"{0.1 * vertical:.6f}", f"{0.1 * horizontal:.6f}"]
    path = save(dicom(disc(60, 96, high), WINDOW | {keyword: values}))
    image, facts = images.read(path), images.probe(path)
    assert image.pixels.shape == size == (facts["height"], facts["width"])
    assert facts.items() <= image.facts.items()
    tall, wide = extent(image.pixels)
    assert abs(tall - wide) <= 0.04 * wide + 2
    if size == (60, 96):
        assert "pixel_aspect" not in facts
    else:
        assert facts["pixel_aspect"] == pytest.approx(high, rel=1e-4)


def test_whole_factors_repeat_and_others_keep_the_mean(rng: np.random.Generator) -> None:
    pixels = rng.random((23, 17)).astype(np.float32)
    np.testing.assert_array_equal(squared(pixels, 3), pixels.repeat(3, axis=0))
    np.testing.assert_array_equal(squared(pixels, 0.5), pixels.repeat(2, axis=1))
    bytes_ = rng.integers(0, 256, (23, 17), dtype=np.uint8)
    for aspect in (1.02, 1.3, 1.5, 2.6, 7.9):
        grown = squared(pixels, aspect)
        np.testing.assert_allclose(grown, area_means(pixels, len(grown)), atol=1e-5)
        np.testing.assert_allclose(squared(pixels.T, 1 / aspect), grown.T, atol=1e-6)
        coarse = squared(bytes_, aspect)
        assert coarse.dtype == np.uint8
        np.testing.assert_allclose(coarse, area_means(bytes_, len(coarse)), atol=0.501)


@pytest.mark.parametrize(
    ("tags", "size"),
    [
        # a spacing decides over the ratio, which is for images without one (C.7.6.3.1.7)
        ({"PixelSpacing": [0.2, 0.2], "PixelAspectRatio": [2, 1]}, (60, 96)),
        ({"ImagerPixelSpacing": [0.4, 0.2], "PixelAspectRatio": [1, 1]}, (120, 96)),
        # that of the patient over that of the detector, of which it is the calibrated one (10.7)
        ({"PixelSpacing": [0.4, 0.2], "ImagerPixelSpacing": [0.2, 0.2]}, (120, 96)),
        ({"ImagerPixelSpacing": [0.4, 0.2], "NominalScannedPixelSpacing": [1, 1]}, (120, 96)),
        # what cannot be a spacing is passed over
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.4, 0.2]}, (120, 96)),
        ({"PixelSpacing": "0.2", "PixelAspectRatio": [2, 1]}, (120, 96)),
        ({"PixelSpacing": "", "PixelAspectRatio": [2, 1]}, (120, 96)),
        ({"PixelAspectRatio": [0, 1]}, (60, 96)),
        ({"PixelSpacing": [-0.4, 0.2]}, (60, 96)),
    ],
)
def test_which_attribute_decides(tags: dict[str, Any], size: tuple[int, int], save: Saver) -> None:
    assert images.read(save(dicom(disc(60, 96, 2), WINDOW | tags))).pixels.shape == size


def test_impossible_pixels_are_refused(save: Saver) -> None:
    typing_error = dicom(disc(60, 96, 1), WINDOW | {"ImagerPixelSpacing": ["0.143", "143"]})
    for read in (images.probe, images.read):
        with pytest.raises(HilumError, match=r"got 0\.001 to 1 in ImagerPixelSpacing"):
            read(save(typing_error))
    huge = dicom(np.zeros((300, 300), np.uint8), {"PixelAspectRatio": [15, 1], "Rows": 5000})
    huge.Columns = 2000
    with pytest.raises(HilumError, match=r"75000|75,000|150,000,000"):
        images.probe(save(huge))


@pytest.mark.parametrize("photometric", ["RGB", "PALETTE COLOR", "MONOCHROME1"])
def test_every_kind_of_colour(photometric: str, save: Saver, rng: np.random.Generator) -> None:
    shape = (10, 8, 3) if photometric == "RGB" else (10, 8)
    tags: dict[str, Any] = {"PhotometricInterpretation": photometric}
    dataset = dicom(rng.integers(0, 256, shape, dtype=np.uint8), tags)
    if photometric == "PALETTE COLOR":
        for name in ("Red", "Green", "Blue"):
            stem = f"{name}PaletteColorLookupTable"
            setattr(dataset, f"{stem}Descriptor", [256, 0, 8])
            setattr(dataset, f"{stem}Data", bytes(range(256)))
    plain = images.read(save(dataset)).pixels
    dataset.PixelAspectRatio = [2, 1]
    np.testing.assert_array_equal(images.read(save(dataset)).pixels, plain.repeat(2, axis=0))


def test_a_jpeg_that_is_decoded_smaller(save: Saver) -> None:
    pixels, frame = disc(320, 480, 2, np.uint8), BytesIO()
    Image.fromarray(pixels).save(frame, "JPEG", quality=95)
    dataset = dicom(pixels, {"PixelSpacing": [0.4, 0.2]})
    dataset.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    dataset.PixelData = encapsulate([frame.getvalue()])
    dataset["PixelData"].is_undefined_length = True
    path = save(dataset)
    assert images.read(path).pixels.shape == (640, 480)
    small = images.read(path, 150)
    assert small.pixels.shape == (320, 240)
    assert (small.facts["height"], small.facts["width"]) == (640, 480)


def test_masks_on_stored_or_on_square_pixels(save: Saver, tmp_path: Path) -> None:
    film = save(dicom(disc(60, 96, 2), WINDOW | {"PixelAspectRatio": [2, 1]}))
    size, aspect = segmentation_data._size_and_aspect(film)
    assert (size, aspect) == ((120, 96), 2)
    read = []
    for mask in (disc(60, 96, 2), disc(120, 96, 1), disc(240, 192, 1)):
        path = tmp_path / f"{len(read)}.png"
        cv2.imwrite(str(path), np.uint8(mask > 1000) * 255)
        read.append(segmentation_data.read_mask(path, size, aspect))
        assert read[-1].shape == size
        tall, wide = extent(read[-1].astype(float))
        assert abs(tall - wide) <= 4
    overlap = (read[0] & read[1]).sum() / read[1].sum()
    assert overlap > 0.95
    cv2.imwrite(str(tmp_path / "other.png"), np.zeros((96, 60), np.uint8))
    with pytest.raises(HilumError, match="a mask must have its image's shape; got 60 x 96"):
        segmentation_data.read_mask(tmp_path / "other.png", size, aspect)


def test_a_lesions_mask_on_stored_pixels(save: Saver, tmp_path: Path) -> None:
    film = str(save(dicom(disc(60, 96, 2), WINDOW | {"PixelAspectRatio": [2, 1]})))
    place, found = geometry(Pipeline((Letterbox(64),))), []
    for rows, high in ((60, 2), (120, 1)):
        path = str(tmp_path / f"{rows}.png")
        cv2.imwrite(path, np.uint8(disc(rows, 96, high) > 1000) * 255)
        mask = _lesion(path, film, place)
        assert mask is not None
        found.append(mask)
    tall, wide = extent(found[0].astype(float))
    assert abs(tall - wide) <= 2
    assert (found[0] & found[1]).sum() / (found[0] | found[1]).sum() > 0.9


def test_the_scan_counts_what_was_resampled(save: Saver, tmp_path: Path) -> None:
    kinds: list[dict[str, Any]] = [{"PixelAspectRatio": [2, 1]}, {"PixelSpacing": [1, 1]}, {}]
    paths = [save(dicom(disc(60, 96, 1), WINDOW | tags)) for tags in kinds]
    rows = [{"label": "a", "path": path.name} for path in paths]
    found = scan(manifest.assemble_manifest(rows, "drawn", [], [], tmp_path))
    assert found.shapes_by_class == {"a": {"96 x 60": 2, "96 x 120": 1}}
    assert [note for note in found.notes if note.startswith("1 of 3 headers read")]
    plain = scan(manifest.assemble_manifest(rows[1:], "drawn", [], [], tmp_path))
    assert not [note for note in plain.notes if "square" in note]
