#!/usr/bin/env bash
# Pillow swaps the bytes of a compressed big-endian TIFF of signed integers or floats once too often.
#
# Expected: "MM" in the first bytes of a TIFF (6.0, section 2) names the order of its bytes; the picture is the same as in an "II"
# file, compressed or not, or the file is refused.
# Seen: 16- and 32-bit signed and 32-bit floating grey come back with their bytes in the wrong order once they are compressed (Deflate), without
# a warning; uncompressed, unsigned or little-endian they are right. libtiff hands out values in the machine's order, and they
# are turned again. pillow 13.0.0.
# hilum: deeper files than 8 bits go through OpenCV; tests/images/test_tiff_layers.py reads them in both orders.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet pillow==13.0.0 opencv-python-headless==5.0.0.93 numpy==2.4.6 tifffile==2026.3.3
"$home/venv/bin/python" - <<'PYTHON'
import sys
from io import BytesIO

import cv2
import numpy as np
import PIL
import tifffile
from PIL import Image

print("pillow", PIL.__version__, "opencv", cv2.__version__, "tifffile", tifffile.__version__)
picture = np.random.default_rng(0).integers(0, 30000, (40, 33))
wrong = set()
for kind in (np.uint16, np.int16, np.int32, np.float32):
    for compression in (None, "zlib"):
        for order in "<>":
            pixels, file = picture.astype(kind), BytesIO()
            tifffile.imwrite(file, pixels, photometric="minisblack", byteorder=order,
                             compression=compression, metadata=None)
            data = file.getvalue()
            others = (tifffile.imread(BytesIO(data)), cv2.imdecode(np.frombuffer(data, np.uint8), -1))
            assert all(np.array_equal(other, pixels) for other in others), "tifffile and OpenCV agree"
            back = np.asarray(Image.open(BytesIO(data)))
            right = bool(np.array_equal(back, pixels))
            print(f"{kind.__name__:8s} {compression or 'raw':5s} {order}  Pillow right: {right}"
                  + ("" if right else f"  first pixel {back[0, 0]} for {pixels[0, 0]}"))
            if not right:
                wrong.add((kind, compression, order))
still = wrong == {(kind, "zlib", ">") for kind in (np.int16, np.int32, np.float32)}
print("as described" if still else "changed")
sys.exit(0 if still else 1)
PYTHON
