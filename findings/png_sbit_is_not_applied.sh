#!/usr/bin/env bash
# A 16-bit PNG that declares 12 significant bits (sBIT) is decoded as any other, and no decoder hands the declaration on.
#
# Expected: sBIT (W3C PNG, 11.3.2.4) says how many bits of a sample are meant, so that a reader of detector images learns where
# white is: from the array, from an attribute (Pillow's `info`), or from a reader that is asked for it.
# Seen: OpenCV, Pillow and imageio give the same numbers with and without the chunk; Pillow's `info` has no trace of it, while it has
# gAMA and tRNS. The white of the file is lost with whoever reads it by these. pillow 13.0.0, opencv-python-headless 5.0.0.93,
# imageio 2.38.1.
# hilum: images/header.py reads the chunk itself; tests/images/test_white.py.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet pillow==13.0.0 opencv-python-headless==5.0.0.93 imageio==2.38.1 numpy==2.4.6
"$home/venv/bin/python" - <<'PYTHON'
import struct
import sys
import zlib
from io import BytesIO

import cv2
import imageio.v3 as iio
import numpy as np
import PIL
from PIL import Image


def png(rows, *chunks):
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], 16, 0, 0, 0, 0)
    return b"".join([b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", head), *(chunk(*c) for c in chunks),
                     chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")])


print("pillow", PIL.__version__, "opencv", cv2.__version__, "imageio", iio.__name__)
detector = np.arange(4096, dtype=np.uint16).reshape(64, 64)  # 12 bits
data = png(np.rint(detector * (65535 / 4095)), (b"sBIT", b"\x0c"), (b"gAMA", struct.pack(">I", 45455)))
plain = png(np.rint(detector * (65535 / 4095)))
same = []
for name, read in {
    "Pillow": lambda d: np.asarray(Image.open(BytesIO(d))),
    "OpenCV": lambda d: cv2.imdecode(np.frombuffer(d, np.uint8), cv2.IMREAD_UNCHANGED),
    "imageio": lambda d: iio.imread(BytesIO(d)),
}.items():
    same.append(bool(np.array_equal(read(data), read(plain))) and int(read(data).max()) == 65535)
    print(f"{name}: with sBIT 12 as without, greatest value {int(read(data).max())}: {same[-1]}")
info = Image.open(BytesIO(data)).info
print("Pillow's info:", info, "imageio's:", sorted(map(str, iio.immeta(BytesIO(data)))))
traces = [key for key in info if "bit" in str(key).lower()]
still = all(same) and not traces and "gamma" in info
print("as described" if still else "changed")
sys.exit(0 if still else 1)
PYTHON
