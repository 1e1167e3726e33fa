#!/usr/bin/env bash
# MONAI: LoadImage gives a PNG film as (width, height).
#
# A film of 64 rows and 48 columns, saved as PNG, whose first row is white. Read with MONAI's LoadImage, as its bundles and tutorials do.
#
# One expects (height, width) = (64, 48), as OpenCV, Pillow with NumPy, torchvision and scikit-image give.
# Seen: shape (48, 64), and the white line is the first column: the film lies on its side. A square film keeps its shape, so that
# nothing tells: a network that was trained on upright films sees every film turned and mirrored. `reverse_indexing=False`
# for the PILReader keeps the axes; its default is True.
#
# Shown with monai 1.6.1, pillow 12.3.0.
# In hilum: the bundle of `hilum export --format monai` reads films with hilum.interop.film_loader, which a test compares with the
# model's own pixels (tests/interop/test_exported_folders.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check monai==1.6.1 torch==2.13.0 pillow==12.3.0
cat > look.py <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

import numpy as np
from PIL import Image

warnings.simplefilter("ignore")
from monai.transforms import LoadImage  # noqa: E402

for name in ("monai", "pillow"):
    print(name, version(name))
film = np.zeros((64, 48), np.uint8)
film[0] = 255  # the first row is white
Image.fromarray(film).save("film.png")
by_pillow = np.asarray(Image.open("film.png"))
by_monai = np.asarray(LoadImage(image_only=True)("film.png"))
as_stored = np.asarray(LoadImage(image_only=True, reader="PILReader", reverse_indexing=False)("film.png"))
for name, pixels in (("pillow", by_pillow), ("monai", by_monai), ("monai, reverse_indexing=False", as_stored)):
    row, column = bool((pixels[0] == 255).all()), bool((pixels[:, 0] == 255).all())
    print(f"{name}: shape {pixels.shape}, first row white: {row}, first column white: {column}")
same = by_monai.shape == (48, 64) and (by_monai == by_pillow.T).all() and (as_stored == by_pillow).all()
print("LoadImage swaps the axes of a PNG" if same else "LoadImage no longer swaps the axes")
sys.exit(0 if same else 1)
PYTHON
venv/bin/python look.py
