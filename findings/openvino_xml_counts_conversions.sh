#!/usr/bin/env bash
# OpenVINO writes another .xml for the same network, depending on what the process converted before.
#
# Expected: the same network, the same example and the same version give the same file, so that a digest
#   of the .xml says whether two converted networks are the same one.
# Seen, OpenVINO 2026.4.1: each conversion in a process numbers the model and its nodes on from where the
#   last one ended (name="Model0", "Model3", ..., "Concat_520"), and save_model writes these names. So the
#   first, second and third conversion of one network have three digests of their .xml and one of their
#   .bin; the first one of another process has the digest of the first one here. Numbers are the same.
# hilum knows a conversion by what it was made from (layers' sources, tensors, versions) and checks its
#   files by digests that are written with them: models/runtime/compile_cache.py; test:
#   tests/test_flipped_bits.py::test_converted_network
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 torch==2.13.0
cat >"$home/convert.py" <<'PYTHON'
import hashlib
import sys
import warnings
from pathlib import Path

import openvino as ov
import torch
from torch import nn

warnings.simplefilter("ignore")
torch.manual_seed(0)
network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 2)).eval()
for number in range(int(sys.argv[1])):
    model = ov.convert_model(network, example_input=torch.zeros(1, 3, 16, 16))
    file = Path(sys.argv[2]) / "model.xml"
    ov.save_model(model, file, compress_to_fp16=False)
    print(*(hashlib.sha256(file.with_suffix(end).read_bytes()).hexdigest()[:16] for end in (".xml", ".bin")))
PYTHON
"$home/venv/bin/python" -c 'import openvino, torch; print("openvino", openvino.__version__, "torch", torch.__version__)'
"$home/venv/bin/python" "$home/convert.py" 3 "$home" | tee "$home/here"
echo "another process:"
"$home/venv/bin/python" "$home/convert.py" 1 "$home" | tee "$home/there"
if [ "$(cut -d' ' -f1 "$home/here" | sort -u | wc -l)" = 3 ] \
	&& [ "$(cut -d' ' -f2 "$home/here" | sort -u | wc -l)" = 1 ] \
	&& [ "$(head -n 1 "$home/here")" = "$(cat "$home/there")" ]; then
	echo "as described"
else
	echo "this has changed"
	exit 1
fi
