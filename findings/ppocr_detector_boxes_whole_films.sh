#!/usr/bin/env bash
# PP-OCRv6's text detector takes a small chest film without a letter for one line of print, with a score above 0.8.
#
# Expected: a picture without print gives no box, or boxes of small parts with low scores; a score near the top means print.
# Seen: for drawn chest films of 224 and of 448 pixels the network gives one box over the whole picture, scored 0.81 to 0.87; a word in a corner, and the
# box is gone and only the word is found. The same film at 1,024 pixels gives no box. rapidocr 3.10.0, PP-OCRv6_det_small.
# Where it hurts: "text found" then says nothing of a film, and filling in what was found erases it. A limit on a box's thickness sorts it out.
# hilum's guard: THICKEST of hilum/preprocess/text_lines.py; tests/preprocess/test_text_marks.py.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check rapidocr==3.10.0 openvino==2026.4.1 opencv-python-headless==5.0.0.93 \
    numpy==2.4.6
"$home/venv/bin/python" - <<'PYTHON'
import sys

import cv2
import numpy as np
from rapidocr import EngineType, RapidOCR

engines = {f"{part}.engine_type": EngineType.OPENVINO for part in ("Det", "Cls", "Rec")}
finder = RapidOCR(params=engines | {"Global.log_level": "critical"})


def chest(side, word=""):
    """A body, two lungs, their edges soft, and noise."""
    film = np.full((side, side), 20, np.float32)
    at = lambda *shares: tuple(int(side * share) for share in shares)
    cv2.ellipse(film, at(0.5, 0.62), at(0.46, 0.62), 0, 0, 360, 170, -1)
    for lung in (0.3, 0.7):
        cv2.ellipse(film, at(lung, 0.5), at(0.13, 0.3), 0, 0, 360, 60, -1)
    film = cv2.GaussianBlur(film, (0, 0), side / 90)
    film += np.random.default_rng(0).normal(0, 4, film.shape)
    film = film.clip(0, 255).astype(np.uint8)
    cv2.putText(film, word, at(0.06, 0.1), cv2.FONT_HERSHEY_SIMPLEX, side / 450, 240, 2, cv2.LINE_AA)
    return film


shares = {}
for side in (224, 448, 1024):
    for word in ("", "PORTABLE"):
        found = finder(chest(side, word), use_cls=False, use_rec=False)
        boxes = [] if found.boxes is None else found.boxes
        shares[side, word] = [float(np.ptp(box, axis=0).min()) / side for box in boxes]
        scores = [round(score, 2) for score in found.scores or ()]
        print(f"{side:4d} pixels, {word or 'no word':8s}: boxes of height {[round(s, 2) for s in shares[side, word]]}, scores {scores}")
still = (
    all(len(shares[side, ""]) == 1 and shares[side, ""][0] > 0.95 for side in (224, 448))
    and shares[1024, ""] == []
    and all(len(one) == 1 and one[0] < 0.2 for (_, word), one in shares.items() if word)
)
print("as described" if still else "changed")
sys.exit(0 if still else 1)
PYTHON
