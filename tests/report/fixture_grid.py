"""A synthetic run of a grid: two classes, two networks, two inits, histories and a recipe."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fixture_run
import numpy as np
import pandas as pd

from hilum.types import Score

FIGURES = (
    *("curves", "samples", "thresholds", "histograms", "confusions", "threshold_confusions"),
    *("bars", "decision_curve", "epochs_to_stop", "sweep", "network"),
)
LAYERS = [
    ("film", "input", 1, 64, 0, 0),
    ("conv1 to bn1", "backbone", 64, 32, 9536, 0),
    ("layer1", "backbone", 256, 16, 215808, 1000),
    ("layer2", "backbone", 512, 8, 1219584, 1219584),
    ("classes", "head", 2, 1, 1026, 1026),
]
CELLS = [f"backbone={net},weights={init}" for init in ("random", "imagenet") for net in "ab"]


def grid(folder: Path, figures: tuple[str, ...] = FIGURES) -> Path:
    """Every file of a finished run of four cells, one of which failed besides."""
    classes = {"covid19": 24, "non_covid": 76}
    request = fixture_run.Request(classes, folds=1, seed=3, sources={})
    table = fixture_run._manifest(folder, request)
    table["finding"] = np.where(np.arange(len(table)) % 3 == 0, "No Finding", "Edema")
    predictions = pd.concat(
        [fixture_run._predict(table, request, cell, 0.4 + 0.2 * i) for i, cell in enumerate(CELLS)]
    )
    table.to_parquet(folder / "manifest.parquet")
    predictions.to_csv(folder / "predictions.csv", index=False)
    history().to_csv(folder / "history.csv", index=False)
    omitted = [("a.png", "truncated"), ("backbone=c,weights=random", "no weights of c; fetch them")]
    left_out = pd.DataFrame(omitted, columns=["what", "reason"])
    left_out.to_csv(folder / "left_out.csv", index=False)
    (folder / "recipe.toml").write_text(
        f"figures = {json.dumps(figures)}\n\n[[train.stages]]\nname = 'all'\n"
        "stop = { accuracy = 0.8, loss = 0.5 }\n"
    )
    scores = [_row(score) for score in fixture_run._scores(predictions, list(classes))]
    results = {
        "recipe": "grid",
        "classes": list(classes),
        "scores": scores + [micro(row) for row in scores if row["name"] == "accuracy"],
        "model": {"cell": CELLS[1], "seed": 3, "backbone": "b", "layers": _layers()},
        "data": {"left_out": [{"what": "a.png", "reason": "truncated", "count": 1}]},
    }
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def _layers() -> list[dict[str, Any]]:
    names = ("name", "where", "channels", "rows", "parameters", "trained")
    rows = [dict(zip(names, row, strict=True)) for row in LAYERS]
    return [{**row, "columns": row["rows"], "layers": 1} for row in rows]


def _row(score: Score) -> dict[str, Any]:
    return {key.rstrip("_"): value for key, value in asdict(score).items()}


def micro(row: dict[str, Any]) -> dict[str, Any]:
    """Micro-averaged F1, which is accuracy."""
    return {**row, "name": "f1", "class": "micro"}


def history() -> pd.DataFrame:
    """Scripted: CELLS[0] stops after 3 epochs, [1] after 2 or 3, [2] never, [3] overfits."""
    courses = {
        (0, 0): [0.9, 0.7, 0.4],
        (1, 0): [0.9, 0.4],
        (1, 1): [0.9, 0.7, 0.4],
        (2, 0): [0.9, 0.8, 0.7, 0.6, 0.55],
        (3, 0): [0.9, 0.6, 0.5, 0.55, 0.7, 0.8],
    }
    rows = [
        (CELLS[cell], 0, seed, "all", epoch, part, loss - gap, 1 - 0.4 * (loss - gap))
        for (cell, seed), losses in courses.items()
        for epoch, loss in enumerate(losses)
        for part, gap in (("train", 0.2), ("validation", 0.0))
    ]
    names = ["cell", "fold", "seed", "stage", "epoch", "part", "loss", "accuracy"]
    return pd.DataFrame(rows, columns=names)
