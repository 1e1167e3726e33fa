#!/usr/bin/env bash
# torch reads a whole model with allowed classes from a zip file, and refuses the same model in the format before 1.6.
#
# torch.load(weights_only=True) refuses classes that it does not know; `torch.serialization.safe_globals` allows them by name, as the
# message of the refusal says. Models of 2020 and before, TorchXRayVision's among them, are whole models in the older format, which
# torch.load still reads.
# One expects the allowed classes to open both files, since they hold the same model.
# Seen: the zip file loads. In the older one a model's class is not a name but a persistent id ("module"), and the restricted reader
# knows "storage" alone there: it refuses whatever is allowed. Only weights_only=False is left, which runs what the file says.
#
# Shown with torch 2.13.0.
# In hilum: `models.whole_models` reads both without running anything; tests/models/test_chest_weights.py.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 'numpy<3'
cat > look.py <<'PYTHON'
import pickle
import sys
import warnings
from collections import OrderedDict

import torch
from torch import nn

warnings.simplefilter("ignore")
print("torch", torch.__version__)
model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
allowed = [nn.Sequential, nn.Conv2d, nn.BatchNorm2d, OrderedDict, set]
found = {}
for name, new in (("zip", True), ("before 1.6", False)):
    path = f"{name}.pt"
    torch.save(model, path, _use_new_zipfile_serialization=new)
    plain = torch.load(path, weights_only=False)
    assert torch.equal(plain[0].weight, model[0].weight)
    try:
        with torch.serialization.safe_globals(allowed):
            loaded = torch.load(path, weights_only=True)
        found[name] = bool(torch.equal(loaded[0].weight, model[0].weight))
        print(f"{name}: loaded")
    except pickle.UnpicklingError as error:
        found[name] = str(error)
        reason = [line for line in str(error).splitlines() if "persistent" in line]
        print(f"{name}: refused:", *reason)
sys.exit(0 if found["zip"] is True and "persistent" in str(found["before 1.6"]) else 1)
PYTHON
venv/bin/python look.py
