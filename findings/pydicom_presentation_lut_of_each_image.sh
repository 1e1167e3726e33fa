#!/usr/bin/env bash
# pydicom stretches each image to its own least and greatest value before a Presentation LUT, and inverts about its own greatest.
#
# Two films of 12 bits after their window, one half as bright as the other, and one of them without its brightest part. With them a Presentation
# LUT Sequence of 4,096 entries that maps each value to itself, and Presentation LUT Shape INVERSE.
#
# One expects a table: equal values in, equal P-values out. PS3.3 C.11.6.1 fits the range that the VOI transformation can give to the range of the
# LUT, both 0 to 4095 here, whatever the pixels of one image are; and so for INVERSE, which turns 0 to 4095 about.
# Seen: apply_presentation_lut takes the range from the array. The film and its darker half give the same picture, so that two exposures cannot
# be told apart, and a crop has other greys than the same place of the whole film. INVERSE of 0 is the film's greatest value, thus
# another black for each film. A frame alone and in its stack differ as well. Nothing is said of it, in the function's documentation neither.
#
# Shown with pydicom 3.0.2.
# In hilum: polarity is taken about the whole range that the header allows (hilum.images.dicom_grayscale).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pydicom==3.0.2 numpy==2.3.5
cat > look.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import apply_presentation_lut

print("pydicom", version("pydicom"), "numpy", version("numpy"))
table = Dataset()
table.LUTDescriptor = [4096, 0, 12]
table.add_new("LUTData", "OW", np.arange(4096, dtype=np.uint16).tobytes())
with_table, inverse = Dataset(), Dataset()
with_table.PresentationLUTSequence = [table]
inverse.PresentationLUTShape = "INVERSE"

film = np.array([[200, 1000, 2000, 3000, 4000]], np.uint16)
films = {"film": film, "half as bright": film // 2, "without the last column": film[:, :4]}
seen = {}
for name, pixels in films.items():
    seen[name] = (apply_presentation_lut(pixels, with_table)[0].tolist(), apply_presentation_lut(pixels, inverse)[0].tolist())
    print(f"{name} {pixels[0].tolist()}: table {seen[name][0]}, expected the same; ", end="")
    print(f"INVERSE {seen[name][1]}, expected {(4095 - pixels[0].astype(int)).tolist()}")
same = seen["film"][0] == seen["half as bright"][0]
cropped = seen["film"][0][:4] != seen["without the last column"][0]
blacks = {name: one[1][0] + int(films[name][0, 0]) for name, one in seen.items()}
print("what 0 becomes under INVERSE:", blacks)
still = same and cropped and len(set(blacks.values())) == 3
sys.exit(0 if still else 1)
PYTHON
venv/bin/python look.py
