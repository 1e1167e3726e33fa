"""From stored values to displayed grey, in DICOM's order: modality, values of interest, polarity.

DICOM PS3.3 C.11.1 (modality LUT), C.11.2 (VOI LUT and window), C.11.6 (presentation LUT shape),
C.7.5.1.1.2 (pixel padding), C.7.9 (palette).
"""

from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import cv2
import numpy as np
import numpy.typing as npt

from hilum.images import grey
from hilum.images.dicom_elements import Elements
from hilum.images.dicom_header import Layout
from hilum.types import Grey8, GreyImage, HilumError

Levels: TypeAlias = npt.NDArray[np.float64]  # (level,)
PALETTES = ("Red", "Green", "Blue")
GREY_KEYWORDS = (
    "ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "VOILUTSequence", "WindowCenter",
    "WindowWidth", "VOILUTFunction", "PresentationLUTShape", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "SegmentedRedPaletteColorLookupTableData",
    *(f"{name}PaletteColorLookupTableDescriptor" for name in PALETTES),
    *(f"{name}PaletteColorLookupTableData" for name in PALETTES),
)  # fmt: skip
WORDS, HALF = 1 << 16, np.uint16(1 << 15)  # values of two bytes, and how many are negative
PERCENTILES = (0.5, 99.5)  # what becomes black and white where the file names no window


@dataclass(frozen=True, slots=True)
class Lut:
    """A lookup table: `entries` for the inputs from `first` on, both ends extended."""

    first: int
    entries: npt.NDArray[np.uint16]  # (entry,)
    white: int  # greatest value that an entry may have

    def __call__(self, levels: npt.NDArray[Any]) -> Levels:
        """(level,) -> (level,) entries."""
        index = np.clip(levels - self.first, 0, len(self.entries) - 1).astype(np.intp)
        return self.entries[index].astype(np.float64)


@dataclass(frozen=True, slots=True)
class Window:
    """A window of `width` around `centre`; `function` as in VOI LUT Function."""

    centre: float
    width: float
    function: str

    @property
    def valid(self) -> bool:
        """Does the standard allow this width?"""
        return self.width >= 1 if self.function == "LINEAR" else self.width > 0

    def __call__(self, levels: Levels) -> Levels:
        """(level,) -> (level,) in [0, 1]; DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3."""
        if self.function == "SIGMOID":
            steepness = np.clip(-4 * (levels - self.centre) / self.width, -700, 700)
            return np.asarray(1 / (1 + np.exp(steepness)))
        if self.function == "LINEAR_EXACT":
            return np.clip((levels - self.centre) / self.width + 0.5, 0, 1)
        if self.width == 1:
            return (levels > self.centre - 0.5).astype(np.float64)
        return np.clip((levels - (self.centre - 0.5)) / (self.width - 1) + 0.5, 0, 1)


@dataclass(frozen=True, slots=True)
class Display:
    """All that the header says about turning one grey image's stored values into grey."""

    slope: float
    intercept: float
    modality: Lut | None
    interest: Lut | Window | None
    inverse: bool
    padding: tuple[int, int] | None  # least and greatest stored value that is padding

    @property
    def plain(self) -> bool:
        """Are the stored values grey already?"""
        rescaled = (self.slope, self.intercept) != (1.0, 0.0)
        return self.modality is None and self.interest is None and not rescaled

    @property
    def rule(self) -> str:
        """The rule that sets black and white, in a word."""
        if isinstance(self.interest, Window):
            return self.interest.function.lower().replace("_", " ")
        return "percentiles" if self.interest is None else "table"


def display(elements: Elements, layout: Layout) -> Display:
    """The display rules of a grey image; HilumError where its tables or numbers are unreadable."""
    slopes, intercepts = elements.decimals("RescaleSlope"), elements.decimals("RescaleIntercept")
    modality = elements.items("ModalityLUTSequence")
    inverse = layout.photometric == "MONOCHROME1"
    inverse |= elements.text("PresentationLUTShape") == "INVERSE"
    return Display(
        slopes[0] if slopes else 1.0,
        intercepts[0] if intercepts else 0.0,
        lut(modality[0], "LUTDescriptor", "LUTData", layout.signed) if modality else None,
        _interest(elements, layout),
        inverse,
        _padding(elements, layout),
    )


def lut(elements: Elements, descriptor: str, data: str, signed: bool) -> Lut:
    """The table of one item or palette: descriptor (entries, first input, bits) and content."""
    about = elements.integers(descriptor, signed)
    if len(about) != 3 or not 8 <= about[2] <= 16:
        raise HilumError(
            f"wanted three numbers in {descriptor}, the last 8 to 16 bits, got others; "
            "correct the header"
        )
    count = about[0] % 65536 or 65536
    content = elements.content(data)
    if len(content) >= 2 * count:
        entries = np.array(elements.integers(data)[:count], np.uint16)
    elif len(content) >= count and about[2] == 8:
        entries = np.frombuffer(content, np.uint8, count=count).astype(np.uint16)
    else:
        raise HilumError(
            f"wanted {count} table entries in {data}, got {len(content)} bytes; correct the header"
        )
    return Lut(about[1], entries, 2 ** about[2] - 1)


def _interest(elements: Elements, layout: Layout) -> Lut | Window | None:
    """The first VOI table, else the first window that the standard allows, else nothing."""
    tables = elements.items("VOILUTSequence")
    if tables:
        return lut(tables[0], "LUTDescriptor", "LUTData", layout.signed)
    centres, widths = elements.decimals("WindowCenter"), elements.decimals("WindowWidth")
    if not centres or not widths:
        return None
    function = elements.text("VOILUTFunction") or "LINEAR"
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise HilumError(
            "wanted LINEAR, LINEAR_EXACT or SIGMOID as VOILUTFunction, got another; "
            "correct the header"
        )
    window = Window(centres[0], widths[0], function)
    return window if window.valid else None


def _padding(elements: Elements, layout: Layout) -> tuple[int, int] | None:
    values = elements.integers("PixelPaddingValue", layout.signed)
    if not values:
        return None
    limit = elements.integers("PixelPaddingRangeLimit", layout.signed)
    ends = sorted([values[0], (limit or values)[0]])
    return ends[0], ends[1]


def grey_levels(rules: Display, levels: npt.NDArray[Any], counts: npt.NDArray[Any]) -> Levels:
    """Stored (level,), each met `counts` times -> grey (level,) in [0, 1], padding black."""
    padded = np.zeros(len(levels), bool)
    if rules.padding:
        padded = (levels >= rules.padding[0]) & (levels <= rules.padding[1])
    measured = levels * rules.slope + rules.intercept
    if rules.modality:
        measured = rules.modality(levels)
    shown = _show(rules.interest, measured, np.where(padded, 0, counts))
    if rules.inverse:
        shown = 1 - shown
    return np.where(padded, 0.0, shown)


def _show(interest: Lut | Window | None, measured: Levels, counts: npt.NDArray[Any]) -> Levels:
    """Measured (level,) -> (level,) in [0, 1] by table, window or percentiles of the image."""
    if isinstance(interest, Lut):
        return np.clip(interest(np.rint(measured)) / interest.white, 0, 1)
    if interest is not None:
        return interest(measured)
    if not counts.any():
        return np.zeros(len(measured))
    low, high = np.percentile(measured, PERCENTILES, weights=counts, method="inverted_cdf")
    return np.clip((measured - low) / ((high - low) or 1.0), 0, 1)


def from_grey(stored: npt.NDArray[Any], rules: Display, layout: Layout) -> GreyImage:
    """Stored (height, width) of one channel -> float32 in [0, 1], or uint8 where it is that.

    uint8 is given for exactly 8 unsigned bits with neither modality nor VOI transform.
    """
    if rules.plain and layout.bits_stored == 8 and not layout.signed:
        return _from_plain(stored.astype(np.uint8), rules)
    if stored.dtype.itemsize > 2:
        levels, index = _levels(stored)
        counts = np.bincount(index.reshape(-1), minlength=len(levels))
        return grey_levels(rules, levels, counts).astype(np.float32)[index]
    places = _places(stored)
    low, high = int(places.min()), int(places.max())
    levels = np.arange(low, high + 1) - (int(HALF) if stored.dtype.kind == "i" else 0)
    counts = np.zeros(len(levels), np.int64)
    if rules.interest is None:  # only percentiles ask how often each value is met
        counts = np.bincount(places.reshape(-1), minlength=high + 1)[low:]
    table = np.zeros(WORDS, np.float32)
    table[low : high + 1] = grey_levels(rules, levels, counts)
    return cast(GreyImage, cv2.LUT(places, table))


def _places(stored: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """Values of one or two bytes (height, width) as places in a table of WORDS, order kept."""
    if stored.dtype.kind == "u":
        return stored.astype(np.uint16, copy=False)
    return np.ascontiguousarray(stored.astype(np.int16, copy=False)).view(np.uint16) ^ HALF


def _from_plain(stored: Grey8, rules: Display) -> Grey8:
    shown = ~stored if rules.inverse else stored
    if rules.padding is None:
        return shown
    padded = (stored >= rules.padding[0]) & (stored <= rules.padding[1])
    return np.where(padded, np.uint8(0), shown)


def _levels(stored: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """The values that may occur (level,), and the place of each pixel's among them."""
    if stored.dtype.itemsize > 2:
        levels, index = np.unique(stored, return_inverse=True)
        return levels.astype(np.int64), index.reshape(stored.shape)
    low, high = int(stored.min()), int(stored.max())
    return np.arange(low, high + 1), stored.astype(np.int32) - low


def from_colour(stored: npt.NDArray[Any], layout: Layout) -> GreyImage:
    """Stored colour (height, width[, channel]) -> its luma, uint8 at 8 bits, else float32."""
    if stored.ndim == 2:
        bright = stored
    elif layout.photometric.startswith(("YBR_FULL", "YBR_PARTIAL")):
        bright = stored[..., 0]
    else:
        bright = grey.luma(stored)
    if layout.photometric.startswith("YBR_PARTIAL"):  # black at 16, white at 235 of 255
        bright = np.clip((bright.astype(np.float64) - 16) * 255 / 219, 0, 255).round()
    if layout.bits_stored == 8:
        return bright.astype(np.uint8)
    return (bright / (2.0**layout.bits_stored - 1)).astype(np.float32)


def from_palette(stored: npt.NDArray[Any], elements: Elements) -> GreyImage:
    """Stored palette indices (height, width) -> luma, uint8 for 8-bit palettes, else float32."""
    if elements.content("SegmentedRedPaletteColorLookupTableData"):
        raise HilumError("wanted a plain palette, got a segmented one; export the image as grey")
    names = [f"{name}PaletteColorLookupTable" for name in PALETTES]
    tables = [lut(elements, f"{name}Descriptor", f"{name}Data", signed=False) for name in names]
    levels, index = _levels(stored)
    colours = np.stack([table(levels) for table in tables], axis=-1).astype(np.uint16)
    bright = grey.luma(colours)
    if tables[0].white == 255:
        return bright.astype(np.uint8)[index]
    return (bright / tables[0].white).astype(np.float32)[index]
