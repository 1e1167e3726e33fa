"""How colourful a file is: radiographs are grey, or of one tint."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hilum.images.read_image import DAMAGE

SIDE = 96  # pixels: colours are compared on a miniature
COLOURED = ("colour", "CMYK", "RGB", "RGB with alpha", "palette", "YCbCr")  # of `photometric`


def colourfulness(source: Path | bytes, facts: dict[str, Any]) -> float:
    """Mean distance of chroma from what luma explains, in levels of 255; 0 for a grey file.

    `facts` are those that `read` gave, so that grey files are not opened again. A sepia or blue
    film is of one tint, which follows its luma, and stays near 0; ITU-R BT.601 YCbCr.
    https://www.itu.int/rec/R-REC-BT.601
    """
    if facts.get("photometric") not in COLOURED or facts.get("format") == "DICOM":
        return 0.0
    try:
        stream = BytesIO(source) if isinstance(source, bytes) else source
        with Image.open(stream, formats=("PNG", "JPEG", "TIFF")) as image:
            image.draft("RGB", (SIDE, SIDE))
            image.info.pop("transparency", None)  # Pillow warns where a palette has it
            small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    except DAMAGE:
        return 0.0  # `read` has its own decoder, and judged the file readable
    luma, *chroma = np.asarray(small.convert("YCbCr"), np.float64).reshape(-1, 3).T
    terms = np.stack([np.ones_like(luma), luma, luma**2], axis=1)
    wanted = np.stack(chroma, axis=1)
    rest = wanted - terms @ np.linalg.lstsq(terms, wanted, rcond=None)[0]
    return float(np.hypot(*rest.T).mean())
