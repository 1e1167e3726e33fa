#!/usr/bin/env bash
# OpenVINO writes weights that an ONNX file holds in bf16 as float32: the converted network is twice as large.
#
# A layer's weights lie in an ONNX file as bf16 with a Cast to float32 behind them, the usual way to halve a file for engines that
# compute in float32. OpenVINO knows bf16 as a type of constants and computes in it (INFERENCE_PRECISION_HINT).
# One expects `save_model(..., compress_to_fp16=False)`, "weights as they are", to write what was read: two bytes for each weight.
# Seen: the conversion folds constant and Cast into float32; model.bin is twice the weights of the ONNX file. With
# compress_to_fp16=True they are fp16: two bytes, but another format, in which 1e-8, a bf16 number, is rounded to 0.
#
# Shown with openvino 2026.4.1, onnx 1.23.2.
# In hilum: docs/export.md says that only an ONNX file in bf16 is smaller; tests/exporting/test_export_folder.py measures that one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check openvino==2026.4.1 onnx==1.23.2 ml_dtypes==0.6.0 'numpy<3'
cat > look.py <<'PYTHON'
import sys
from importlib.metadata import version
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import openvino as ov
from onnx import TensorProto, helper, numpy_helper

for name in ("openvino", "onnx"):
    print(name, version(name))
values = np.random.default_rng(0).normal(size=(512, 512)).astype(ml_dtypes.bfloat16)
values[0, 0] = 1e-8
x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 512]) for name in "xy")
nodes = [
    helper.make_node("Cast", ["w16"], ["w"], to=TensorProto.FLOAT),
    helper.make_node("MatMul", ["x", "w"], ["y"]),
]
graph = helper.make_graph(nodes, "g", [x], [y], [numpy_helper.from_array(values, "w16")])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), "model.onnx")
print("weights in the ONNX file:", values.nbytes, "bytes of", Path("model.onnx").stat().st_size)
network = ov.convert_model("model.onnx")
found, small = {}, {}
for compress in (False, True):
    ov.save_model(network, f"{compress}.xml", compress_to_fp16=compress)
    read = ov.Core().read_model(f"{compress}.xml")
    tables = [op for op in read.get_ops() if op.get_type_name() == "Constant" and list(op.get_output_shape(0)) == [512, 512]]
    found[compress] = (str(tables[0].get_element_type()), Path(f"{compress}.bin").stat().st_size)
    small[compress] = float(np.asarray(tables[0].get_data(), np.float64)[0, 0])
    print(f"compress_to_fp16={compress}:", *found[compress], "bytes, 1e-8 is", small[compress])
still = found[False][1] >= 2 * values.nbytes and "16" not in found[False][0] and small[True] == 0 and small[False] > 0
sys.exit(0 if still else 1)
PYTHON
venv/bin/python look.py
