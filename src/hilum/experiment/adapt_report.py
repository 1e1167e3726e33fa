"""What an adaptation gained on the new films, out of fold, and what it cost on the old ones."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

from hilum.inference import conformal
from hilum.inference.kept_films import KeptFilms
from hilum.inference.model import TrainedModel
from hilum.inference.temperature import softmax
from hilum.metrics import calibration, metrics
from hilum.training.adaptation import PATH, NewFilms
from hilum.types import NOTICE, Labels, Probabilities

Array: TypeAlias = npt.NDArray[np.float64]
BINS = 10
REPLICATES = 2000
ROWS = {
    "auroc": "AUROC, mean of the classes",
    "log_loss": "log loss",
    "ece": "calibration error",
    "right": "share right",
    "answered": "share answered (one class is left)",
    "wrong_of_answered": "share wrong of those answered",
}


def counts(films: NewFilms, classes: Sequence[str]) -> dict[str, Any]:
    """How many films and patients there were, and films of each class."""
    each = np.bincount(films.labels, minlength=len(classes)).tolist()
    return {
        "images": len(films),
        "patients": len(np.unique(films.patients)),
        "classes": dict(zip(classes, each, strict=True)),
    }


def strengths(weights: Array) -> dict[str, float]:
    """Strength of the penalty -> its weight (strength,); "no layer" for the strongest."""
    names = ["no layer" if np.isinf(strength) else f"{strength:g}" for strength in PATH]
    return dict(zip(names, weights.round(4).tolist(), strict=True))


def before_and_after(
    model: TrainedModel, adapted: TrainedModel, films: NewFilms, p: Probabilities
) -> dict[str, Any]:
    """Scores of the old answers and of `p` (image, class), and the gain with its interval."""
    classes, old = model.facts.classes, np.round(softmax(films.logits), 8)
    return {
        "before": scores_of(films.labels, old, classes, model.facts.conformal),
        "after": scores_of(films.labels, p, classes, adapted.facts.conformal),
        "gain": gain(films, p),
    }


def scores_of(
    labels: Labels, p: Probabilities, classes: Sequence[str], possible: Mapping[str, float]
) -> dict[str, float | None]:
    """The figures of ROWS of labels (image,) and probabilities (image, class)."""
    there = [i for i in range(len(classes)) if 0 < (labels == i).sum() < len(labels)]
    right, confidence = p.argmax(1) == labels, p.max(1)
    answered = np.ones(len(labels), bool)
    if possible:
        answered = conformal.prediction_sets(p, classes, possible).sum(1) == 1
    values = {
        "auroc": np.mean([metrics.auroc(labels == i, p[:, i]) for i in there]) if there else np.nan,
        "log_loss": metrics.log_loss(labels, p),
        "ece": calibration.ece(confidence, right, BINS),
        "right": right.mean(),
        "answered": answered.mean(),
        "wrong_of_answered": (~right[answered]).mean() if answered.any() else np.nan,
    }
    return {
        key: None if np.isnan(value) else round(float(value), 6) for key, value in values.items()
    }


def gain(films: NewFilms, p: Probabilities) -> dict[str, float]:
    """By how much the log loss falls, with a 95% interval (bootstrap by patient)."""
    rows = np.arange(len(films))
    before = -log_softmax(films.logits, axis=1)[rows, films.labels]
    falls = before + np.log(np.maximum(p[rows, films.labels], 1e-8))
    _, place = np.unique(films.patients, return_inverse=True)
    sums, sizes = np.bincount(place, falls), np.bincount(place)
    drawn = np.random.default_rng(0).integers(0, len(sums), (REPLICATES, len(sums)))
    means = sums[drawn].sum(1) / sizes[drawn].sum(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return {
        "log_loss": round(float(falls.mean()), 6),
        "low": round(float(low), 6),
        "high": round(float(high), 6),
    }


def cost(model: TrainedModel, adapted: TrainedModel, kept: KeptFilms) -> dict[str, Any]:
    """Scores on kept films of each old source, by the old head and by the new one.

    The old head was fitted on these very films, so its figures there flatter it.
    """
    both = [one.calibrated(one.head.logits(kept.features)) for one in (model, adapted)]
    names = np.array(kept.sources)
    return {
        name: {
            "images": int((names == name).sum()),
            **{
                when: scores_of(
                    kept.labels[names == name], p[names == name], model.facts.classes, {}
                )
                for when, p in zip(("before", "after"), both, strict=True)
            },
        }
        for name in sorted(set(kept.sources))
    }


def sentence(record: Mapping[str, Any]) -> str:
    """What was gained, in words."""
    films, won = record["films"], record["gain"]
    start = f"Adapted to {films['images']:,} films of {films['patients']:,} patients."
    before, after = record["before"], record["after"]
    change = (
        f"Out of fold, AUROC goes from {shown(before['auroc'])} to {shown(after['auroc'])} and "
        f"the log loss from {shown(before['log_loss'])} to {shown(after['log_loss'])}."
    )
    if won["low"] > 0:
        return f"{start} {change}"
    return (
        f"{start} {change} No gain is shown: the interval of the change of the log loss includes 0."
    )


def judged(record: Mapping[str, Any]) -> dict[str, Any]:
    """What `model.json` says in the place of the old model's verdict."""
    return {
        "verdict": f"{sentence(record)} No audit was made of the adapted model.",
        "failed": [],
        "warned": [],
        "audits": 0,
        "not_made": 0,
        "by": "adapt",
        "date": datetime.now(UTC).date().isoformat(),
    }


def page(record: Mapping[str, Any]) -> str:
    """`adapted.md`: before and after side by side, the old sources, and what was not checked."""
    lines = [
        "# Adapted model",
        "",
        sentence(record),
        "",
        *_table(record["before"], record["after"]),
    ]
    lines += [
        "",
        "Every figure after is of films that the adapted head was fitted without, by patient.",
        "",
    ]
    lines += ["## What it costs on the old sources", ""]
    old = record["old_sources"]
    if "not_checked" in old:
        lines.append(old["not_checked"])
    else:
        lines.append(
            "Films of training, kept in the model folder. The old head was fitted on them."
        )
        for name, scores in old.items():
            lines += ["", f"### {name}, {scores['images']:,} films", ""]
            lines += _table(scores["before"], scores["after"])
    if record["notes"]:
        lines += ["", "## Notes", "", *(f"- {note}" for note in record["notes"])]
    return "\n".join([*lines, "", NOTICE, ""])


def _table(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [
        "| figure | before | after |",
        "|---|---|---|",
        *(f"| {what} | {shown(before[key])} | {shown(after[key])} |" for key, what in ROWS.items()),
    ]


def shown(value: float | None) -> str:
    """A figure for people; "-" where it is undefined."""
    return "-" if value is None else f"{value:.3f}"
