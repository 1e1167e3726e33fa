"""A finished model on labelled images that its training has not seen."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from hilum import audit, report
from hilum.audit import Evidence
from hilum.data import manifest as manifests
from hilum.data import pixels, readers
from hilum.data.pixels import Ingested
from hilum.evaluate import model as models
from hilum.evaluate import scores
from hilum.evaluate.model import Model, columns
from hilum.study import evidence, exhibits, machine, outputs, summary
from hilum.study.bench import Tell
from hilum.types import (
    Finding,
    HilumError,
    Leak,
    Manifest,
    Results,
    Split,
)


def evaluate(folder: Path, data: Path, out: Path, tell: Tell, thorough: bool = False) -> Results:
    """Test a model on labelled images and write the same files and report as a run.

    `thorough`: with the dear audits too, and on more images.

    Images that the model was fitted on are found by their hash and reported. Raises HilumError
    where no image has one of the model's classes.
    """
    started = time.monotonic()
    model = models.load(folder)
    found = _of_classes(readers.open_path(data), model.facts.classes)
    outputs.folder(out)
    taken = pixels.ingest(found, model.pipeline, tell("decode and prepare"))
    table = taken.manifest.table
    predictions = table[["sample_id", "path", "patient_id", "source", "label"]].assign(
        cell="external", fold=0, seed=0
    )
    logits = model.logits(taken.pixels.stack, tell("predict"))
    predictions[columns(model.facts.classes)] = model.calibrated(logits)
    about = _evidence(model, taken, predictions, thorough)
    about = evidence.with_model(about, model, taken.pixels, tell)
    findings = audit.run(about)
    results = _results(models.read_record(folder), taken.manifest, about, findings)
    spent = machine.provenance(time.monotonic() - started)
    results = replace(results, environment=spent)
    exhibits.write(out, about)
    outputs.write_external(out, taken.manifest, _all_test(table), predictions, results)
    report.build(out)
    return results


def _of_classes(found: Manifest, classes: list[str]) -> Manifest:
    known = found.table["label"].isin(classes)
    if not known.any():
        labels = ", ".join(sorted(set(found.table["label"].dropna().astype(str)))) or "no labels"
        raise HilumError(
            f"evaluate wants images of the model's classes ({', '.join(classes)}); got {labels}; "
            "rename the class folders."
        )
    return manifests.select(found, known, "label is not among the model's classes")


def _all_test(table: pd.DataFrame) -> Split:
    split = pd.DataFrame({"sample_id": table["sample_id"], "fold": 0, "part": "test"})
    return Split(split, "official", "image", 0, ("every image is a test image",))


def _evidence(model: Model, taken: Ingested, predictions: pd.DataFrame, thorough: bool) -> Evidence:
    table = taken.manifest.table
    return Evidence(
        model.facts.classes,
        table,
        predictions,
        _all_test(table),
        _seen(model, table),
        taken.facts,
        populations=summary.populations(),
        all_predictions=predictions,
        thorough=thorough,
    )


def _results(
    record: Mapping[str, Any], manifest: Manifest, about: Evidence, findings: list[Finding]
) -> Results:
    """All that is known, but for what the test has cost."""
    classes = about.classes
    judged = scores.score(about.predictions, classes, "external")
    judged = audit.stamped(judged, findings, ["external"])
    return Results(
        recipe=str(record["provenance"].get("recipe", "")),
        title="External test of a finished model",
        mode="external",
        classes=classes,
        n=summary.counts(manifest, classes),
        scores=judged,
        published=[],
        audits=findings,
        left_to_audit=audit.left(findings),
        verdict=audit.verdict(judged, findings),
        environment={},
        data=summary.data(manifest),
        split=summary.split({0: _all_test(manifest.table)}, about.leaks),
        model={**summary.model(record), "cell": "external"},
        limits=list(manifest.notes),
    )


def _seen(model: Model, table: pd.DataFrame) -> list[Leak]:
    """Test images whose bytes the model was fitted on."""
    again = table["sample_id"][table["sha256"].isin(model.facts.seen)]
    return [
        Leak("same bytes", 0, "an image of the model's training", "train", str(name), "test")
        for name in again
    ]
