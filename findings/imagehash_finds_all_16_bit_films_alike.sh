#!/usr/bin/env bash
# ImageHash gives every 16-bit film the same hash: all of them are near-duplicates of each other.
#
# Eight drawn films that have nothing in common, each as PNG of 8 bits, of 16 bits and of 12 bits in 16, opened with Pillow and hashed, as one looks
# for films that a data set holds twice, or on both sides of a split.
#
# One expects hashes of 16 bits to be those of 8 bits, but for a bit or two: a perceptual hash is of the picture, not of its levels; or an error.
# Seen: phash, dhash, average_hash and whash are one and the same for all films of 16 bits, so that their distance is 0. The library asks Pillow for
# 8 bits (convert("L")), which cuts every level above 255 instead of scaling: what is hashed is a white picture. No warning from either.
# A film of 16 bits is near any that is all white, and far from itself in 8 bits.
#
# Shown with imagehash 4.3.2, pillow 13.0.0.
# In hilum: hashes are of grey levels between black and white, however many bits they had (hilum.data.fingerprints).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check imagehash==4.3.2 pillow==13.0.0 numpy==2.3.5
cat > look.py <<'PYTHON'
import io
import sys
from importlib.metadata import version
from itertools import combinations

import imagehash
import numpy as np
from PIL import Image

for name in ("imagehash", "pillow", "numpy"):
    print(name, version(name))


def film(seed):
    """Soft shadows, 0.1 to 0.9, others for each seed."""
    random = np.random.default_rng(seed)
    waves = random.uniform(0.5, 3, (6, 2))
    rows, columns = np.indices((256, 256)) / 256 * 2 * np.pi
    sums = sum(np.sin(a * rows + b * columns + shift) for (a, b), shift in zip(waves, random.uniform(0, 6, 6), strict=True))
    return 0.1 + 0.8 * (sums - sums.min()) / np.ptp(sums)


def opened(pixels):
    """What Pillow opens of a PNG of these pixels."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return Image.open(io.BytesIO(file.getvalue()))


depths = {"8 bits": (255, np.uint8), "16 bits": (65535, np.uint16), "12 bits in 16": (4095, np.uint16)}
still = True
for how in ("phash", "dhash", "average_hash", "whash"):
    hashes = {}
    for depth, (white, kind) in depths.items():
        films = [opened(np.rint(film(seed) * white).astype(kind)) for seed in range(8)]
        hashes[depth] = [getattr(imagehash, how)(one) for one in films]
        apart = [one - other for one, other in combinations(hashes[depth], 2)]
        itself = [one - other for one, other in zip(hashes[depth], hashes["8 bits"], strict=True)]
        print(f"{how}, {depth} ({films[0].mode}): {len({str(one) for one in hashes[depth]})} hashes of 8 films, ", end="")
        print(f"{min(apart)} to {max(apart)} of 64 bits apart; {min(itself)} to {max(itself)} from the same film in 8 bits")
        alike = max(apart) == 0
        still = still and alike == (depth != "8 bits")
sys.exit(0 if still else 1)
PYTHON
venv/bin/python look.py
