"""One film through a trained model: answer, refusal, verdict and heat map.

python examples/predict_one_film.py OUT/model FILM.dcm heat.png
"""

import sys

import hilum

model = hilum.load_model(sys.argv[1])
answer = model.predict(sys.argv[2])
print(model.verdict)
print(answer.reason if answer.abstained else f"{answer.label}: {answer.probabilities}")
if answer.label and len(sys.argv) > 3:
    print("heat map:", model.explain(sys.argv[2]).save(sys.argv[3]))
print(hilum.NOTICE)
