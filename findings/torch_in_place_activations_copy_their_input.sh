#!/usr/bin/env bash
# torch's ReLU6 and SiLU in place copy their input when a network trains: they save no memory and take longer.
#
# MobileNet, EfficientNet and their kin are built with nn.ReLU6(inplace=True) or nn.SiLU(inplace=True), as nn.ReLU(inplace=True) is, to
# save memory: one expects that the map is overwritten and no second one is kept. For ReLU that is so: its slope is known from its output.
# Seen: ReLU6, Hardtanh, Hardswish and SiLU in place first copy the whole input, and keep the copy until the backward pass, next to the
# output: as much memory as without `inplace`, and one more pass over the map. ReLU, LeakyReLU and ELU in place keep the output alone.
#
# Shown with torch 2.13.0 on a CPU.
# In hilum: a fiftieth of a fine-tuning step of EfficientNet-Lite0; the networks' own layers are left as they are.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 'numpy<3'
cat > look.py <<'PYTHON'
import sys

import torch
from torch import nn

print("torch", torch.__version__.partition("+")[0])
torch.manual_seed(0)


def kept(layer: nn.Module) -> str:
    """What is kept for the backward pass, beside the map that is there anyway."""
    image = (4 * torch.randn(2, 3, 5, 5)).requires_grad_()
    before = image * 1  # what a layer before has made: nobody else needs it
    values, saved = before.detach().clone(), []
    with torch.autograd.graph.saved_tensors_hooks(lambda one: saved.append(one) or one, lambda one: one):
        after = layer(before)
    assert after.data_ptr() == before.data_ptr()  # in place indeed
    (one,) = saved
    if one.data_ptr() == after.data_ptr():
        return "the output"
    return "a copy of the input" if torch.equal(one, values) else "something else"


seen = {
    name: kept(getattr(nn, name)(inplace=True))
    for name in ("ReLU", "LeakyReLU", "ELU", "ReLU6", "Hardtanh", "Hardswish", "SiLU")
}
for name, what in seen.items():
    print(f"{name}(inplace=True) keeps {what}")
copies = {name for name, what in seen.items() if what == "a copy of the input"}
sys.exit(0 if copies == {"ReLU6", "Hardtanh", "Hardswish", "SiLU"} and seen["ReLU"] == "the output" else 1)
PYTHON
venv/bin/python look.py
