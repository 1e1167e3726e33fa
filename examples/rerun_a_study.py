"""A study from its recipe on the smaller grid, the paper's numbers next to ours.

python examples/rerun_a_study.py RECIPE OUT [DATA]

RECIPE is a TOML file or one of hilum.recipe_names(); DATA the folder of the public datasets.
"""

import sys

import hilum

recipe, out = sys.argv[1:3]
data = sys.argv[3] if len(sys.argv) > 3 else None
results = hilum.run(recipe, data, out, quick=True)
for row in results.published:
    ours = "not measured" if row.measured is None else f"{row.measured:.3f}"
    print(f"{row.where}, {row.name} of {row.class_}: {row.published:.3f} in print, {ours} here")
for score in results.scores:
    if score.name == "accuracy":
        print(f"{score.cell}: {score.k} of {score.n} ({score.low:.2f} to {score.high:.2f})")
print(results.replication or "Nothing departs from the recipe's paper.")
print(results.verdict)
