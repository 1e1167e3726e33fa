#!/usr/bin/env bash
# onnx.version_converter brings a network to a newer opset and moves what it enlarges by up to half a pixel.
#
# A network of opset 10 that enlarges a map 8 times, as the last layer of a segmentation or a heat map does; and one of opset 9, whose layer
# is named Upsample. The map has one bright cell.
#
# One expects that conversion keeps the function: a new opset writes the same thing another way. What opset 10 computes, position / scale,
# is called "asymmetric" from opset 11 on.
# Seen: the converter leaves the new attribute away, and without it the position is that of pixel centres, "half_pixel". The bright cell
# lies 3.5 pixels further down and to the right, and its slopes have other values. The checker is content, shapes and names are the same; onnx's
# own reference and ONNX Runtime agree on both. From opset 11 to 18 nothing changes, and with mode "nearest" and whole factors nothing does.
#
# Shown with onnx 1.23.2, onnxruntime 1.32.0.
# In hilum: networks are exported at the opset that is wanted, and each export is compared with the model; tests/exporting.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.3.5
cat > look.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, version_converter
from onnx.reference import ReferenceEvaluator

for name in ("onnx", "onnxruntime", "numpy"):
    print(name, version(name))
small = np.zeros((1, 1, 6, 6), np.float32)
small[0, 0, 3, 2] = 1


def network(kind, opset, mode):
    """x (1, 1, 6, 6) -> y, 8 times as large."""
    scales = helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, 8, 8])
    extra = {"coordinate_transformation_mode": "half_pixel"} if opset > 10 else {}
    roi = [helper.make_tensor("roi", TensorProto.FLOAT, [0], [])] if opset > 10 else []  # says nothing here, but has to be there
    names = ["x", *("roi" for _ in roi), "scales"]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 6, 6])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 48, 48])
    graph = helper.make_graph([helper.make_node(kind, names, ["y"], mode=mode, **extra)], "enlarge", [x], [y], [*roi, scales])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def output(model):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": small})[0][0, 0]


def centre(large):
    """Row and column of the centre of gravity."""
    rows, columns = np.indices(large.shape)
    return round(float((rows * large).sum() / large.sum()), 2), round(float((columns * large).sum() / large.sum()), 2)


moved, changed = {}, {}
for kind, opset, mode in (("Resize", 10, "linear"), ("Upsample", 9, "linear"), ("Resize", 10, "nearest"), ("Resize", 11, "linear")):
    model = network(kind, opset, mode)
    new = version_converter.convert_version(model, 18)
    onnx.checker.check_model(new, full_check=True)
    before, after = output(model), output(new)
    reference = ReferenceEvaluator(new).run(None, {"x": small})[0][0, 0]
    moved[kind, opset, mode] = before_at, after_at = centre(before), centre(after)
    changed[kind, opset, mode] = float(np.abs(before - after).max())
    print(f"{kind} of opset {opset}, {mode}, to 18: centre {before_at} -> {after_at}, values differ by up to {changed[kind, opset, mode]:.3f}; ", end="")
    print(f"onnx's reference differs from ONNX Runtime by {np.abs(reference - after).max():.0e}")
linear = [("Resize", 10, "linear"), ("Upsample", 9, "linear")]
wrong = all(changed[case] > 0.3 and abs(moved[case][0][0] - moved[case][1][0]) > 3 for case in linear)
right = changed["Resize", 10, "nearest"] == 0 and changed["Resize", 11, "linear"] == 0
sys.exit(0 if wrong and right else 1)
PYTHON
venv/bin/python look.py
