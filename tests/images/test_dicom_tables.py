"""First values, whites and alternatives of DICOM's tables and windows; PS3.3 C.11.2.1."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from dicom_maker import Saver
from dicom_maker import make_dicom as dicom
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from hilum import images
from hilum.types import HilumError

COUNT = 700
SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
RISING = np.rint(4095 * (np.arange(COUNT) / (COUNT - 1)) ** 0.6).astype(np.uint16)


def table(first: int, entries: Any, bits: int, vr: str = "US", order: str = "<") -> Dataset:
    item = Dataset()
    word = first % 65536 if vr == "US" else (first + 32768) % 65536 - 32768
    item.add_new("LUTDescriptor", vr, [len(entries) % 65536, word, bits])
    item.add_new("LUTData", "OW", np.asarray(entries).astype(f"{order}u2").tobytes())
    return item


def through(entries: Any, values: Any, first: int) -> Any:
    """What a table gives, by PS3.3 C.11.2.1.1: ends extended."""
    return entries[np.clip(values.astype(int) - first, 0, len(entries) - 1)]


def drawn(low: int, high: int, kind: type = np.uint16) -> Any:
    """(16, 24) of values between the two, ends included."""
    return np.linspace(low, high, 384).round().astype(kind).reshape(16, 24)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("vr", ["US", "SS"])
@pytest.mark.parametrize("hounsfield", [True, False])
def test_a_table_after_a_negative_intercept_begins_below_zero(
    syntax: str, vr: str, hounsfield: bool, save: Saver
) -> None:
    stored, order = drawn(0, 1500), "><"[syntax != ExplicitVRBigEndian]
    tags = {
        "syntax": syntax, "RescaleSlope": 1, "RescaleIntercept": -1024,
        "VOILUTSequence": Sequence([table(-900, RISING, 12, vr, order)]),
    } | ({"RescaleType": "HU"} if hounsfield else {})  # fmt: skip
    dataset = dicom(stored.astype(f"{order}u2"), tags)
    dataset.PixelRepresentation = 0
    shown = images.read(save(dataset)).pixels
    np.testing.assert_allclose(
        shown, through(RISING, stored.astype(int) - 1024, -900) / 4095, atol=1e-6
    )
    if vr == "SS" and syntax == ExplicitVRLittleEndian:  # pydicom goes by what is written there
        reference = apply_voi_lut(apply_modality_lut(stored, dataset).astype(int), dataset)
        np.testing.assert_allclose(shown, reference / 4095, atol=1e-6)


def test_hounsfield_units_are_signed_whatever_the_intercept(save: Saver) -> None:
    stored = drawn(0, 600)
    tags = {"RescaleSlope": 1, "RescaleIntercept": 0, "RescaleType": "HU", "BitsStored": 16}
    item = table(-60, RISING, 12, "US")
    shown = images.read(save(dicom(stored, tags | {"VOILUTSequence": Sequence([item])}))).pixels
    np.testing.assert_allclose(shown, through(RISING, stored, -60) / 4095, atol=1e-6)


def test_what_enters_stays_unsigned_above_32767(save: Saver) -> None:
    """Signed pixels that an intercept lifts, and those behind a modality table."""
    stored, first = drawn(-20000, 25000, np.int16), 33000
    tags: dict[str, Any] = {"RescaleSlope": 1, "RescaleIntercept": 32768}
    tags["VOILUTSequence"] = Sequence([table(first, RISING, 12, "US")])
    lifted = images.read(save(dicom(stored, tags))).pixels
    values = stored.astype(int) + 32768
    np.testing.assert_allclose(lifted, through(RISING, values, first) / 4095, atol=1e-6)

    steps = np.linspace(0, 65535, 200).round().astype(np.uint16)
    modality = table(-100, steps, 16, "SS")
    modality.ModalityLUTType = "US"
    stored = drawn(-120, 120, np.int16)
    tags = {"ModalityLUTSequence": Sequence([modality]), "VOILUTSequence": tags["VOILUTSequence"]}
    behind = images.read(save(dicom(stored, tags))).pixels
    measured = through(steps, stored, -100).astype(int)
    assert (measured.min(), measured.max()) == (0, 65535)
    np.testing.assert_allclose(behind, through(RISING, measured, first) / 4095, atol=1e-6)


@pytest.mark.parametrize("signed", [False, True])
def test_a_sign_that_would_miss_all_pixels_is_not_meant(signed: bool, save: Saver) -> None:
    """Unsigned 12 bits never reach 65,036, and rescaled ones from 39,000 on never -30,536."""
    stored = drawn(0, 600)
    tags: dict[str, Any] = {"BitsStored": 12, "HighBit": 11}
    first = -500
    if not signed:
        tags, first = {"RescaleSlope": 1, "RescaleIntercept": -10}, 35000
        stored = drawn(34900, 36000)
    tags["VOILUTSequence"] = Sequence([table(first, RISING, 12, "SS" if signed else "US")])
    shown = images.read(save(dicom(stored, tags))).pixels
    values = stored.astype(int) + tags.get("RescaleIntercept", 0)
    np.testing.assert_allclose(shown, through(RISING, values, first) / 4095, atol=1e-6)


def test_a_palette_of_signed_indices(save: Saver) -> None:
    stored, greys = drawn(-40, 40, np.int8), np.arange(60) * 4
    tags: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    dataset = dicom(stored, tags)
    for name in ("Red", "Green", "Blue"):
        stem = f"{name}PaletteColorLookupTable"
        dataset.add_new(f"{stem}Descriptor", "SS", [60, -30, 16])
        dataset.add_new(f"{stem}Data", "OW", (greys * 257).astype("<u2").tobytes())
    shown = images.read(save(dataset)).pixels
    np.testing.assert_allclose(shown, through(greys, stored.astype(int), -30) / 255, atol=1e-5)


@pytest.mark.parametrize(
    ("declared", "greatest", "white"),
    [
        (16, 65535, 65535), (16, 40000, 65535), (16, 20000, 65535),  # right by the letter
        (16, 16383, 16383), (16, 4095, 4095), (16, 4000, 4095), (16, 1023, 1023), (16, 255, 255),
        (16, 90, 255), (12, 4095, 4095), (12, 1000, 4095), (8, 4095, 4095), (10, 4095, 4095),
    ],
)  # fmt: skip
def test_white_of_a_table(declared: int, greatest: int, white: int, save: Saver) -> None:
    stored = drawn(0, COUNT)
    entries = np.rint(np.linspace(0, greatest, COUNT)).astype(np.uint16)
    image = images.read(
        save(dicom(stored, {"VOILUTSequence": Sequence([table(0, entries, declared)])}))
    )
    np.testing.assert_allclose(image.pixels, through(entries, stored, 0) / white, atol=1e-6)
    own = white == 2**declared - 1
    assert image.facts["greys"] == ("table" if own else f"table, white at {white} by its entries")


def test_a_palette_of_bytes_in_words(save: Saver) -> None:
    stored, greys = drawn(0, 255, np.uint8), np.arange(256)[::-1]
    dataset = dicom(stored, {"PhotometricInterpretation": "PALETTE COLOR"})
    for name in ("Red", "Green", "Blue"):
        stem = f"{name}PaletteColorLookupTable"
        dataset.add_new(f"{stem}Descriptor", "US", [256, 0, 16])
        dataset.add_new(f"{stem}Data", "OW", greys.astype("<u2").tobytes())
    np.testing.assert_array_equal(images.read(save(dataset)).pixels, greys[stored])


def test_the_first_readable_table_else_a_window(save: Saver) -> None:
    stored = drawn(0, COUNT)
    broken, whole = table(0, RISING, 12), table(0, RISING, 12)
    broken.LUTDescriptor = [5000, 0, 12]  # more than there are
    both = dicom(stored, {"VOILUTSequence": Sequence([broken, whole])})
    np.testing.assert_allclose(
        images.read(save(both)).pixels, through(RISING, stored, 0) / 4095, atol=1e-6
    )
    tags = {"VOILUTSequence": Sequence([broken])}
    with pytest.raises(HilumError, match="expected 5000 table entries"):
        images.read(save(dicom(stored, tags)))
    windowed = images.read(save(dicom(stored, tags | {"WindowCenter": 300, "WindowWidth": 401})))
    assert windowed.facts["greys"] == "linear"
    np.testing.assert_allclose(windowed.pixels, linear(stored, 300, 401), atol=1e-6)


def linear(values: Any, centre: float, width: float) -> Any:
    """PS3.3 C.11.2.1.2.1."""
    return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)


def exact(values: Any, centre: float, width: float) -> Any:
    """PS3.3 C.11.2.1.3.2."""
    return np.clip((values - centre) / width + 0.5, 0, 1)


def sigmoid(values: Any, centre: float, width: float) -> Any:
    """PS3.3 C.11.2.1.3.1."""
    return 1 / (1 + np.exp(-4 * (values - centre) / width))


SHAPES = {"LINEAR": linear, "LINEAR_EXACT": exact, "SIGMOID": sigmoid}
# centres, widths, which pair is the first that the standard allows
ALTERNATIVES: list[tuple[str, str, tuple[float, float]]] = [
    ("2100\\2400", "0\\1800", (2400, 1800)),
    ("2100\\2400\\2000", "-5\\0\\1700", (2000, 1700)),
    ("\\2400", "900\\1800", (2400, 1800)),
    ("2100\\2400", "\\1800", (2400, 1800)),
    ("\\2400", "\\1800", (2400, 1800)),
    ("NaN\\2400", "900\\1800", (2400, 1800)),
    ("2100\\2400", "inf\\1800", (2400, 1800)),
    ("wide\\2400", "900\\1800", (2400, 1800)),
    ("2100\\2400\\2500", "0\\1800", (2400, 1800)),
    ("2100\\2400", "900", (2100, 900)),
    ("2100", "900\\1800", (2100, 900)),
]


@pytest.mark.parametrize(("windows", "function"), list(product(ALTERNATIVES, SHAPES)))
def test_the_first_window_that_is_allowed(
    windows: tuple[str, str, tuple[float, float]], function: str, save: Saver
) -> None:
    stored, (centre, width) = drawn(0, 4095), windows[2]
    dataset = dicom(stored, {"VOILUTFunction": function, "BitsStored": 12})
    dataset.add_new("WindowCenter", "LO", windows[0].split("\\"))  # DS would refuse some of these
    dataset.add_new("WindowWidth", "LO", windows[1].split("\\"))
    image = images.read(save(dataset))
    np.testing.assert_allclose(
        image.pixels, SHAPES[function](stored.astype(float), centre, width), atol=1e-6
    )
    assert image.facts["greys"] == function.lower().replace("_", " ")


def test_half_a_width_is_allowed_by_two_functions_only(save: Saver) -> None:
    stored = drawn(0, 4095)
    tags = {"WindowCenter": [40.25, 900], "WindowWidth": [0.5, 700]}
    for function, shape in SHAPES.items():
        shown = images.read(save(dicom(stored, tags | {"VOILUTFunction": function}))).pixels
        pair = (900, 700) if function == "LINEAR" else (40.25, 0.5)
        with np.errstate(over="ignore"):
            wanted = shape(stored.astype(float), *pair)
        np.testing.assert_allclose(shown, wanted, atol=1e-6)


@pytest.mark.parametrize(
    "tags",
    [{"WindowCenter": 40}, {"WindowWidth": 40}, {"WindowCenter": "", "WindowWidth": ""},
     {"WindowCenter": [40, 50], "WindowWidth": [0, 0]}],
)  # fmt: skip
def test_no_window_is_left(tags: dict[str, Any], save: Saver) -> None:
    image = images.read(save(dicom(drawn(0, 4095), tags)))
    assert image.facts["greys"] == "percentiles"
    np.testing.assert_array_equal(image.pixels, images.read(save(dicom(drawn(0, 4095)))).pixels)


def test_windows_of_words_only_are_refused(save: Saver) -> None:
    dataset = dicom(drawn(0, 4095), {"WindowWidth": 40})
    dataset.add_new("WindowCenter", "LO", "wide")
    with pytest.raises(HilumError, match="expected numbers in WindowCenter"):
        images.read(save(dataset))
