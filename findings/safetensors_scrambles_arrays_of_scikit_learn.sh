#!/usr/bin/env bash
# safetensors writes a model of scikit-learn as other numbers: arrays in Fortran order come back scrambled.
#
# A PCA of features and a head behind it are fitted with scikit-learn, and their arrays saved with safetensors.numpy.save_file, as one does to hand
# on a model without pickle.
#
# One expects the arrays back, or an error as safetensors.torch gives for a tensor that is not contiguous. NumPy's order in memory is no part of
# an array's value; numpy.save, HDF5 and pickle write the same whichever it is, and an array in Fortran order is contiguous.
# Seen, safetensors 0.8.0: shapes, types and sums are right, the numbers lie in other places. The memory is written as it lies, and read in C order.
# scikit-learn's PCA keeps `components_` in Fortran order and its LogisticRegression `coef_` in C order, so that one half of the model is
# restored and the other is not: accuracy falls from 0.92 to 0.81, which may pass for a model. 0.7.0 wrote both right.
#
# Shown with safetensors 0.8.0 and 0.7.0, scikit-learn 1.9.1, numpy 2.3.5.
# In hilum: arrays are brought to C order first (inference/model_folder.py, ood.py, kept_films.py, new_source.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check safetensors==0.8.0 scikit-learn==1.9.1 numpy==2.3.5
venv/bin/pip install --quiet --disable-pip-version-check --no-deps --target earlier safetensors==0.7.0
cat > look.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import sklearn
from safetensors.numpy import load_file, save_file
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

print("safetensors", version("safetensors"), "scikit-learn", sklearn.__version__, "numpy", np.__version__)
random = np.random.default_rng(0)
labels = np.repeat([0, 1], 200)
features = random.standard_normal((400, 60)) * np.linspace(3, 0.5, 60)
features[:, 0] += 8 * labels
right = {}
for solver in ("full", "covariance_eigh"):
    pca = PCA(10, svd_solver=solver, random_state=0).fit(features)
    head = LogisticRegression().fit(pca.transform(features), labels)
    save_file({"mean": pca.mean_, "components": pca.components_, "weights": head.coef_}, "model.safetensors")
    back = load_file("model.safetensors")
    said = ((features - back["mean"]) @ back["components"].T @ back["weights"].T + head.intercept_)[:, 0] > 0
    right[solver] = bool(np.array_equal(back["components"], pca.components_))
    for name, array in (("components", pca.components_), ("weights", head.coef_)):
        order = "C" if array.flags.c_contiguous else "Fortran" if array.flags.f_contiguous else "no"
        print(f"{name} in {order} order: {'same' if np.array_equal(back[name], array) else 'other'} numbers; ", end="")
    print(f"accuracy {head.score(pca.transform(features), labels):.2f}, restored {np.mean(said == labels):.2f} (solver {solver})")
grid = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))
save_file({"grid": grid}, "grid.safetensors")
back = load_file("grid.safetensors")["grid"]
print("saved", grid.tolist(), "read", back.tolist())
wrong = not np.array_equal(grid, back)
sys.exit(0 if wrong == (sys.argv[1] == "wrong") and (not all(right.values())) == wrong else 1)
PYTHON
venv/bin/python look.py wrong
PYTHONPATH=earlier venv/bin/python look.py right
