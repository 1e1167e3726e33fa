#!/usr/bin/env bash
# MONAI: the check of a bundle's network cannot draw integers, which the specification names.
#
# A bundle whose metadata says that the network takes 8-bit films: "dtype": "uint8", "value_range": [0, 255]. The specification of
# metadata.json has "float32" and "int32" as its examples of a dtype. The network takes any of them.
#
# One expects `monai.bundle verify_net_in_out` to draw numbers of that dtype in that range, as it does for floats.
# Seen: it fails for every integer dtype, before the network is called ("check_uniform_bounds" not implemented for 'Byte'), since
# it draws from a continuous distribution. A valid bundle looks broken.
#
# Shown with monai 1.6.1.
# In hilum: bundles say float32 (hilum.interop.monai_bundle); a slow test runs that check.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check monai==1.6.1 torch==2.13.0
cat > look.py <<'PYTHON'
import json
import logging
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
from monai.bundle import verify_net_in_out  # noqa: E402

logging.disable(logging.INFO)
print("monai", version("monai"))
network = "$type('Cast', (torch.nn.Module,), {'forward': lambda self, x: x.float()})()"
with open("inference.json", "w") as file:
    json.dump({"imports": ["$import torch"], "network_def": network}, file)
outcome = {}
for dtype in ("float32", "uint8", "int32"):
    tensor = {"type": "image", "format": "magnitude", "modality": "n/a", "num_channels": 1, "spatial_shape": [8, 8],
              "dtype": dtype, "value_range": [0, 255], "is_patch_data": False, "channel_def": {"0": "film"}}
    formats = {"inputs": {"image": tensor}, "outputs": {"pred": {**tensor, "dtype": "float32"}}}
    with open("metadata.json", "w") as file:
        json.dump({"network_data_format": formats}, file)
    try:
        verify_net_in_out(net_id="network_def", meta_file="metadata.json", config_file="inference.json")
        outcome[dtype] = "passes"
    except NotImplementedError as error:
        outcome[dtype] = f"NotImplementedError: {error}"
    print(f"{dtype}: {outcome[dtype]}")
same = outcome["float32"] == "passes" and all(outcome[name] != "passes" for name in ("uint8", "int32"))
print("integers cannot be checked" if same else "integers can be checked now")
sys.exit(0 if same else 1)
PYTHON
venv/bin/python look.py
