"""PNG, JPEG, TIFF and DICOM (CR, DX, CT slice) to one grey array."""

from hilum.images.colour import colourfulness
from hilum.images.formats import SUFFIXES
from hilum.images.reading import header_text, probe, read
from hilum.images.search import find

__all__ = ["SUFFIXES", "colourfulness", "find", "header_text", "probe", "read"]
