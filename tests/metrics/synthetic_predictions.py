"""Synthetic predictions tables for the tests of scores, curves and comparisons."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Request:
    """What a table is made of; `per` images share a patient, and one mood."""

    n: int = 120
    classes: tuple[str, ...] = ("covid19", "normal", "pneumonia")
    per: int = 1
    seeds: int = 1
    folds: int = 1
    separation: float = 1.5
    draw: int = 0
    noise: int = 0


def table(request: Request | None = None) -> pd.DataFrame:
    """A predictions table; `draw` decides the images, `noise` what is predicted of them."""
    request = request or Request()
    size, n = len(request.classes), request.n
    patients = np.arange(n) // request.per
    truth = np.random.default_rng(request.draw).integers(0, size, patients.max() + 1)[patients]
    parts = []
    for seed in range(request.seeds):
        rng = np.random.default_rng([request.draw, request.noise, seed])
        logits = rng.normal(size=(patients.max() + 1, size))[patients]
        logits += 0.5 * rng.normal(size=(n, size)) if request.per > 1 else 0
        logits[np.arange(n), truth] += request.separation
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        rows = pd.DataFrame(
            {
                "cell": "only",
                "sample_id": [f"set/{i:04d}.png" for i in range(n)],
                "path": "image.png",
                "patient_id": [f"set:{i}" for i in patients],
                "source": "hospital",
                "fold": patients % request.folds,
                "seed": seed,
                "label": [request.classes[c] for c in truth],
            }
        )
        rows[[f"p_{name}" for name in request.classes]] = p
        parts.append(rows)
    return pd.concat(parts, ignore_index=True)


def spell(truth: list[str], said: list[str], classes: tuple[str, ...]) -> pd.DataFrame:
    """A table with these labels and these certain predictions, a patient per image."""
    rows = table(Request(n=len(truth), classes=classes))
    rows["label"] = truth
    rows[[f"p_{name}" for name in classes]] = [[float(s == c) for c in classes] for s in said]
    return rows
