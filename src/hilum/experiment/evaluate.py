"""A finished model on labelled images that its training has not seen."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hilum import audits, datasets, files, report
from hilum.audits import Evidence
from hilum.data import manifest as manifests
from hilum.data import prepared_dataset
from hilum.data.fingerprints import take
from hilum.data.prepared_dataset import PreparedDataset
from hilum.experiment import audit_outputs, environment, evidence, given_split, outputs, summary
from hilum.inference import answer, cautions, exported, model_json, new_source, seen_before
from hilum.inference.model import TrainedModel, probability_columns
from hilum.inference.new_source import NewSource
from hilum.inference.seen_before import Recognised
from hilum.inference.training_record import Films
from hilum.metrics import scores
from hilum.progress import Progress
from hilum.types import (
    Finding,
    Floats,
    HilumError,
    Leak,
    LeftOut,
    Manifest,
    Pixels,
    Results,
    Score,
    Split,
)

CELL = "external"
SET_ASIDE = {
    "same file": "the model was built on this very file: no test of it",
    "near duplicate": "a near duplicate of an image that the model was built on: no test of it",
    "same patient": "of a patient that the model was built on: no test of it",
}


def open_any(data: Path) -> Manifest:
    """Labelled images, of one class or several: one alone has a sensitivity, if no AUROC."""
    return datasets.open_path(data, options=datasets.TreeOptions(fewest=1))


def evaluate_model(
    folder: Path,
    data: Path,
    out: Path,
    progress: Progress,
    thorough: bool = False,
    read: Callable[[Path], Manifest] = open_any,
) -> Results:
    """Test a model on labelled images and write the same files and report as a run.

    `folder` is a model's, or that of a finished run. `thorough`: with the expensive audits too, on
    more images. `read` makes the manifest of `data`. Images that the model was built on, near
    duplicates of them and images of its patients are set aside: scores are of the others, and where
    none is left there are none. What the folder does not record is reported as unchecked. Raises
    HilumError where no image has one of the model's classes, or where another run writes to `out`.
    """
    with files.alone(out):
        return evaluate_into(folder, data, out, progress, thorough, read)


def evaluate_into(
    folder: Path,
    data: Path,
    out: Path,
    progress: Progress,
    thorough: bool = False,
    read: Callable[[Path], Manifest] = open_any,
) -> Results:
    """The same for who holds `out` already."""
    started = time.monotonic()
    folder = model_json.find_model_folder(folder)
    model = exported.load(folder)
    manifest = select_classes(read(data), model.facts.classes)
    outputs.test_folder(out)
    dataset_read = prepared_dataset.prepare_dataset(
        manifest, model.pipeline, progress("decode and prepare")
    )
    films = Films.listed(dataset_read.manifest.table, dataset_read.fingerprints)
    recognised = seen_before.compare_with_record(model.built_on, model.facts.seen, films)
    test = _test(dataset_read, model, recognised, progress)
    audit_evidence = _evidence(model, test, recognised, thorough)
    if len(audit_evidence.manifest):
        audit_evidence = evidence.with_model(audit_evidence, model, test.dataset.pixels, progress)
    findings = audits.run_audits(audit_evidence)
    results = _results(model_json.read_metadata(folder), test, audit_evidence, findings)
    results = replace(
        results,
        environment=environment.provenance(time.monotonic() - started),
        limits=[*results.limits, *cautions.unfinished(folder)],
    )
    audit_outputs.write_audit_artefacts(out, audit_evidence)
    outputs.write_external(out, test.manifest, test.split, test.predictions, results)
    report.build_report(out)
    return results


@dataclass(frozen=True, slots=True)
class Test:
    """The images that are new to a model, and its answers; what was set aside is `left_out`."""

    dataset: PreparedDataset
    predictions: pd.DataFrame
    leaks: list[Leak]
    sources: dict[str, NewSource]  # of the images, "" of all together -> whether it is new

    @property
    def manifest(self) -> Manifest:
        """The new images."""
        return self.dataset.manifest

    @property
    def split(self) -> Split:
        """Every image in the test part."""
        table = self.manifest.table
        split = pd.DataFrame({"sample_id": table["sample_id"], "fold": 0, "part": "test"})
        note = "every image that is new to the model is a test image"
        return Split(split, "official", "image", 0, (*given_split.unused(table, note), note))


def _test(
    dataset_read: PreparedDataset, model: TrainedModel, recognised: Recognised, progress: Progress
) -> Test:
    """Predictions for the images that are new to the model."""
    dataset = _new_images(dataset_read, model, recognised, progress)
    table, names = dataset.manifest.table, probability_columns(model.facts.classes)
    predictions = table[["sample_id", "path", "patient_id", "source", "label"]].assign(
        cell=CELL, fold=0, seed=0
    )
    sources: dict[str, NewSource] = {}
    if len(table):
        plain, mirror = model.features(dataset.pixels.stack, progress("predict"))
        predictions[names] = model.calibrated(model.from_features(plain, mirror))
        sources = _judge_sources(model, table, plain)
        predictions["new_source"] = [
            sources.get(name, sources[""]).state for name in _names_of_sources(table)
        ]
    else:
        predictions = predictions.reindex(columns=[*predictions.columns, *names, "new_source"])
    return Test(dataset, predictions, _leaks(recognised, dataset_read.manifest.table), sources)


def _judge_sources(
    model: TrainedModel, table: pd.DataFrame, features: Floats
) -> dict[str, NewSource]:
    """Whether each source of the images, and "" all together, is new; features (image, feature)."""
    points = answer.source_points(model, features, np.zeros(len(table), bool))
    patients = table["patient_id"].astype(object).where(table["patient_id"].notna(), None)
    names = np.array(_names_of_sources(table))
    rows = {name: np.flatnonzero(names == name) for name in sorted(set(names.tolist()))}
    if len(rows) == 1:
        rows = {}
    return {
        name: new_source.judge(model.sources, points[at], patients.iloc[at].tolist())
        for name, at in {"": np.arange(len(table)), **rows}.items()
    }


def _names_of_sources(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table["source"].fillna("unknown source")]


def _say_sources(sources: Mapping[str, NewSource]) -> list[str]:
    """A sentence for each source that is new, or the one about why nobody knows."""
    whole = sources.get("")
    if whole is None or whole.state == "not checked":
        return [whole.finding()] if whole else []
    parts = {name: judged for name, judged in sources.items() if name} or {"": whole}
    said = (
        judged.finding(f"The images of {name}" if name else "These images")
        for name, judged in parts.items()
    )
    return [sentence for sentence in said if sentence]


def _new_images(
    dataset_read: PreparedDataset, model: TrainedModel, recognised: Recognised, progress: Progress
) -> PreparedDataset:
    """The images that are no file, near duplicate or patient of the model's own."""
    if not recognised.met.any():
        return dataset_read
    table = dataset_read.manifest.table
    set_aside = [
        LeftOut(str(path), SET_ASIDE[kind])
        for path, kind in zip(table["path"], recognised.kinds, strict=True)
        if kind
    ]
    new = table[~recognised.met].reset_index(drop=True)
    left_out = (*dataset_read.manifest.left_out, *set_aside)
    manifest = replace(dataset_read.manifest, table=new, left_out=left_out)
    if len(new):
        return prepared_dataset.prepare_dataset(
            manifest, model.pipeline, progress("prepare those that are new")
        )
    none = Pixels(dataset_read.pixels.stack[:0], (), dataset_read.pixels.digest)
    no_prints = take(dataset_read.fingerprints, ())
    return replace(
        dataset_read,
        pixels=none,
        fingerprints=no_prints,
        manifest=manifest,
        facts=dataset_read.facts.iloc[:0],
    )


def select_classes(manifest: Manifest, classes: list[str]) -> Manifest:
    selected = manifest.table["label"].isin(classes)
    if not selected.any():
        labels = ", ".join(sorted(set(manifest.table["label"].dropna().astype(str)))) or "no labels"
        raise HilumError(
            f"some images must be of the model's classes ({', '.join(classes)}); got {labels}; "
            "rename the class folders."
        )
    return manifests.select(manifest, selected, "label is not among the model's classes")


def _evidence(model: TrainedModel, test: Test, recognised: Recognised, thorough: bool) -> Evidence:
    return Evidence(
        model.facts.classes,
        test.manifest.table,
        test.predictions,
        test.split,
        test.leaks,
        test.dataset.facts,
        test.dataset.fingerprints,
        populations=summary.populations(),
        all_predictions=test.predictions,
        recognised=recognised,
        thorough=thorough,
    )


def _results(
    record: Mapping[str, Any], test: Test, audit_evidence: Evidence, findings: list[Finding]
) -> Results:
    """All that is known, but for what the test has cost."""
    classes, recognised = audit_evidence.classes, audit_evidence.recognised
    assert recognised is not None  # noqa: S101 - every external test has compared its images
    rows = (
        scores.score(audit_evidence.predictions, classes, CELL)
        if len(audit_evidence.manifest)
        else []
    )
    rows = audits.mark_scores(rows, findings, [CELL])
    return Results(
        recipe=str(record["provenance"].get("recipe", "")),
        title="External test of a finished model",
        mode="external",
        classes=classes,
        n=summary.counts(test.manifest, classes),
        scores=rows,
        published=[],
        audits=findings,
        left_to_audit=audits.not_run(findings),
        verdict=_verdict(rows, findings, recognised, audit_evidence),
        environment={},
        data={
            **summary.data(test.manifest),
            "new_source": {name: judged.as_json() for name, judged in test.sources.items()},
        },
        split={
            **summary.split({0: test.split}, audit_evidence.leaks),
            "checked": _checked(recognised),
        },
        model={
            **summary.model(record),
            "cell": CELL,
            "verdict": cautions.verdict_line(record.get("judged", {})),
        },
        limits=[
            *_say_sources(test.sources),
            *_one_class(test),
            *test.manifest.notes,
            *recognised.unchecked(),
        ],
    )


def _one_class(test: Test) -> list[str]:
    """What scores cannot say where all images are of one class."""
    labels = test.predictions["label"].unique()
    if len(labels) != 1:
        return []
    return [
        f"All test images are of {labels[0]}. AUROC and specificity for it are "
        "undefined, and its precision and AUPRC say nothing about the model. Add "
        "images of another class."
    ]


def _verdict(
    rows: list[Score], findings: list[Finding], recognised: Recognised, evidence: Evidence
) -> str:
    """Images that do not test the model come first; leak audits, which repeat it, are left out.

    Their failures are of images that no score counts.
    """
    first, steps = met_again(recognised), evidence.steps
    tested = audits.tested(evidence.predictions, evidence.classes)
    if not first:
        return audits.verdict(rows, findings, tested, steps)
    if recognised.met.all():
        return first
    others = [one for one in findings if not _is_leak_failure(one)]
    return f"{first} {audits.verdict(rows, others, tested, steps)}"


def _is_leak_failure(finding: Finding) -> bool:
    return audits.AUDITS[finding.id].rule.leakage and finding.status == "fail"


def met_again(recognised: Recognised) -> str:
    """How many images do not test the model, and how many are scored; "" where all are."""
    met, total = int(recognised.met.sum()), len(recognised.met)
    if not met:
        return ""
    if met == total:
        return (
            f"None of the {total:,} images tests this model ({recognised.of_what()}), "
            "so no score is given. Test it on images of other patients."
        )
    return (
        f"{met:,} of {total:,} images {'is' if met == 1 else 'are'} no test of this "
        f"model ({recognised.of_what()}). The scores are of the other {total - met:,}."
    )


def _checked(recognised: Recognised) -> dict[str, Any]:
    """What was compared with what the model was built on, and how much was met again."""
    return {
        "files": recognised.files_state,
        "near_duplicates": recognised.films_state,
        "patients": recognised.patients_state,
        "met_again": int(recognised.met.sum()),
        "same_file": int(recognised.files.sum()),
        "near_duplicate": int(((recognised.near >= 0) & ~recognised.files).sum()),
        "same_patient": int(recognised.patients.sum()),
        "of": len(recognised.met),
        "sentence": met_again(recognised),
        "not_checked": recognised.unchecked(),
    }


def _leaks(recognised: Recognised, table: pd.DataFrame) -> list[Leak]:
    """Images and patients that the model was built on, once each as image and as patient."""
    image, patient = "an image that the model was built on", "a patient that it was built on"
    leaks: list[Leak] = []
    for row, name in enumerate(table["sample_id"].astype(str)):
        near = int(recognised.near[row])
        if recognised.files[row]:
            leaks.append(Leak("same bytes", 0, image, "train", name, "test"))
        elif near >= 0:
            leaks.append(Leak("near duplicate", 0, image, "train", name, "test", float(near)))
        if recognised.patients[row]:
            leaks.append(Leak("same patient", 0, patient, "train", name, "test"))
    return leaks
