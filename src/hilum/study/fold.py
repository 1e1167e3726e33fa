"""One fold: the stages of training, then calibration on validation and prediction on test."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from hilum.evaluate import conformal, gate, metrics, temperature, thresholds
from hilum.evaluate.model import Facts, Model, assemble, columns
from hilum.models import quantise
from hilum.models.backbones import Backbone
from hilum.models.heads import Head
from hilum.study import bench as benches
from hilum.study import extras, fitting, int8
from hilum.study.bench import Bench, Key
from hilum.study.int8 import Trial
from hilum.train.batches import Parts
from hilum.types import HilumError, Labels, Probabilities

SENSITIVITY = 0.9  # what the thresholds stored with a model aim at


@dataclass(frozen=True, slots=True)
class Outcome:
    """A fold's model, its rows of predictions and history, and its validation loss or nan."""

    key: Key
    model: Model
    predictions: pd.DataFrame
    history: pd.DataFrame
    loss: float
    trial: Trial | None = None  # of int8, where the recipe wants it


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibrated model, what it was trained on, and what it says of the validation part."""

    bench: Bench
    enlarged: tuple[Bench, Parts]
    history: pd.DataFrame
    model: Model
    p: Probabilities  # (validation image, class)


def run(bench: Bench, split: pd.DataFrame, key: Key) -> Outcome:
    """Train, calibrate and test one fold; `split` has the fold's sample_id and part."""
    rows = _rows(bench, split)
    parts = Parts(rows["train"], rows["validation"], bench.labels, test=rows["test"])
    parts = replace(parts, balanced=bench.recipe.train.balance == "sampling")
    fitted, trial = _fitted(bench, parts, key), None
    if bench.recipe.model.precision == "int8":
        fitted, trial = _tried(bench, fitted, parts, key)
    bench, model, history = fitted.bench, fitted.model, fitted.history
    loss = _loss(bench.labels[parts.validation], fitted.p)
    if bench.recipe.train.stages[-1].refit:
        model = replace(model, head=fitting.refitted(*fitted.enlarged, key, history))
    logits = _logits(bench, model, rows["test"])
    seen = np.concatenate([rows["train"], rows["validation"]])
    model = replace(
        model,
        facts=replace(
            model.facts,
            seen=tuple(sorted(bench.manifest.table["sha256"].iloc[seen])),
            provenance={
                **_provenance(bench, key, loss, rows),
                "engine": model.runtime.describe(),
                **({"int8": asdict(trial)} if trial else {}),
            },
        ),
    )
    predictions = _predictions(bench, model, logits, rows["test"], key)
    return Outcome(key, model, predictions, history, loss, trial)


def _fitted(bench: Bench, parts: Parts, key: Key) -> Fitted:
    enlarged = extras.enlarge(bench, parts, key)
    backbone, head, history = fitting.train(*enlarged, key)
    model, p = _calibrated(bench, _model(bench, backbone, head), parts)
    return Fitted(bench, enlarged, history, model, p)


def _tried(bench: Bench, full: Fitted, parts: Parts, key: Key) -> tuple[Fitted, Trial]:
    """The fold in int8, or as it was where validation images lose too much by it.

    A head on a frozen backbone is fitted again, to the features that it will see; a backbone that
    has learnt keeps the head that learnt with it.
    """
    move = bench.tell("int8: calibrating")
    shown = bench.pixels.stack[parts.train[gate.spread_out(len(parts.train), quantise.IMAGES)]]
    engine = quantise.quantised(full.model.runtime, shown)
    move(1, 1)
    if full.model.runtime is bench.runtime:
        small = _fitted(replace(bench, runtime=engine), parts, key)
    else:
        known = replace(full.model.facts, precision="int8", quantised=engine.facts.quantised)
        model, p = _calibrated(bench, replace(full.model, facts=known, runtime=engine), parts)
        small = replace(full, model=model, p=p)
    trial = int8.compare(bench.labels[parts.validation], full.p, small.p)
    return (small if trial.used else full), trial


def _rows(bench: Bench, split: pd.DataFrame) -> dict[str, Any]:
    at = pd.Series(np.arange(len(bench.labels)), index=list(bench.pixels.sample_ids))
    found = {
        part: np.sort(at.loc[group["sample_id"]].to_numpy())
        for part, group in split.groupby("part")
    }
    if not bench.recipe.split.validation:
        found.setdefault("validation", np.zeros(0, np.int64))
    for part in ("train", "validation", "test"):
        if part not in found:
            raise HilumError(
                f"each fold needs train, validation and test images; got no {part} images; "
                "add images or change the split."
            )
    return found


def _loss(labels: Labels, p: Probabilities) -> float:
    """Log loss of the validation part; nan, which no cell is chosen by, where there is none."""
    return float(metrics.log_loss(labels, p)) if len(labels) else float("nan")


def _model(bench: Bench, backbone: Backbone, head: Head) -> Model:
    engine = bench.runtime.facts
    facts = Facts(bench.classes, bench.normalise, engine.precision, bench.recipe.model.mirror)
    if backbone is bench.backbone:
        facts = replace(facts, quantised=engine.quantised)
        return Model(facts, bench.pipeline, backbone, head, bench.runtime)
    return assemble(facts, bench.pipeline, backbone, head)


def _logits(bench: Bench, model: Model, rows: Any) -> Probabilities:
    """The model's own logits; from cached features where the backbone stayed frozen."""
    if model.runtime is not bench.runtime:
        return model.logits(bench.pixels.stack[rows])
    return model.from_features(
        benches.plain(bench)[rows], benches.mirror(bench)[rows] if model.facts.mirror else None
    )


def _calibrated(bench: Bench, model: Model, parts: Parts) -> tuple[Model, Probabilities]:
    """Temperature, thresholds and limits from the validation part, and what is said of it then.

    Without such a part all stays as it is: temperature 1, no threshold, no limit.
    """
    labels = bench.labels[parts.validation]
    if not len(labels):
        return model, np.zeros((0, len(bench.classes)))
    logits = _logits(bench, model, parts.validation)
    fitted = temperature.fit(labels, logits)
    model = replace(model, facts=replace(model.facts, temperature=fitted.value))
    p = model.calibrated(logits)
    points = {
        name: thresholds.choose(labels == i, p[:, i], SENSITIVITY).threshold
        for i, name in enumerate(bench.classes)
        if (labels == i).any()
    }
    possible = conformal.limits(labels, p, bench.classes)
    facts = replace(model.facts, thresholds=points, conformal=possible)
    return replace(model, facts=facts), p


def _predictions(
    bench: Bench, model: Model, logits: Probabilities, rows: Any, key: Key
) -> pd.DataFrame:
    about = bench.manifest.table.iloc[rows][["sample_id", "path", "patient_id", "source", "label"]]
    table = about.reset_index(drop=True).assign(cell=key.cell, fold=key.fold, seed=key.seed)
    table[columns(bench.classes)] = model.calibrated(logits)
    return table


def _provenance(bench: Bench, key: Key, loss: float, rows: dict[str, Any]) -> dict[str, Any]:
    table = bench.manifest.table
    return {
        "recipe": bench.recipe.name,
        "mode": bench.recipe.mode,
        "cell": key.cell,
        "seed": key.seed,
        "fold": key.fold,
        "validation_log_loss": round(loss, 6) if np.isfinite(loss) else None,
        "images": {part: len(found) for part, found in rows.items()},
        "classes": {
            name: int((bench.labels[rows["train"]] == i).sum())
            for i, name in enumerate(bench.classes)
        },
        "datasets": sorted(set(table["dataset"].dropna())),
        "sources": sorted(set(table["source"].dropna())),
    }
