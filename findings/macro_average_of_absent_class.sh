#!/usr/bin/env bash
# scikit-learn 1.7.2: recall_score(average="macro") and balanced_accuracy_score differ where a class has no test image.
#
# Expected: balanced accuracy is defined as the mean of the recalls of all classes, so both give the same figure for the same labels.
# Seen: an external test set without pneumonia, of which the model once says pneumonia: balanced_accuracy_score averages over the two
# classes that have images, recall_score and f1_score over three, counting the absent class as 0. The macro figure falls by a third
# although no answer changed; without that one answer it rises back. A report must say over which classes an average is.
# hilum averages over classes with test images and names them (`over` in results.json).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q scikit-learn==1.7.2 numpy==2.2.6
cat > "$work/see.py" <<'PY'
import sys
import warnings

import numpy
import sklearn
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

warnings.simplefilter("ignore")
truth = ["covid19"] * 10 + ["normal"] * 10
right = truth.copy()
once = truth.copy()
once[0] = "pneumonia"
print("numpy", numpy.__version__, "scikit-learn", sklearn.__version__)
figures = {}
for name, said in (("all right", right), ("one answer of the absent class", once)):
    figures[name] = (
        balanced_accuracy_score(truth, said),
        recall_score(truth, said, average="macro"),
        f1_score(truth, said, average="macro"),
    )
    print(f"{name}: balanced accuracy {figures[name][0]:.3f}, macro recall {figures[name][1]:.3f}, macro F1 {figures[name][2]:.3f}")
balanced, recall, f1 = figures["one answer of the absent class"]
still = abs(balanced - 0.95) < 1e-9 and abs(recall - 1.9 / 3) < 1e-9 and f1 < 0.66
sys.exit(0 if still else 1)
PY
"$work/venv/bin/python" "$work/see.py"
