#!/usr/bin/env bash
# OpenCV reads a 16-bit TIFF whose white is zero as it is or as its negative, depending on the flag of imread.
#
# A scanned film, dark at the top and bright at the bottom, as TIFF of 8 and of 16 bits, in each photometric interpretation (TIFF 6.0, tag 262:
# BlackIsZero, and WhiteIsZero, which scanners of films write). The picture is the same in all four.
#
# One expects one polarity: the picture (dark at the top), or else the stored numbers, in every file and for every flag.
# Seen: 8 bits are turned into the picture whatever the flag. Of 16 bits IMREAD_UNCHANGED and IMREAD_ANYDEPTH give the stored numbers, a negative,
# IMREAD_GRAYSCALE the picture. So a program that reads deep films with one flag and shows them with another, or a set of both depths
# read with IMREAD_UNCHANGED, has films and negatives mixed. Pillow does the same by depth: 8 bits turned, 16 bits not.
#
# Shown with opencv-python-headless 5.0.0.93, pillow 13.0.0; files are made with tifffile 2026.3.3.
# In hilum: images/raster.py turns what OpenCV does not; "tiff with white as zero" of tests/images/odd_pixels.py.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check opencv-python-headless==5.0.0.93 pillow==13.0.0 tifffile==2026.3.3 numpy==2.3.5
cat > look.py <<'PYTHON'
import sys
from importlib.metadata import version

import cv2
import numpy as np
import tifffile
from PIL import Image

for name in ("opencv-python-headless", "pillow", "tifffile", "numpy"):
    print(name, version(name))
film = np.linspace(0.1, 0.9, 40)[:, None] * np.ones((1, 30))  # dark at the top
readers = {
    "OpenCV UNCHANGED": lambda: cv2.imread("film.tif", cv2.IMREAD_UNCHANGED),
    "OpenCV ANYDEPTH": lambda: cv2.imread("film.tif", cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH),
    "OpenCV GRAYSCALE": lambda: cv2.imread("film.tif", cv2.IMREAD_GRAYSCALE),
    "Pillow": lambda: np.asarray(Image.open("film.tif")),
}
seen = {}
for bits, kind in ((8, np.uint8), (16, np.uint16)):
    white = 2**bits - 1
    for name, stored in (("minisblack", film), ("miniswhite", 1 - film)):
        tifffile.imwrite("film.tif", np.rint(stored * white).astype(kind), photometric=name)
        for reader, read in readers.items():
            pixels = read().astype(float)
            seen[bits, name, reader] = "picture" if pixels[0].mean() < pixels[-1].mean() else "negative"
        print(f"{bits} bits, {name}:", ", ".join(f"{reader} {seen[bits, name, reader]}" for reader in readers))
negatives = {case for case, what in seen.items() if what == "negative"}
wanted = {(16, "miniswhite", reader) for reader in ("OpenCV UNCHANGED", "OpenCV ANYDEPTH", "Pillow")}
sys.exit(0 if negatives == wanted else 1)
PYTHON
venv/bin/python look.py
