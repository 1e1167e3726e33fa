"""From stored values to displayed grey, in DICOM's order: modality, values of interest, polarity.

DICOM PS3.3 C.11.1 (modality LUT), C.11.2 (VOI LUT and window), C.11.6 (presentation LUT shape),
C.7.5.1.1.2 (pixel padding), C.7.9 (palette):
https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.11.html
"""

from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from hilum.images import gray
from hilum.images.dicom_elements import Elements
from hilum.images.dicom_header import Layout
from hilum.images.dicom_tables import HALF, WORDS, Levels, Lut, Span, Window, lut, stored_span
from hilum.types import Grey8, GreyImage, HilumError

PALETTES = ("Red", "Green", "Blue")
GREY_KEYWORDS = (
    "ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "RescaleType", "VOILUTSequence",
    "WindowCenter", "WindowWidth", "VOILUTFunction", "PresentationLUTShape", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "SegmentedRedPaletteColorLookupTableData",
    *(f"{name}PaletteColorLookupTableDescriptor" for name in PALETTES),
    *(f"{name}PaletteColorLookupTableData" for name in PALETTES),
)  # fmt: skip
EXACT = 2**24
FARTHEST = 1e200  # of rescaled values from zero: differences of them are still finite
PERCENTILES = (0.5, 99.5)  # what becomes black and white where the file names no window


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
        if self.interest is None:
            return "percentiles"
        declared = self.interest.white == 2**self.interest.bits - 1
        return "table" if declared else f"table, white at {self.interest.white} by its entries"


def display(elements: Elements, layout: Layout) -> Display:
    """The display rules of a grey image; HilumError where its tables or numbers are unreadable."""
    slopes, intercepts = elements.decimals("RescaleSlope"), elements.decimals("RescaleIntercept")
    slope, intercept = (slopes or [1.0])[0], (intercepts or [0.0])[0]
    tables = elements.items("ModalityLUTSequence")
    stored = stored_span(layout)
    modality = lut(tables[0], "LUTDescriptor", "LUTData", stored) if tables else None
    if modality:
        measured = (0.0, float(modality.entries.max()))  # always unsigned, C.11.1.1.1
    else:
        ends = [end * slope + intercept for end in stored]
        if not all(abs(end) < FARTHEST for end in ends):
            raise HilumError(
                "expected RescaleSlope and RescaleIntercept that give numbers of some size, got "
                f"values beyond {FARTHEST:g}; correct the header"
            )
        # Hounsfield units are signed even where these pixels cannot be, C.11.2.1.1
        least = [-1.0] if elements.text("RescaleType") == "HU" else []
        measured = (min(ends + least), max(ends))
    inverse = layout.photometric == "MONOCHROME1"
    inverse |= elements.text("PresentationLUTShape") == "INVERSE"
    return Display(
        slope, intercept, modality, _value_of_interest(elements, measured), inverse,
        _padding(elements, layout),
    )  # fmt: skip


def _value_of_interest(elements: Elements, measured: Span) -> Lut | Window | None:
    """The first readable VOI table, else the first window that the standard allows, or nothing."""
    fault: HilumError | None = None
    for item in elements.items("VOILUTSequence"):
        try:
            return lut(item, "LUTDescriptor", "LUTData", measured)
        except HilumError as error:
            fault = fault or error
    window = _window(elements)
    if window is None and fault is not None:
        raise fault
    return window


def _window(elements: Elements) -> Window | None:
    """The first of the alternative windows that the standard allows; PS3.3 C.11.2.1.2.

    https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.11.2.html
    """
    names = ("WindowCenter", "WindowWidth")
    if not all(map(elements.texts, names)):
        return None
    function = elements.text("VOILUTFunction") or "LINEAR"
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise HilumError(
            "expected LINEAR, LINEAR_EXACT or SIGMOID as VOILUTFunction, got another; "
            "correct the header"
        )
    for centre, width in zip(*map(elements.numbers, names), strict=False):
        if centre is not None and width is not None:
            window = Window(centre, width, function)
            if window.valid:
                return window
    for name in names:
        elements.decimals(name)  # refuses what is no number: no window is left in its place
    return None


def _padding(elements: Elements, layout: Layout) -> tuple[int, int] | None:
    values = elements.integers("PixelPaddingValue", layout.signed)
    if not values:
        return None
    limit = elements.integers("PixelPaddingRangeLimit", layout.signed)
    # the limit may lie on either side of the value
    ends = sorted([values[0], (limit or values)[0]])
    return ends[0], ends[1]


def grey_levels(rules: Display, levels: npt.NDArray[Any], counts: npt.NDArray[Any]) -> Levels:
    """Stored (level,), each met `counts` times -> grey (level,) in [0, 1], padding black.

    Padding: DICOM PS3.3 C.7.5.1.1.2,
    https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.7.5.html
    """
    padded = np.zeros(len(levels), bool)
    if rules.padding:
        padded = (levels >= rules.padding[0]) & (levels <= rules.padding[1])
    measured = levels * rules.slope + rules.intercept
    if rules.modality:
        measured = rules.modality(levels)
    grey = _to_display(rules.interest, measured, np.where(padded, 0, counts))
    if rules.inverse:
        grey = 1 - grey
    return np.where(padded, 0.0, grey)


def _to_display(
    interest: Lut | Window | None, measured: Levels, counts: npt.NDArray[Any]
) -> Levels:
    """Measured (level,) -> (level,) in [0, 1] by table, window or percentiles of the image."""
    if isinstance(interest, Lut):
        return np.clip(interest(np.rint(measured)) / interest.white, 0, 1)
    if interest is not None:
        return interest(measured)
    if not counts.any():  # padding alone
        return np.zeros(len(measured))
    low, high = np.percentile(measured, PERCENTILES, weights=counts, method="inverted_cdf")
    spread = (high - low) or 1.0  # of an image of one grey level
    return np.clip((measured - low) / spread, 0, 1)


def from_grey(stored: npt.NDArray[Any], rules: Display, layout: Layout) -> GreyImage:
    """Stored (height, width) of one channel -> float32 in [0, 1], or uint8 where it is that.

    uint8 is given for exactly 8 unsigned bits with neither modality nor VOI transform.
    """
    if rules.plain and layout.bits_stored == 8 and not layout.signed:
        return _from_plain(np.minimum(stored, 255).astype(np.uint8), rules)
    if stored.dtype.itemsize > 2:
        levels, index = _levels(stored)
        counts = np.bincount(index.reshape(-1), minlength=len(levels))
        return grey_levels(rules, levels, counts).astype(np.float32)[index]
    places = _table_index(stored)
    low, high = int(places.min()), int(places.max())
    levels = np.arange(low, high + 1) - (HALF if stored.dtype.kind == "i" else 0)
    counts = np.zeros(len(levels), np.int64)
    if rules.interest is None:  # only percentiles ask how often each value is met
        counts = _counts(places)[low : high + 1]
    table = np.zeros(WORDS, np.float32)
    table[low : high + 1] = grey_levels(rules, levels, counts)
    return cast(GreyImage, cv2.LUT(places, table))


def _counts(places: npt.NDArray[np.uint16]) -> npt.NDArray[np.int64]:
    """How often each of WORDS places is met (height, width) -> (place,).

    OpenCV counts in single precision, which holds whole numbers below EXACT: rows in parts.
    """
    rows = max(1, EXACT // places.shape[1])
    return sum(
        (
            cv2.calcHist([part], [0], None, [WORDS], [0, WORDS]).reshape(-1).astype(np.int64)
            for part in np.split(places, range(rows, len(places), rows))
        ),
        start=np.zeros(WORDS, np.int64),
    )


def _table_index(stored: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """Values of one or two bytes (height, width) as places in a table of WORDS, order kept."""
    if stored.dtype.kind == "u":
        return stored.astype(np.uint16, copy=False)
    return np.ascontiguousarray(stored.astype(np.int16, copy=False)).view(np.uint16) ^ np.uint16(
        HALF
    )


def _from_plain(stored: Grey8, rules: Display) -> Grey8:
    grey = ~stored if rules.inverse else stored
    if rules.padding is None:
        return grey
    padded = (stored >= rules.padding[0]) & (stored <= rules.padding[1])
    return np.where(padded, np.uint8(0), grey)


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
        bright = gray.luma(stored)
    if layout.photometric.startswith("YBR_PARTIAL"):  # black at 16, white at 235 of 255
        bright = np.clip((bright.astype(np.float64) - 16) * 255 / 219, 0, 255).round()
    if layout.bits_stored == 8:
        return np.minimum(bright, 255).astype(np.uint8)
    return (bright / (2.0**layout.bits_stored - 1)).astype(np.float32)


def from_palette(stored: npt.NDArray[Any], elements: Elements, layout: Layout) -> GreyImage:
    """Stored palette indices (height, width) -> luma, uint8 for 8-bit palettes, else float32.

    DICOM PS3.3 C.7.6.3.1.5 and C.7.6.3.1.6:
    https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.7.6.3.html
    """
    if elements.content("SegmentedRedPaletteColorLookupTableData"):
        raise HilumError("expected a plain palette, got a segmented one; export the image as grey")
    names = [f"{name}PaletteColorLookupTable" for name in PALETTES]
    entering = stored_span(layout)
    tables = [lut(elements, f"{name}Descriptor", f"{name}Data", entering) for name in names]
    white = max(table.white for table in tables)
    levels, index = _levels(stored)
    colours = np.stack([table(levels) for table in tables], axis=-1).astype(np.uint16)
    bright = gray.luma(colours)
    if white == 255:
        return bright.astype(np.uint8)[index]
    return (bright / white).astype(np.float32)[index]
