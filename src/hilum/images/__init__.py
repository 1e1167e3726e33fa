"""PNG, JPEG, TIFF and DICOM (CR, DX, CT slice) to one grey array."""

from hilum.images.colour import colourfulness
from hilum.images.find_images import NO_TEXT, find_images, is_text, list_images, printable
from hilum.images.headers import Readers, read_headers
from hilum.images.jpeg import reduction
from hilum.images.read_image import IN_MEMORY, SHRINKING, header_text, probe, read
from hilum.images.sniff import SUFFIXES
from hilum.images.view_words import in_words as view_in_words
from hilum.images.white_level import white_is_guessed, white_note

__all__ = [
    "IN_MEMORY",
    "NO_TEXT",
    "SHRINKING",
    "SUFFIXES",
    "Readers",
    "colourfulness",
    "find_images",
    "header_text",
    "is_text",
    "list_images",
    "printable",
    "probe",
    "read",
    "read_headers",
    "reduction",
    "view_in_words",
    "white_is_guessed",
    "white_note",
]
