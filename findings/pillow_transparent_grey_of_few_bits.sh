#!/usr/bin/env bash
# Pillow 13.0.0 makes the wrong grey transparent in PNG files of 2 and 4 bits.
#
# Expected: a grey PNG may name one grey level as transparent (tRNS). Its value has the file's own bits (PNG specification, 11.3.2.1), so
# level 1 of a file of 2 bits is transparent where the pixel is 1 of 3, which is 85 of 255. A program that opens the file and converts it to
# RGBA gets alpha 0 there.
# Seen: pixels are scaled to 0..255, the transparent level is not: it stays 1 of 255, which no pixel has, and convert("RGBA") leaves
# everything opaque. Level 0 is right, and so are files of 1 and 8 bits.
# In hilum: transparent pixels are black, whatever lies below them (tests/images/test_odd_pixels.py).
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0
"$home/venv/bin/python" - <<'PYTHON'
import io
import struct
import sys
import zlib

from PIL import Image, __version__

print("Pillow", __version__)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(bits, clear):
    """One row with the levels 0, 1 and the highest; `clear` is transparent."""
    levels = [0, 1, 2**bits - 1]
    row = int("".join(f"{level:0{bits}b}" for level in levels).ljust(24, "0"), 2).to_bytes(3, "big")
    used = -(-3 * bits // 8)
    return b"\x89PNG\r\n\x1a\n" + b"".join((
        chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 1, bits, 0, 0, 0, 0)),
        chunk(b"tRNS", struct.pack(">H", clear)),
        chunk(b"IDAT", zlib.compress(b"\0" + row[:used])),
        chunk(b"IEND", b""),
    ))


found = {}
for bits in (1, 2, 4, 8):
    with Image.open(io.BytesIO(png(bits, 1))) as image:
        alpha = list(image.convert("RGBA").getchannel("A").tobytes())
    wanted = [0 if level == 1 else 255 for level in (0, 1, 2**bits - 1)]
    found[bits] = alpha == wanted
    print(f"{bits} bits, level 1 transparent: alpha {alpha}, wanted {wanted}")
sys.exit(0 if found == {1: True, 2: False, 4: False, 8: True} else 1)
PYTHON
