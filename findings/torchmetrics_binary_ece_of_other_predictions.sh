#!/usr/bin/env bash
# torchmetrics 1.9.0: the calibration error of two classes depends on whether they come in one column or in two.
#
# Expected: a classifier of two classes that gives p and one that gives (1 - p, p) say the same, so binary_calibration_error and
# multiclass_calibration_error with num_classes=2 agree, as accuracy and AUROC do.
# Seen: 200 films, half at p = 0.3 of which 10% are sick, half at p = 0.7 of which 50% are sick. Wherever the model gives a number for
# "sick" it is 0.2 too high; the binary function says 0.2. In two columns the error is taken of the class that is called, and in the
# one bin of confidence 0.7 a class that is right in 90% and one that is right in 50% meet: the same predictions score 0.0. ECE that two papers print
# under one name need not be one number. hilum's is of the class that is called (docs/metrics.md); its report draws the reliability too.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 torchmetrics==1.9.0 numpy==2.2.6
cat > "$work/see.py" <<'PY'
import sys

import torch
import torchmetrics
from torchmetrics.functional.classification import (
    binary_accuracy,
    binary_auroc,
    binary_calibration_error,
    multiclass_accuracy,
    multiclass_auroc,
    multiclass_calibration_error,
)

p = torch.tensor([0.3] * 100 + [0.7] * 100)
sick = torch.tensor([1] * 10 + [0] * 90 + [1] * 50 + [0] * 50)
two = torch.stack([1 - p, p], 1)
print("torch", torch.__version__.split("+")[0], "torchmetrics", torchmetrics.__version__)
figures = {
    "accuracy": (binary_accuracy(p, sick), multiclass_accuracy(two, sick, num_classes=2, average="micro")),
    "AUROC": (binary_auroc(p, sick), multiclass_auroc(two, sick, num_classes=2)),
    "calibration error": (
        binary_calibration_error(p, sick, n_bins=15),
        multiclass_calibration_error(two, sick, num_classes=2, n_bins=15),
    ),
}
for name, (one, both) in figures.items():
    print(f"{name}: one column {float(one):.3f}, two columns {float(both):.3f}")
agree = all(abs(float(figures[k][0] - figures[k][1])) < 1e-6 for k in ("accuracy", "AUROC"))
one, both = map(float, figures["calibration error"])
sys.exit(0 if agree and abs(one - 0.2) < 1e-4 and both < 1e-4 else 1)
PY
"$work/venv/bin/python" "$work/see.py"
