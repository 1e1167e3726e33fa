"""PNG, JPEG, TIFF and DICOM (CR, DX, CT slice) to one grey array."""

from hilum.images.colour import colourfulness
from hilum.images.formats import SUFFIXES
from hilum.images.reading import probe, read
from hilum.images.search import find
from hilum.images.white import white_is_guessed, white_note

__all__ = [
    "SUFFIXES",
    "colourfulness",
    "find",
    "probe",
    "read",
    "white_is_guessed",
    "white_note",
]
