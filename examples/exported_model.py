"""An exported model without hilum: by onnxruntime, numpy and OpenCV alone, on 8-bit grey films.

python examples/exported_model.py EXPORTED FILM.png ...
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

folder = Path(sys.argv[1])
facts = json.loads((folder / "preparation.json").read_text())
session = onnxruntime.InferenceSession(folder / facts["graph"])
rule, wanted = facts["abstention"], facts["decode_side"]


def read(path: str) -> np.ndarray:
    """Grey (height, width), a JPEG at the smallest scale that keeps `decode_side`."""
    grey = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
    sizes = [(scale, min(-(-n // scale) for n in grey.shape)) for scale in (8, 4, 2)]
    for scale, side in sizes if path.lower().endswith((".jpg", ".jpeg")) else []:
        if wanted and side >= wanted:
            return cv2.imread(path, getattr(cv2, f"IMREAD_REDUCED_GRAYSCALE_{scale}"))
    return grey


def resize(grey: np.ndarray, side: int, width: int = 0) -> np.ndarray:
    width = width or side
    how = cv2.INTER_AREA if side * width < grey.size else cv2.INTER_CUBIC
    return cv2.resize(grey, (width, side), interpolation=how)


def letterbox(grey: np.ndarray, side: int, fill: int, method: str) -> np.ndarray:
    if method != "area":
        sys.exit("this model was prepared with Pillow's filter, which OpenCV has not")
    scale = min(side / grey.shape[1], side / grey.shape[0])
    height, width = (max(1, int(n * scale)) for n in grey.shape)
    out = np.full((side, side), fill, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    out[top : top + height, left : left + width] = resize(grey, height, width)
    return out


STEPS = {"letterbox": letterbox, "resize": resize}
print(facts["verdict"])
for path in sys.argv[2:]:
    film = read(path)
    for step in facts["steps"]:
        film = STEPS[step["step"]](film, **{k: v for k, v in step.items() if k != "step"})
    names = [name for name in facts["outputs"] if name not in ("map", "map_mirrored", "heat")]
    found = dict(zip(names, session.run(names, {"pixels": film[None]}), strict=True))
    (p,) = found["probabilities"]
    line = " ".join(f"{name}={value:.6f}" for name, value in zip(facts["classes"], p, strict=True))
    if "distance" in found and found["distance"][0] > rule["distance_above"]:
        line += " refused: unlike the training images"
    elif "poses" in found and found["poses"][0, 1:].max() > rule["pose_above"]:
        line += " refused: " + list(rule["poses"].values())[1 + found["poses"][0, 1:].argmax()]
    elif "possible" in found and found["possible"][0].sum() > 1:
        line += " abstains: several classes stay possible"
    print(Path(path).name, line)
print(facts["notice"])
