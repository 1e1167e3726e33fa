"""Stored values to displayed grey, against pydicom's own modality and VOI transforms."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from dicom_maker import Saver
from dicom_maker import make_dicom as dicom
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from hilum import images
from hilum.images import dicom_grayscale
from hilum.images.dicom_tables import Window
from hilum.types import HilumError

KINDS = [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32]
WINDOWS: dict[str, dict[str, Any]] = {
    "linear": {"WindowCenter": 40, "WindowWidth": 90},
    "several": {"WindowCenter": [40, 900], "WindowWidth": [90, 5]},
    "narrowest": {"WindowCenter": 40.5, "WindowWidth": 1},
    "exact": {"WindowCenter": 40, "WindowWidth": 90, "VOILUTFunction": "LINEAR_EXACT"},
    "sigmoid": {"WindowCenter": 40, "WindowWidth": 30, "VOILUTFunction": "SIGMOID"},
    "rescaled": {
        "WindowCenter": -500, "WindowWidth": 900,
        "RescaleSlope": 2.5, "RescaleIntercept": -1024, "RescaleType": "HU",
    },
}  # fmt: skip


def ramp(kind: type) -> Any:
    """(8, 16) of all the values from -20, or 0, to 107 or 127."""
    return (np.arange(128) - (20 if np.dtype(kind).kind == "i" else 0)).astype(kind).reshape(8, 16)


def table(first: int, entries: Any, bits: int, bare: bool = False) -> Sequence:
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 65536, first, bits]
    item["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    item.LUTData = entries.tobytes()
    item["LUTData"].VR = "OW"
    if not bare:
        item.ModalityLUTType = "US"
    return Sequence([item])


def pydicoms_view(dataset: Dataset) -> Any:
    """Grey in [0, 1] by pydicom; its output range is undone, polarity is left out."""
    measured = apply_modality_lut(dataset.pixel_array, dataset)
    shown = apply_voi_lut(measured, dataset).astype(np.float64)
    if "VOILUTSequence" in dataset:
        return shown / (2 ** dataset.VOILUTSequence[0].LUTDescriptor[2] - 1)
    signed, bits = dataset.PixelRepresentation, dataset.BitsStored
    ends = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if signed else [0, 2**bits - 1])
    if "RescaleSlope" in dataset:  # pydicom widens the range by what rescaling makes of it
        ends = ends * dataset.RescaleSlope + dataset.RescaleIntercept
    return (shown - ends[0]) / (ends[1] - ends[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_windows_match_pydicom(kind: type, window: str, photometric: str, save: Saver) -> None:
    tags = {"PhotometricInterpretation": photometric, **WINDOWS[window]}
    dataset = dicom(ramp(kind), tags)
    image = images.read(save(dataset))
    reference = pydicoms_view(dataset)
    if photometric == "MONOCHROME1":
        reference = 1 - reference
    assert image.pixels.dtype == np.float32
    np.testing.assert_allclose(image.pixels, reference, atol=2e-6)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16])
@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_voi_table_matches_pydicom(
    kind: type, bits: int, syntax: str, save: Saver, rng: np.random.Generator
) -> None:
    first = -10 if np.dtype(kind).kind == "i" else 10
    order = ">u2" if syntax == ExplicitVRBigEndian else "<u2"
    entries = np.sort(rng.integers(0, 2**bits, 60)).astype(order)
    pixels = ramp(kind).astype(np.dtype(kind).newbyteorder(order[0]))
    tags = {"VOILUTSequence": table(first, entries, bits, bare=True), "syntax": syntax}
    dataset = dicom(pixels, tags | {"WindowCenter": 1, "WindowWidth": 2})
    shown = images.read(save(dataset))
    by_hand = entries[np.clip(ramp(kind).astype(int) - first, 0, 59)] / (2**bits - 1)
    np.testing.assert_allclose(shown.pixels, by_hand, atol=1e-6)
    assert shown.facts["greys"] == "table"
    if syntax == ImplicitVRLittleEndian:
        np.testing.assert_allclose(shown.pixels, pydicoms_view(dataset), atol=1e-6)


def test_modality_table_comes_before_the_window(save: Saver, rng: np.random.Generator) -> None:
    entries = rng.integers(0, 4096, 128).astype("<u2")  # neither rising nor falling
    tags = {"ModalityLUTSequence": table(0, entries, 16), "WindowCenter": 2000, "WindowWidth": 1500}
    dataset = dicom(ramp(np.uint16), tags)
    measured = apply_modality_lut(dataset.pixel_array, dataset)
    np.testing.assert_array_equal(measured, entries.reshape(8, 16))
    shown = images.read(save(dataset)).pixels
    np.testing.assert_allclose(shown, Window(2000, 1500, "LINEAR")(measured), atol=1e-6)


def test_a_table_of_65536_and_one_of_bytes(save: Saver) -> None:
    long = np.arange(65536)[::-1].astype("<u2")
    dataset = dicom(np.array([[0, 65535, 1]], np.uint16), {"VOILUTSequence": table(0, long, 16)})
    np.testing.assert_allclose(images.read(save(dataset)).pixels, [[1, 0, 65534 / 65535]])
    short = np.array([0, 51, 102, 255], np.uint8)
    dataset = dicom(np.array([[0, 1, 2, 9]], np.uint16), {"VOILUTSequence": table(0, short, 8)})
    np.testing.assert_allclose(images.read(save(dataset)).pixels, [[0, 0.2, 0.4, 1]], atol=1e-7)


def test_windows_by_hand() -> None:
    levels = np.array([-1000.0, 0, 2047.5, 2048, 4095, 9000])
    # the three examples of DICOM PS3.3 C.11.2.1.2: c = 2048, w = 4096 maps 0..4095 onto 0..1
    np.testing.assert_allclose(
        Window(2048, 4096, "LINEAR")(levels), [0, 0, 0.5, 2048 / 4095, 1, 1], atol=1e-12
    )
    np.testing.assert_allclose(
        Window(2048, 4096, "LINEAR_EXACT")(levels), [0, 0, 2047.5 / 4096, 0.5, 4095 / 4096, 1]
    )
    sigmoid = Window(0, 4, "SIGMOID")(np.array([-1e9, 0, np.log(3), 1e9]))
    np.testing.assert_allclose(sigmoid, [0, 0.5, 0.75, 1], atol=1e-12)


@pytest.mark.parametrize(
    ("function", "width"), [("LINEAR", 0), ("LINEAR", 0.5), ("LINEAR_EXACT", 0), ("SIGMOID", -3)]
)
def test_an_impossible_window_counts_as_none(function: str, width: float, save: Saver) -> None:
    tags = {"WindowCenter": 40, "WindowWidth": width, "VOILUTFunction": function}
    plain = images.read(save(dicom(ramp(np.uint16)))).pixels
    image = images.read(save(dicom(ramp(np.uint16), tags)))
    np.testing.assert_array_equal(image.pixels, plain)
    assert image.facts["greys"] == "percentiles"


@pytest.mark.parametrize(("shape", "levels"), [((40, 50), 4096), ((7, 1), 2), ((1, 90), 2**16)])
def test_values_are_counted_in_parts(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], levels: int
) -> None:
    """No count is beyond what single precision holds, whatever the number of pixels."""
    places = rng.integers(0, levels, shape).astype(np.uint16)
    expected = np.bincount(places.reshape(-1), minlength=2**16)
    for most in (1, 64, 2**24):
        monkeypatch.setattr(dicom_grayscale, "EXACT", most)
        assert (dicom_grayscale._counts(places) == expected).all()
    monkeypatch.undo()
    counts = dicom_grayscale._counts(np.full((4100, 4100), 9, np.uint16))
    assert counts[9] == counts.sum() == 4100**2 > 2**24


def test_percentiles_without_window(save: Saver, rng: np.random.Generator) -> None:
    pixels = rng.normal(1000, 200, (60, 50)).astype(np.uint16)
    low, high = np.percentile(pixels, [0.5, 99.5], method="inverted_cdf")
    reference = np.clip((pixels.astype(float) - low) / (high - low), 0, 1)
    image = images.read(save(dicom(pixels)))
    np.testing.assert_allclose(image.pixels, reference, atol=1e-6)
    padded = pixels.copy()
    padded[:30, :20] = 60000
    tags = {"PixelPaddingValue": 60000}
    shown = images.read(save(dicom(padded, tags))).pixels
    real = padded < 60000
    low, high = np.percentile(padded[real], [0.5, 99.5], method="inverted_cdf")
    assert not shown[~real].any()
    np.testing.assert_allclose(
        shown[real], np.clip((padded[real].astype(float) - low) / (high - low), 0, 1), atol=1e-6
    )


PADDING = list(product([np.uint8, np.int16, np.uint16], ["MONOCHROME1", "MONOCHROME2"], [0, 1]))


@pytest.mark.parametrize(("kind", "photometric", "window"), PADDING)
def test_padding_is_black_after_inversion(
    kind: type, photometric: str, window: int, save: Saver
) -> None:
    pixels = ramp(kind)
    value, limit = int(pixels[2, 3]), int(pixels[2, 9])
    tags: dict[str, Any] = {"PhotometricInterpretation": photometric}
    tags |= WINDOWS["linear"] if window else {}
    bare = images.read(save(dicom(pixels, tags))).pixels
    for ends in ({value}, {value, limit}, {limit, value}):
        first, *last = ends
        padding = {"PixelPaddingValue": first} | (
            {"PixelPaddingRangeLimit": last[0]} if last else {}
        )
        dataset = dicom(pixels, tags | padding)
        for keyword in padding:
            dataset[keyword].VR = "SS" if np.dtype(kind).kind == "i" else "US"
        shown = images.read(save(dataset)).pixels
        padded = (pixels >= min(ends)) & (pixels <= max(ends))
        assert padded.sum() == (7 if last else 1)
        assert not shown[padded].any()
        if window or kind is np.uint8:  # without a window the percentiles may move
            np.testing.assert_array_equal(shown[~padded], bare[~padded])


def test_negative_padding_declared_unsigned_is_understood(save: Saver) -> None:
    pixels = np.array([[-2000, 0, 100]], np.int16)
    dataset = dicom(pixels, {"WindowCenter": 0, "WindowWidth": 200, "PixelPaddingValue": 63536})
    dataset.PhotometricInterpretation = "MONOCHROME1"
    dataset["PixelPaddingValue"].VR = "US"
    assert images.read(save(dataset)).pixels[0, 0] == 0


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("shape", [None, "IDENTITY", "INVERSE"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_polarity_is_turned_once(
    photometric: str, shape: str | None, kind: type, save: Saver
) -> None:
    tags: dict[str, Any] = {"PhotometricInterpretation": photometric}
    tags |= {"PresentationLUTShape": shape} if shape else {}
    pixels = images.read(save(dicom(ramp(kind), tags))).pixels
    turned = photometric == "MONOCHROME1" or shape == "INVERSE"
    assert (pixels[0, 0] > pixels[-1, -1]) == turned


def test_all_padding_and_constant_images(save: Saver) -> None:
    flat = np.full((3, 4), 77, np.int16)
    assert not images.read(save(dicom(flat))).pixels.any()
    assert not images.read(save(dicom(flat, {"PixelPaddingValue": 77}))).pixels.any()
    one = images.read(save(dicom(np.array([[9]], np.uint8)))).pixels
    assert (one.dtype, one.tolist()) == (np.uint8, [[9]])


def test_eight_bits_stay_as_stored(save: Saver, rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (9, 7), dtype=np.uint8)
    same = images.read(save(dicom(pixels, {"RescaleSlope": 1, "RescaleIntercept": 0}))).pixels
    np.testing.assert_array_equal(same, pixels)
    negative = images.read(save(dicom(pixels, {"PhotometricInterpretation": "MONOCHROME1"}))).pixels
    np.testing.assert_array_equal(negative, 255 - pixels)
    wide = dicom(pixels.astype(np.uint16), {"BitsStored": 8})
    np.testing.assert_array_equal(images.read(save(wide)).pixels, pixels)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("planar", [0, 1])
def test_rgb_becomes_luma(kind: type, planar: int, save: Saver, rng: np.random.Generator) -> None:
    colour = rng.integers(0, np.iinfo(kind).max, (6, 5, 3)).astype(kind)
    dataset = dicom(colour, {"PlanarConfiguration": planar})
    if planar:
        dataset.PixelData = np.moveaxis(colour, -1, 0).tobytes()
    back = images.read(save(dataset)).pixels
    by_hand = (colour * [0.299, 0.587, 0.114]).sum(axis=2) / (1 if kind is np.uint8 else 65535)
    assert back.dtype == (np.uint8 if kind is np.uint8 else np.float32)
    assert np.abs(back - by_hand).max() <= (1 if kind is np.uint8 else 2 / 65535)


def test_ybr_gives_its_luma(save: Saver, rng: np.random.Generator) -> None:
    colour = rng.integers(16, 236, (6, 4, 3), dtype=np.uint8)
    full = dicom(colour, {"PhotometricInterpretation": "YBR_FULL"})
    np.testing.assert_array_equal(images.read(save(full)).pixels, colour[..., 0])
    pairs = colour.reshape(-1, 2, 3)
    halved = np.stack([pairs[:, 0, 0], pairs[:, 1, 0], pairs[:, 0, 1], pairs[:, 0, 2]], axis=1)
    tags = {"PhotometricInterpretation": "YBR_FULL_422", "PixelData": halved.tobytes()}
    np.testing.assert_array_equal(images.read(save(dicom(colour, tags))).pixels, colour[..., 0])
    tags["PhotometricInterpretation"] = "YBR_PARTIAL_422"
    partial = images.read(save(dicom(colour, tags))).pixels
    expected = np.rint((colour[..., 0].astype(float) - 16) * 255 / 219)
    np.testing.assert_array_equal(partial, expected)
    assert (partial.min(), partial.max()) >= (0, 200)


@pytest.mark.parametrize("bits", [8, 16])
def test_palette_matches_pydicom(bits: int, save: Saver, rng: np.random.Generator) -> None:
    entries = rng.integers(0, 2**bits, (3, 64)).astype("<u1" if bits == 8 else "<u2")
    tags: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, channel in zip(("Red", "Green", "Blue"), entries, strict=True):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [64, 5, bits]
        tags[f"{name}PaletteColorLookupTableData"] = channel.tobytes()
    dataset = dicom(rng.integers(0, 80, (10, 9), dtype=np.uint8), tags)
    colour = apply_color_lut(dataset.pixel_array, dataset)
    by_hand = (colour * [0.299, 0.587, 0.114]).sum(axis=2) / (1 if bits == 8 else 65535)
    back = images.read(save(dataset)).pixels
    assert np.abs(back - by_hand).max() <= (1 if bits == 8 else 2 / 65535)


def test_damaged_rules_are_refused(save: Saver) -> None:
    item = table(0, np.arange(10).astype("<u2"), 16)
    item[0].LUTData = b"\0\0"
    for tags in (
        {"VOILUTSequence": item},
        {"WindowCenter": 1, "WindowWidth": 2, "VOILUTFunction": "CUBIC"},
        {"PhotometricInterpretation": "HSV"},
        {"BitsStored": 12, "HighBit": 3},
        {"NumberOfFrames": 2},
        {"SamplesPerPixel": 2},
        {"BitsAllocated": 24},
    ):
        with pytest.raises(HilumError, match=r"expected .* got .*; "):
            images.read(save(dicom(ramp(np.uint16), tags)))
