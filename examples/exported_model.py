"""An exported model without hilum: by onnxruntime, numpy and OpenCV alone, on 8-bit grey films.

python examples/exported_model.py EXPORTED FILM.png ...
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

facts = json.loads(Path(sys.argv[1], "preparation.json").read_text())
session = onnxruntime.InferenceSession(Path(sys.argv[1], facts["graph"]))
rule = facts["abstention"]


def read(path: str) -> np.ndarray:
    """Grey (height, width), a JPEG at the smallest scale that keeps `decode_side`."""
    grey, least = cv2.imread(path, cv2.IMREAD_GRAYSCALE), facts["decode_side"]
    for scale in (8, 4, 2) if path.lower().endswith((".jpg", ".jpeg")) else ():
        if least and min(grey.shape) > scale * (least - 1):
            return cv2.imread(path, getattr(cv2, f"IMREAD_REDUCED_GRAYSCALE_{scale}"))
    return grey


def scaled(grey: np.ndarray, height: int, width: int) -> np.ndarray:
    how = cv2.INTER_AREA if height * width < grey.size else cv2.INTER_CUBIC
    return cv2.resize(grey, (width, height), interpolation=how)


def letterbox(grey: np.ndarray, side: int, fill: int, method: str) -> np.ndarray:
    assert method == "area", "OpenCV has no filter like Pillow's"  # noqa: S101
    height, width = (max(1, int(n * (side / max(grey.shape)))) for n in grey.shape)
    top, left = (side - height) // 2, (side - width) // 2
    bars = ((top, side - height - top), (left, side - width - left))
    return np.pad(scaled(grey, height, width), bars, constant_values=fill)


STEPS = {"letterbox": letterbox, "resize": lambda grey, side: scaled(grey, side, side)}
print(facts["verdict"], facts["notice"], sep="\n")
for path in sys.argv[2:]:
    film = read(path)
    for step in facts["steps"]:
        film = STEPS[step["step"]](film, **{k: v for k, v in step.items() if k != "step"})
    outputs = dict(zip(facts["outputs"], session.run(None, {"pixels": film[None]}), strict=True))
    p = dict(zip(facts["classes"], outputs["probabilities"][0], strict=True))
    line = " ".join(f"{name}={value:.6f}" for name, value in p.items())
    if "distance" in outputs and outputs["distance"][0] > rule["distance_above"]:
        line += " refused: unlike the training images"
    elif "poses" in outputs and outputs["poses"][0, 1:].max() > rule["pose_above"]:
        line += " refused: " + list(rule["poses"].values())[1 + outputs["poses"][0, 1:].argmax()]
    elif "possible" in outputs and outputs["possible"][0].sum() > 1:
        line += " abstains: several classes stay possible"
    elif rule["lungs_asked"] and outputs["distance"][0] > rule["lungs_asked_above"]:
        line += " not checked: hilum looks for lungs in this film (lungs.xml)"
    print(Path(path).name, line)
