#!/usr/bin/env bash
# OpenCV reads a TIFF of 16 bits or more whose colour planes lie one after the other as if it were interleaved.
#
# Expected: PlanarConfiguration (TIFF 6.0, tag 284) says how samples lie, so that cv2.imdecode gives the same pixels for both
# orders, as it does at 8 bits, or None.
# Seen: from 16 bits on (integers and floats) the picture is scrambled, without a warning. 16-bit grey with an alpha channel
# comes back as 8 bits. opencv-python-headless 5.0.0.93.
# hilum: images/tiff_planes.py takes such files apart; tests/images/test_tiff_layers.py.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet opencv-python-headless==5.0.0.93 numpy==2.4.6 tifffile==2026.3.3
"$home/venv/bin/python" - <<'PYTHON'
import sys
from io import BytesIO

import cv2
import numpy as np
import tifffile


def written(pixels, **options):
    file = BytesIO()
    tifffile.imwrite(file, pixels, metadata=None, **options)
    return file.getvalue()


def decoded(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


print("opencv", cv2.__version__, "numpy", np.__version__, "tifffile", tifffile.__version__)
colour = np.random.default_rng(0).integers(0, 65536, (40, 33, 3))
seen = {}
for kind, depth in ((np.uint8, 8), (np.uint16, 0), (np.int16, 0), (np.uint32, 0), (np.float32, 0)):
    pixels = (colour >> depth).astype(kind)
    for order, stored in (("contig", pixels), ("separate", pixels.transpose(2, 0, 1))):
        data = written(stored, photometric="rgb", planarconfig=order)
        reference = tifffile.imread(BytesIO(data)).reshape(stored.shape)
        back = decoded(data)
        seen[kind, order] = bool(np.array_equal(back[..., ::-1], pixels))
        print(f"{kind.__name__:8s} {order:9s} tifffile right: {np.array_equal(reference, stored)}"
              f"  OpenCV right: {seen[kind, order]}")
ramp = np.arange(1320, dtype=np.uint16).reshape(40, 33) * 49
pair = np.dstack([ramp, np.full_like(ramp, 65535)])
grey = decoded(written(pair, photometric="minisblack", extrasamples=["unassalpha"]))
print("16-bit grey with alpha:", grey.dtype, grey.shape, "levels", len(np.unique(grey)), "of", ramp.size)
wrong = [key for key, right in seen.items() if not right]
expected = [(kind, "separate") for kind in (np.uint16, np.int16, np.uint32, np.float32)]
still = wrong == expected and grey.dtype == np.uint8
print("as described" if still else "changed")
sys.exit(0 if still else 1)
PYTHON
