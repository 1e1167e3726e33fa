#!/usr/bin/env bash
# OpenCV: enlarging with INTER_AREA takes some rows and columns from the wrong neighbour.
#
# A film with pixels 1.3 times as high as wide (60 rows to 78), enlarged along one axis to square pixels. Each source row holds
# its own number, so that the output says which rows it came from.
#
# One expects the "pixel area relation" of the manual: each new row is the mean of what it covers. New row 39 covers source rows
# 30 to 30.77, thus 30 and nothing else. This is so for most rows and for most factors.
# Seen: where a new row begins exactly on a source row, it may hold the row before: 29. The position is a product in floating
# point that falls just short of a whole number. An edge moves by one row, at some sizes only.
#
# Shown with opencv-python-headless 5.0.0.93.
# In hilum: hilum.images.dicom_shape counts in whole numbers; tests/images/test_dicom_shape.py.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check opencv-python-headless==5.0.0.93 'numpy<3'
cat > look.py <<'PYTHON'
import sys
from fractions import Fraction
from importlib.metadata import version

import cv2
import numpy as np


def covered(row, rows, count):
    """Mean of source rows 0, 1, 2, ... that new `row` of `count` covers, in exact numbers."""
    step = Fraction(rows, count)
    start, end = row * step, (row + 1) * step
    parts = [(i, min(end, i + 1) - max(start, i)) for i in range(int(start), -(-end.numerator // end.denominator))]
    return float(sum(i * part for i, part in parts) / step)


for name in ("opencv-python-headless", "numpy"):
    print(name, version(name))
found = {}
for rows, count in ((10, 13), (20, 23), (60, 78), (60, 62), (100, 130)):
    film = np.repeat(np.arange(rows, dtype=np.float32)[:, None], 8, axis=1)
    grown = cv2.resize(film, (8, count), interpolation=cv2.INTER_AREA)[:, 0]
    wanted = np.array([covered(row, rows, count) for row in range(count)])
    off = np.flatnonzero(np.abs(grown - wanted) > 0.01)
    found[rows, count] = len(off)
    print(f"{rows} rows to {count}: wrong", [f"row {row}: {grown[row]:g}, wanted {wanted[row]:g}" for row in off])
still = not found[10, 13] and found[60, 78] and found[60, 62] and found[100, 130]
sys.exit(0 if still else 1)
PYTHON
venv/bin/python look.py
