"""Enhanced objects of one frame: functional groups, shared and per frame; PS3.3 C.7.6.16.2."""

import struct
from typing import Any

import numpy as np
import pytest
from dicom_maker import Saver
from dicom_maker import make_dicom as dicom
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_sequence
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from hilum import images
from hilum.types import HilumError

PLACES = ["shared", "per frame"]
STORED = np.linspace(0, 2000, 30 * 20).round().astype(np.uint16).reshape(30, 20)
HU = STORED.astype(float) - 1024
RESCALE = {"RescaleIntercept": "-1024", "RescaleSlope": "1", "RescaleType": "HU"}
WINDOW = {"WindowCenter": "-500", "WindowWidth": "1400"}


def item(tags: dict[str, Any]) -> Dataset:
    made = Dataset()
    for keyword, value in tags.items():
        setattr(made, keyword, value)
    return made


def enhanced(
    groups: dict[str, dict[str, dict[str, Any]]], tags: dict[str, Any] | None = None,
    stored: Any = STORED,
) -> Dataset:  # fmt: skip
    """One frame whose macros stand in "shared" or "per frame" groups, by macro's sequence."""
    dataset = dicom(stored, {"NumberOfFrames": "1", **(tags or {})})
    for place, keyword in (("shared", "Shared"), ("per frame", "PerFrame")):
        macros = {name: Sequence([item(held)]) for name, held in groups.get(place, {}).items()}
        setattr(dataset, f"{keyword}FunctionalGroupsSequence", Sequence([item(macros)]))
    return dataset


def linear(values: Any, centre: float, width: float) -> Any:
    """PS3.3 C.11.2.1.2.1."""
    return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)


@pytest.mark.parametrize("values_in", PLACES)
@pytest.mark.parametrize("window_in", PLACES)
@pytest.mark.parametrize("syntax", ["explicit", ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_rescale_and_window(values_in: str, window_in: str, syntax: str, save: Saver) -> None:
    groups: dict[str, dict[str, dict[str, Any]]] = {place: {} for place in PLACES}
    groups[values_in]["PixelValueTransformationSequence"] = RESCALE
    groups[window_in]["FrameVOILUTSequence"] = WINDOW
    stored = STORED.astype(">u2") if syntax == ExplicitVRBigEndian else STORED
    tags = {} if syntax == "explicit" else {"syntax": syntax}
    image = images.read(save(enhanced(groups, tags, stored)))
    np.testing.assert_allclose(image.pixels, linear(HU, -500, 1400), atol=1e-6)
    assert image.facts["greys"] == "linear"


@pytest.mark.parametrize("function", ["LINEAR_EXACT", "SIGMOID"])
def test_the_windows_function(function: str, save: Saver) -> None:
    groups = {"shared": {"FrameVOILUTSequence": {**WINDOW, "VOILUTFunction": function}},
              "per frame": {"PixelValueTransformationSequence": RESCALE}}  # fmt: skip
    exact = np.clip((HU + 500) / 1400 + 0.5, 0, 1)
    wanted = {"LINEAR_EXACT": exact, "SIGMOID": 1 / (1 + np.exp(-4 * (HU + 500) / 1400))}
    shown = images.read(save(enhanced(groups))).pixels
    np.testing.assert_allclose(shown, wanted[function], atol=1e-6)


def test_alternative_windows_of_a_frame(save: Saver) -> None:
    windows = {"WindowCenter": ["40", "-500"], "WindowWidth": ["0", "1400"]}
    groups = {"per frame": {"FrameVOILUTSequence": windows},
              "shared": {"PixelValueTransformationSequence": RESCALE}}  # fmt: skip
    shown = images.read(save(enhanced(groups))).pixels
    np.testing.assert_allclose(shown, linear(HU, -500, 1400), atol=1e-6)


@pytest.mark.parametrize("place", PLACES)
def test_a_table_of_the_frame(place: str, save: Saver) -> None:
    entries = np.linspace(0, 65535, 900).round().astype("<u2")
    table = Dataset()
    table.add_new("LUTDescriptor", "SS", [900, -400, 16])
    table.add_new("LUTData", "OW", entries.tobytes())
    groups = {place: {
        "FrameVOILUTSequence": {"VOILUTSequence": Sequence([table])},
        "PixelValueTransformationSequence": RESCALE,
    }}  # fmt: skip
    image = images.read(save(enhanced(groups)))
    wanted = entries[np.clip(HU.astype(int) + 400, 0, 899)] / 65535
    np.testing.assert_allclose(image.pixels, wanted, atol=1e-6)
    assert image.facts["greys"] == "table"


def test_the_frames_own_comes_before_the_rest(save: Saver) -> None:
    """Per frame before shared before the whole image, a macro as one: its table goes too."""
    other = {"RescaleIntercept": "7", "RescaleSlope": "3"}
    groups = {
        "shared": {"PixelValueTransformationSequence": other,
                   "FrameVOILUTSequence": {"WindowCenter": "1", "WindowWidth": "2"}},
        "per frame": {"PixelValueTransformationSequence": RESCALE, "FrameVOILUTSequence": WINDOW},
    }  # fmt: skip
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [2, 0, 16], b"\0\0\xff\xff"
    table["LUTData"].VR = "OW"
    tags = {**other, "VOILUTSequence": Sequence([table])}
    tags |= {"WindowCenter": "9", "WindowWidth": "9", "VOILUTFunction": "SIGMOID"}
    shown = images.read(save(enhanced(groups, tags))).pixels
    np.testing.assert_allclose(shown, linear(HU, -500, 1400), atol=1e-6)
    emptied = enhanced({"shared": {"FrameVOILUTSequence": {}}}, {**RESCALE, **WINDOW})
    np.testing.assert_allclose(images.read(save(emptied)).pixels, shown, atol=1e-6)


def test_groups_whose_representation_an_archive_did_not_know(save: Saver) -> None:
    """Kept as UN, in which a sequence is written in implicit VR; PS3.5 6.2.2."""
    dataset = enhanced({"shared": {"PixelValueTransformationSequence": RESCALE,
                                   "FrameVOILUTSequence": WINDOW}})  # fmt: skip
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = True, True
    write_sequence(buffer, dataset["SharedFunctionalGroupsSequence"], ["iso8859"])
    groups = buffer.getvalue()
    del dataset.SharedFunctionalGroupsSequence, dataset.PerFrameFunctionalGroupsSequence
    path = save(dataset)
    before, pixels = path.read_bytes().split(b"\xe0\x7f\x10\x00OW")
    head = struct.pack("<HH2sHI", 0x5200, 0x9229, b"UN", 0, len(groups))
    path.write_bytes(before + head + groups + b"\xe0\x7f\x10\x00OW" + pixels)
    shown = images.read(path).pixels
    np.testing.assert_allclose(shown, linear(HU, -500, 1400), atol=1e-6)


def test_values_of_the_real_world_are_not_what_is_shown(save: Saver) -> None:
    mapped = {"RealWorldValueIntercept": -9e3, "RealWorldValueSlope": 7.0}
    groups = {"shared": {"RealWorldValueMappingSequence": mapped, "FrameVOILUTSequence": WINDOW,
                         "PixelValueTransformationSequence": RESCALE}}  # fmt: skip
    shown = images.read(save(enhanced(groups))).pixels
    np.testing.assert_allclose(shown, linear(HU, -500, 1400), atol=1e-6)


@pytest.mark.parametrize("place", PLACES)
def test_spacing_and_side_of_the_frame(place: str, save: Saver) -> None:
    groups = {place: {"PixelMeasuresSequence": {"PixelSpacing": ["1.5", "0.5"]},
                      "FrameAnatomySequence": {"FrameLaterality": "R"}}}  # fmt: skip
    path = save(enhanced(groups))
    facts = images.probe(path)
    assert (facts["height"], facts["width"], facts["laterality"]) == (90, 20, "R")
    assert images.read(path).pixels.shape == (90, 20)
    detector = {place: {"FramePixelDataPropertiesSequence": {"ImagerPixelSpacing": [0.2, 0.4]}}}
    assert images.read(save(enhanced(detector))).pixels.shape == (30, 40)


def test_several_frames_are_still_refused(save: Saver) -> None:
    dataset = enhanced({"shared": {"PixelValueTransformationSequence": RESCALE}})
    dataset.NumberOfFrames = 2
    dataset.PixelData *= 2
    with pytest.raises(HilumError, match="expected one image, got a DICOM file of 2 frames"):
        images.read(save(dataset))
