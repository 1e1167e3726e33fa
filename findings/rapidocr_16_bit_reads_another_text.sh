#!/usr/bin/env bash
# RapidOCR reads words that are not there in a 16-bit film, with scores near 1, and none in 12 bits of 16.
#
# Expected: a 16-bit grey PNG, a format that the library opens by itself, is read as the same picture in 8 bits is, or refused.
# Seen: the grey levels 0 to 65535 are divided by 255, as if they were 0 to 255. On a film that says PORTABLE the detector then marks other
# places, and the reader gives Chinese characters with a score above 0.9. The same levels in 12 of the 16 bits, as films are usually kept, give no
# text at all. Neither raises or warns, from a path, from an array and from a Pillow image. Floats 0 to 1 give no text either. rapidocr 3.10.0.
# Where it hurts: checking films for burnt-in names before they are shared: "no text" may only mean 16 bits.
# hilum's guard: its marks are found on 8 bits of the film's window; tests/preprocess/test_text_marks.py has 16-bit films.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check rapidocr==3.10.0 openvino==2026.4.1 opencv-python-headless==5.0.0.93 \
    numpy==2.4.6 pillow==13.0.0
cd "$home"
"$home/venv/bin/python" - <<'PYTHON'
import sys

import cv2
import numpy as np
from rapidocr import EngineType, RapidOCR

engines = {f"{part}.engine_type": EngineType.OPENVINO for part in ("Det", "Cls", "Rec")}
reader = RapidOCR(params=engines | {"Global.log_level": "critical"})
film = np.full((600, 600), 60, np.uint8)
cv2.putText(film, "PORTABLE", (150, 120), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (230,), 3, cv2.LINE_AA)
kinds = {
    "8 bits": film,
    "16 bits": film.astype(np.uint16) * 257,
    "12 of 16 bits": film.astype(np.uint16) * 16,
    "floats 0 to 1": film.astype(np.float32) / 255,
}
seen = {}
for name, pixels in kinds.items():
    found = reader(pixels)
    seen[name] = tuple(found.txts or ())
    print(f"array, {name:14s} {seen[name]} {found.scores or ''}")
for name in ("8 bits", "16 bits", "12 of 16 bits"):
    cv2.imwrite("film.png", kinds[name])
    found = reader("film.png")
    print(f"PNG, {name:16s} {found.txts} {found.scores or ''}")
    seen[f"PNG {name}"] = tuple(found.txts or ())
other = [seen["16 bits"], seen["PNG 16 bits"]]
still = (
    seen["8 bits"] == seen["PNG 8 bits"] == ("PORTABLE",)
    and all(texts and "PORTABLE" not in texts for texts in other)
    and not seen["12 of 16 bits"] and not seen["PNG 12 of 16 bits"] and not seen["floats 0 to 1"]
)
print("as described" if still else "changed")
sys.exit(0 if still else 1)
PYTHON
