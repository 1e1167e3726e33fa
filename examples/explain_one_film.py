"""Where a trained model looked: a heat map for each class, as pictures and as numbers.

python examples/explain_one_film.py OUT/model FILM.png FOLDER
"""

import sys
from pathlib import Path

import numpy as np

import hilum

model, film, folder = hilum.load_model(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
folder.mkdir(parents=True, exist_ok=True)
for name in model.classes:
    heat = model.explain(film, class_=name)
    row, column = np.unravel_index(heat.array.argmax(), heat.array.shape)
    path = heat.save(folder / f"{name}.png")
    print(f"{name}: p = {heat.probability:.3f}, most of it at row {row}, column {column}: {path}")
print("A heat map shows where the model looked, not whether it is right.")
