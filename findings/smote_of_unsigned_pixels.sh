#!/usr/bin/env bash
# imbalanced-learn's SMOTE of 8-bit pixels makes images that lie between no two images.
#
# Expected: a synthetic row is x + u (neighbour - x), 0 <= u <= 1, of two rows of the class (Chawla et al. 2002), so that every pixel
# lies between the two parents' pixels, and between the least and the greatest of its class, whatever the array's type.
# Seen, imbalanced-learn 0.14.2: with uint8 the difference neighbour - x is taken in uint8 and wraps to 256 - d where the neighbour
# is darker by d; the sum is then cut to 8 bits again. The rows come out as uint8, without a warning. The same rows given as
# float64 are right. A class of grey levels 100 to 140 gets pixels over all of 0 to 255.
# hilum takes the difference in float64 and rounds to the nearest level: tests/training/test_smote.py.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check imbalanced-learn==0.14.2 scikit-learn==1.9.1 numpy==2.3.5
"$home/venv/bin/python" - <<'PYTHON'
import sys

import imblearn
import numpy as np
from imblearn.over_sampling import SMOTE

random = np.random.default_rng(0)
films = random.integers(100, 141, (60, 8 * 8), np.uint8)  # grey levels 100 to 140
labels = np.repeat([0, 1], [40, 20])
print(f"Python {sys.version.split()[0]}, imbalanced-learn {imblearn.__version__}, numpy {np.__version__}")
span = {}
for kind in (np.float64, np.uint8):
    made, _ = SMOTE(random_state=0).fit_resample(films.astype(kind), labels)
    new = made[len(films) :]
    span[kind] = (float(new.min()), float(new.max()))
    outside = float(((new < 100) | (new > 140)).mean())
    print(f"{kind.__name__}: {len(new)} synthetic films as {new.dtype}, {span[kind]}, {outside:.0%} of the pixels outside 100-140")
right = 100 <= span[np.float64][0] and span[np.float64][1] <= 140
wrapped = span[np.uint8][0] < 100 or span[np.uint8][1] > 140
sys.exit(0 if right and wrapped else 1)
PYTHON
