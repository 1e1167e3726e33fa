#!/usr/bin/env bash
# TorchIO's ToCanonical turns a PNG film by 180 degrees, and the PNG that it saves lies upside down.
#
# A film of 48 rows and 64 columns, saved as PNG: the first row is white, the first columns are grey. ToCanonical is the first step of most
# TorchIO pipelines: it brings volumes to one orientation, which their headers tell.
#
# One expects a PNG, which has no orientation, to stay as it is; or, since an image keeps its affine through any transform and one may
# save it at any time, to be upright again in the file that is saved, as a NIfTI is for whoever reads its header.
# Seen: the film counts as a volume in ITK's orientation, L, P, S, and is brought to R, A, S: first row and first column come last. save("film.png")
# writes it so. The white row is at the bottom, the patient's left and right are exchanged: the heart is on the other side, upside down.
# Nothing is warned of; the same steps without ToCanonical save the film as it was.
#
# Shown with torchio 1.2.1, SimpleITK 2.5.7, torch 2.13.0.
# In hilum: films have rows and columns and no orientation but that of EXIF, which images/gray.py applies once.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torchio==1.2.1 simpleitk==2.5.7 torch==2.13.0 pillow==13.0.0 numpy==2.3.5
cat > look.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import torchio
from PIL import Image

for name in ("torchio", "simpleitk", "torch", "pillow", "numpy"):
    print(name, version(name))
film = np.zeros((48, 64), np.uint8)
film[:, :3] = 128
film[0] = 255
Image.fromarray(film).save("film.png")
seen = {}
for name, steps in (("Clamp", []), ("ToCanonical, Clamp", [torchio.ToCanonical()])):
    image = torchio.Compose([*steps, torchio.Clamp(0, 255)])(torchio.ScalarImage("film.png"))
    image.save("after.png")
    after = np.asarray(Image.open("after.png"))
    seen[name] = "as it was" if np.array_equal(after, film) else "by 180 degrees" if np.array_equal(after, film[::-1, ::-1]) else "else"
    print(f"{name}: orientation {''.join(image.orientation)}, {after.shape[0]} rows, top row {after[0, 30]}, bottom row {after[-1, 30]}, ", end="")
    print(f"left {after[20, 0]}, right {after[20, -1]}: {seen[name]}")
sys.exit(0 if list(seen.values()) == ["as it was", "by 180 degrees"] else 1)
PYTHON
venv/bin/python look.py
