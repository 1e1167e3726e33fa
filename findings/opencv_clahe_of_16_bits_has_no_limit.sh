#!/usr/bin/env bash
# OpenCV: CLAHE of a 16-bit film looks nothing like that of the same film in 8 bits, and its clip limit does nothing.
#
# A drawn film, soft shadows with a little grain, 512 x 512, in 256 and in 65,536 levels, and a third time in 12 bits of 16, as detectors
# give it. createCLAHE(clip, (8, 8)) takes 8 and 16 bits.
#
# One expects the same picture in finer steps, and more contrast the higher the limit is: "contrast limited". For 8 bits that is so.
# Seen: at 16 bits all limits from 1 to 16 give the same bytes. The limit is counted in pixels for each of 65,536 levels; a tile of 4,096 pixels
# has less than one for each, and the least limit, 1, is taken whatever one asks for: grain grows 7 times, in 8 bits at limit 2 it grows 2.5 times. Of 12
# bits in 16, values up to 14,800 come out, where white is 4,095. Nothing warns. How strong it is depends on the size of the film alone.
#
# Shown with opencv-python-headless 5.0.0.93.
# In hilum: the step `clahe` works on 8 bits (tests/preprocess/test_pipeline.py); it did not limit deeper films before.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check opencv-python-headless==5.0.0.93 numpy==2.3.5
cat > "$folder/look.py" <<'PYTHON'
import sys
from importlib.metadata import version

import cv2
import numpy as np

for name in ("opencv-python-headless", "numpy"):
    print(name, version(name))
across = np.linspace(0, 3, 512)
film = 0.45 + 0.2 * np.sin(np.add.outer(across, 2 * across)) + 0.01 * np.random.default_rng(0).standard_normal((512, 512))


def grain(picture):
    """Deviation of what is left when everything soft is taken away."""
    picture = picture.astype(np.float32)
    return float((picture - cv2.GaussianBlur(picture, (0, 0), 4)).std())


bytes_seen, grown, greatest = {}, {}, {}
for name, white, kind in (("8 bits", 255, np.uint8), ("16 bits", 65535, np.uint16), ("12 bits in 16", 4095, np.uint16)):
    stored = np.rint(film * white).astype(kind)
    bytes_seen[name] = set()
    for clip in (1, 2, 4, 8, 16):
        even = cv2.createCLAHE(clip, (8, 8)).apply(stored)
        bytes_seen[name].add(even.tobytes())
        grown[name, clip] = grain(even) / grain(stored)
        greatest[name] = max(greatest.get(name, 0), int(even.max()))
    print(f"{name}: grain grows", ", ".join(f"{grown[name, clip]:.1f} (limit {clip})" for clip in (1, 2, 4, 8, 16)), end="; ")
    print(f"{len(bytes_seen[name])} pictures of 5 limits; {stored.max()} is the greatest value before and {greatest[name]} after")
limited = len(bytes_seen["8 bits"]) == 5 and grown["8 bits", 1] < grown["8 bits", 2] < grown["8 bits", 4]
unlimited = len(bytes_seen["16 bits"]) == 1 and len(bytes_seen["12 bits in 16"]) == 1
other = grown["16 bits", 2] > 1.5 * grown["8 bits", 2] and greatest["12 bits in 16"] > 2 * 4095
sys.exit(0 if limited and unlimited and other else 1)
PYTHON
"$folder/venv/bin/python" "$folder/look.py"
