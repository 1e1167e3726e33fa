#!/usr/bin/env bash
# Expected: a model's weights, written with safetensors, can be read by whom any other new file can be read:
#           with umask 022 mode 0644, as torch.save, numpy and json give.
# Seen:     safetensors 0.8.0 writes every file with mode 0600 whatever the umask says, and over a file of mode 0644 too;
#           a colleague, a service account or a web server cannot open a model folder on a shared disk.
# Ours:     every file is written beside its target and given the permissions of a new file (tests/test_files.py).
set -euo pipefail
home="$(mktemp -d)"
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.2.6
cd "$home"
umask 022
"$home/venv/bin/python" - <<'PYTHON'
import json
import os
import sys

import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file


def mode(path: str) -> str:
    return oct(os.stat(path).st_mode & 0o777)


weights = {"head.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
save_file(weights, "new.safetensors")
with open("over.safetensors", "w") as file:
    file.write("an earlier file")
before = mode("over.safetensors")
save_file(weights, "over.safetensors")
np.savez("weights.npz", **weights)
with open("model.json", "w") as file:
    json.dump({"classes": ["normal", "pneumonia"]}, file)
print("safetensors", safetensors.__version__, "numpy", np.__version__, "python", sys.version.split()[0])
print("umask 022; model.json", mode("model.json"), "weights.npz", mode("weights.npz"))
print("new.safetensors", mode("new.safetensors"))
print("over.safetensors", before, "->", mode("over.safetensors"))
assert np.array_equal(load_file("new.safetensors")["head.weight"], weights["head.weight"])
seen = [mode(name) for name in ("new.safetensors", "over.safetensors")]
others = [mode(name) for name in ("model.json", "weights.npz")]
sys.exit(0 if seen == ["0o600"] * 2 and others == ["0o644"] * 2 else 1)
PYTHON
