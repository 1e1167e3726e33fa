#!/usr/bin/env bash
# torch.onnx.export writes where its source files lie, and their lines, into the model.
#
# A small network is defined in a script in a folder, and exported as ONNX. One expects what the network computes: nodes, shapes,
# weights, and perhaps the names of its layers. An ONNX file is made to be handed on.
# Seen: every node has a `pkg.torch.onnx.stack_trace` among its metadata_props: absolute paths of the script and of torch's own
# files, which hold the user's name and the project's folder, and the lines of source code that made the node. `verbose=False`,
# `optimize=True` and saving without external data change nothing; viewers of ONNX show it, ONNX Runtime does not mention it.
#
# Shown with torch 2.13.0, onnx 1.23.2, onnxscript 0.7.2.
# In hilum: hilum.exporting.onnx_file takes it out; tests/exporting/test_export_folder.py looks for paths in the file.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2 'numpy<3'
mkdir secret_project_of_jane
cat > secret_project_of_jane/look.py <<'PYTHON'
import sys
from importlib.metadata import version

import onnx
import torch


class Network(torch.nn.Module):
    def forward(self, x):
        return (x * 2).relu()  # a line of source code


for name in ("torch", "onnx", "onnxscript"):
    print(name, version(name))
program = torch.onnx.export(Network(), (torch.zeros(2, 3),), dynamo=True, optimize=True, verbose=False)
program.save("model.onnx", external_data=False)
with open("model.onnx", "rb") as file:
    raw = file.read()
notes = [item.key for node in onnx.load("model.onnx").graph.node for item in node.metadata_props]
print("keys of a node's metadata:", sorted(set(notes)))
seen = {what: what.encode() in raw for what in ("secret_project_of_jane", "(x * 2).relu()", "pkg.torch.onnx.stack_trace")}
print("in the file:", seen)
sys.exit(0 if all(seen.values()) else 1)
PYTHON
venv/bin/python secret_project_of_jane/look.py
