"""The tables and windows that a DICOM header holds; PS3.3 C.11.1, C.11.2, C.7.6.3.1.5.

https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.11.html
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from hilum.images.dicom_elements import Elements
from hilum.images.dicom_header import Layout
from hilum.types import HilumError

Levels: TypeAlias = npt.NDArray[np.float64]  # (level,)
Span: TypeAlias = tuple[float, float]  # least and greatest value that may occur
WORDS, HALF = 1 << 16, 1 << 15  # values of two bytes, and how many are negative


@dataclass(frozen=True, slots=True)
class Lut:
    """A lookup table: `entries` for the inputs from `first` on, both ends extended."""

    first: int
    entries: npt.NDArray[np.uint16]  # (entry,)
    white: int  # greatest value that an entry may have
    bits: int  # of an entry, as declared

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
        """(level,) -> (level,) in [0, 1]; DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3.

        https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.11.2.html
        """
        with np.errstate(over="ignore"):  # of a tiny width: infinity is clipped as any other end
            return self._shown(levels)

    def _shown(self, levels: Levels) -> Levels:
        if self.function == "SIGMOID":
            # exp overflows beyond 709
            steepness = np.clip(-4 * (levels - self.centre) / self.width, -700, 700)
            return np.asarray(1 / (1 + np.exp(steepness)))
        if self.function == "LINEAR_EXACT":
            return np.clip((levels - self.centre) / self.width + 0.5, 0, 1)
        if self.width == 1:  # a step: the ramp of width - 1 has no extent
            return (levels > self.centre - 0.5).astype(np.float64)
        return np.clip((levels - (self.centre - 0.5)) / (self.width - 1) + 0.5, 0, 1)


def stored_span(layout: Layout) -> Span:
    """Least and greatest value that the stored bits can hold."""
    most = 2.0**layout.bits_stored
    return (-most / 2, most / 2 - 1) if layout.signed else (0.0, most - 1)


def lut(elements: Elements, descriptor: str, data: str, entering: Span) -> Lut:
    """The table of one item or palette: descriptor (entries, first input, bits) and content."""
    values = elements.integers(descriptor)
    if len(values) != 3 or not 8 <= values[2] <= 16:
        raise HilumError(
            f"expected three numbers in {descriptor}, the last 8 to 16 bits, got others; "
            "correct the header"
        )
    count, first, bits = values
    count = count or WORDS  # 65,536 does not fit into 16 bits: 0 stands for it (C.11.1.1)
    content = elements.content(data)
    if len(content) >= 2 * count:
        entries = np.array(elements.integers(data)[:count], np.uint16)
    elif len(content) >= count and bits == 8:
        entries = np.frombuffer(content, np.uint8, count=count).astype(np.uint16)
    else:
        raise HilumError(
            f"expected {count} table entries in {data}, got {len(content)} bytes; "
            "correct the header"
        )
    return Lut(_first(first, count, entering), entries, _white(entries, bits), bits)


def _first(word: int, count: int, entering: Span) -> int:
    """The first value mapped, signed where what enters may be; PS3.3 C.11.1.1.1, C.11.2.1.1.

    The value representation of the element does not decide, as writers often choose it by Pixel
    Representation alone. Where the table would miss all that may enter, the other sign is meant.
    """
    negative = word - WORDS if word >= HALF else word
    by_rule, other = (negative, word) if entering[0] < 0 else (word, negative)

    def meets(first: int) -> bool:
        return first <= entering[1] and first + count > entering[0]

    return other if meets(other) and not meets(by_rule) else by_rule


def _white(entries: npt.NDArray[np.uint16], bits: int) -> int:
    """Greatest value that an entry may have, by the descriptor's `bits` where these can be right.

    An image may declare 8 or 16 bits only (PS3.3 C.11.2.1.1), so devices with tables of 10 to 14
    bits declare the size of the word. By the letter their films would be all but black.
    https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.11.2.html
    """
    needed = int(entries.max()).bit_length()
    if needed > bits or (bits == 16 and needed <= 14):
        return int(2 ** max(needed, 8) - 1)
    return int(2**bits - 1)
