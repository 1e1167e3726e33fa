"""A finished model on labelled images that its training has not seen."""

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from hilum import audits, datasets, files, report
from hilum.audits import Evidence
from hilum.data import manifest as manifests
from hilum.data import prepared_dataset
from hilum.experiment import (
    audit_outputs,
    audit_tasks,
    environment,
    evaluate_shards,
    evidence,
    new_films,
    outputs,
    summary,
)
from hilum.experiment.audit_tasks import AuditedModel
from hilum.experiment.evaluate_shards import SeenElsewhere
from hilum.experiment.new_films import Test
from hilum.experiment.spread import ALONE, Spread, executor_of_folds
from hilum.inference import cautions, exported, model_json, seen_before
from hilum.inference.model import TrainedModel
from hilum.inference.seen_before import Recognised
from hilum.inference.training_record import Films
from hilum.metrics import scores
from hilum.progress import Progress
from hilum.types import (
    Finding,
    HilumError,
    Manifest,
    Results,
    Score,
)


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
    spread: Spread = ALONE,
) -> Results:
    """Test a model on labelled images and write the same files and report as a run.

    `folder` is a model's, or that of a finished run. `thorough`: with the expensive audits too, on
    more images. `read` makes the manifest of `data`. `spread` shares decoding and network out among
    processes, and can go on after a kill: the same bytes. Images that the model was built on, near
    duplicates of them and images of its patients are set aside: scores are of the others, and where
    none is left there are none. What the folder does not record is reported as unchecked. Raises
    HilumError where no image has one of the model's classes, or where another run writes to `out`.
    """
    with files.alone(out):
        return evaluate_into(folder, data, out, progress, thorough, read, spread)


def evaluate_into(
    folder: Path,
    data: Path,
    out: Path,
    progress: Progress,
    thorough: bool = False,
    read: Callable[[Path], Manifest] = open_any,
    spread: Spread = ALONE,
) -> Results:
    """The same for who holds `out` already."""
    started = time.monotonic()
    spread.check()
    folder = model_json.find_model_folder(folder)
    model = exported.load(folder)
    manifest = select_classes(read(data), model.facts.classes)
    outputs.test_folder(out)
    with (
        evaluate_shards.seen_elsewhere(folder, model, manifest, out, spread, progress)
        if spread.in_parts
        else nullcontext()
    ) as seen:
        test = _tested(model, manifest, seen, progress)
        audit_evidence = _evidence(model, test, thorough)
        if len(audit_evidence.manifest):
            pixels = test.dataset.pixels
            audit_evidence = evidence.with_model(audit_evidence, model, pixels, progress)
        audited = AuditedModel(folder, test.dataset.pixels)
        findings = _findings(audit_evidence, audited, spread.workers, progress)
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


def _findings(
    audit_evidence: Evidence, audited: AuditedModel, workers: int, progress: Progress
) -> list[Finding]:
    """Slow audits are shared out like shards; the others take less time than a process to begin."""
    with executor_of_folds(workers if audit_evidence.thorough else 1, "") as executor:
        return audit_tasks.run_audits(audit_evidence, audited, executor, progress)


def _tested(
    model: TrainedModel, manifest: Manifest, seen: SeenElsewhere | None, progress: Progress
) -> Test:
    """The images that are new to a model, and its answers; `seen` has done what takes long."""
    dataset_read = prepared_dataset.prepare_dataset(
        manifest, model.pipeline, progress("decode and prepare"), elsewhere=seen
    )
    films = Films.listed(dataset_read.manifest.table, dataset_read.fingerprints)
    recognised = seen_before.compare_with_record(model.built_on, model.facts.seen, films)
    see = None if seen is None else seen.features
    return new_films.find_new(dataset_read, model, recognised, progress, see)


def select_classes(manifest: Manifest, classes: list[str]) -> Manifest:
    selected = manifest.table["label"].isin(classes)
    if not selected.any():
        labels = ", ".join(sorted(set(manifest.table["label"].dropna().astype(str)))) or "no labels"
        raise HilumError(
            f"some images must be of the model's classes ({', '.join(classes)}); got {labels}; "
            "rename the class folders."
        )
    return manifests.select(manifest, selected, "label is not among the model's classes")


def _evidence(model: TrainedModel, test: Test, thorough: bool) -> Evidence:
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
        recognised=test.recognised,
        thorough=thorough,
    )


def _results(
    record: Mapping[str, Any], test: Test, audit_evidence: Evidence, findings: list[Finding]
) -> Results:
    """All that is known, but for what the test has cost."""
    classes, recognised = audit_evidence.classes, audit_evidence.recognised
    assert recognised is not None  # noqa: S101 - every external test has compared its images
    rows = (
        scores.score(audit_evidence.predictions, classes, new_films.CELL)
        if len(audit_evidence.manifest)
        else []
    )
    rows = audits.mark_scores(rows, findings, [new_films.CELL])
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
            "cell": new_films.CELL,
            "verdict": cautions.verdict_line(record.get("judged", {})),
        },
        limits=[
            *new_films.say_sources(test.sources),
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
