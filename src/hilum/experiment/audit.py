"""Every audit of a finished run, or of a model on labelled images."""

import time
from dataclasses import replace
from pathlib import Path

import pandas as pd

from hilum import audits, files, report
from hilum.audits import Evidence
from hilum.experiment import (
    audit_outputs,
    audit_tasks,
    environment,
    evaluate,
    evidence,
    model_record,
    outputs,
    summary,
)
from hilum.experiment.audit_tasks import AuditedModel
from hilum.experiment.evidence import AuditedRun
from hilum.experiment.spread import executor_of_folds, spread_of
from hilum.files.executors import require_workers
from hilum.inference import model as models
from hilum.inference import model_json
from hilum.progress import Progress, StepName
from hilum.types import MANIFEST_COLUMNS, PREDICTION_COLUMNS, Finding, HilumError, Manifest, Results


def run_audit(
    folder: Path, data: Path | None, out: Path, progress: Progress, workers: int = 1
) -> Results:
    """Audit a run (`data`: where its images are now), or a model on labelled images (`data`).

    A run's model/ without `data` is taken as its run. Audits are shared out among `workers`
    processes. Writes results.json, findings.csv and
    report.html to `out`, and a run's new verdict to its `model.json`. Raises MissingError for a
    folder that is neither.
    """
    if data is None:
        folder = model_json.run_of(folder)
    with files.alone(out):
        require_workers(workers)
        return _audit(folder, data, out, progress, workers)


def _audit(folder: Path, data: Path | None, out: Path, progress: Progress, workers: int) -> Results:
    if (folder / "results.json").is_file() and model_json.find_model_folder(folder) != folder:
        results = _audit_run(folder, data, out, progress, workers)
    elif data is not None:
        spread = spread_of(workers, resume=False, ray="")
        results = evaluate.evaluate_into(folder, data, out, progress, thorough=True, spread=spread)
    else:
        results = _audit_model_alone(folder, out)
    outputs.write_findings(out, results.audits)
    return results


def _audit_run(
    folder: Path, data: Path | None, out: Path, progress: Progress, workers: int
) -> Results:
    started = time.monotonic()
    audited = evidence.read_audited_run(folder, data, progress)
    before = audited.record
    outputs.make_run_folder(out)
    findings = _findings(audited, model_json.find_model_folder(folder), progress, workers)
    if out.resolve() != folder.resolve():
        outputs.write_manifest(out, audited.manifest)
        outputs.write_predictions(out, audited.evidence.predictions)
    if audited.evidence.shared:  # an empty one has seen no image
        audit_outputs.write_audit_artefacts(out, audited.evidence)
    predictions = audited.evidence.all_predictions
    cells = set() if predictions is None else set(predictions["cell"])
    scores = audits.mark_scores(before.scores, findings, cells)
    selected_scores = [score for score in scores if score.cell == before.model["cell"]]
    results = replace(
        before,
        scores=scores,
        audits=findings,
        left_to_audit=audits.not_run(findings),
        verdict=audits.verdict(
            selected_scores,
            findings,
            audits.tested(audited.evidence.predictions, before.classes),
            audited.evidence.steps,
        ),
        data={**before.data, "left_out": summary.grouped(audited.manifest.left_out)},
        environment=environment.provenance(time.monotonic() - started),
    )
    if audited.evidence.stack is not None:  # without images the run's own verdict is better founded
        results = _record_verdict(model_json.find_model_folder(folder), results, findings)
    return _write_and_report(out, results)


def _findings(audited: AuditedRun, model: Path, progress: Progress, workers: int) -> list[Finding]:
    if audited.pixels is None:
        return audits.run_audits(audited.evidence, progress(StepName("audit", "audits")))
    where = AuditedModel(model, audited.pixels)
    with executor_of_folds(workers, "") as executor:
        return audit_tasks.run_audits(audited.evidence, where, executor, progress)


def _record_verdict(model: Path, results: Results, findings: list[Finding]) -> Results:
    """The verdict written to the model's folder; where that is refused, `limits` say so."""
    try:
        model_record.record_verdict(model, results.verdict, findings, "audit")
    except HilumError as error:
        note = f"The model's folder keeps its earlier verdict: {error}"
        return replace(results, limits=[*results.limits, note])
    return results


def _audit_model_alone(folder: Path, out: Path) -> Results:
    """Audits of a model's folder alone: without images none can be made, and each says so."""
    metadata = model_json.read_metadata(model_json.find_model_folder(folder))
    outputs.make_run_folder(out)
    empty = pd.DataFrame(columns=list(MANIFEST_COLUMNS))
    classes = [str(name) for name in metadata["classes"]]
    predictions = pd.DataFrame(columns=[*PREDICTION_COLUMNS, *models.probability_columns(classes)])
    findings = audits.run_audits(Evidence(classes, empty, predictions, thorough=True))
    results = Results(
        recipe=str(metadata["provenance"].get("recipe", "")),
        title="Audit of a model without images",
        mode="external",
        classes=classes,
        n=summary.counts(Manifest(empty), classes),
        scores=[],
        published=[],
        audits=findings,
        left_to_audit=audits.not_run(findings),
        verdict=audits.verdict([], findings),
        environment={},
        data=summary.data(Manifest(empty)),
        split={},
        model=summary.model(metadata),
        limits=[],
    )
    return _write_and_report(out, results)


def _write_and_report(out: Path, results: Results) -> Results:
    outputs.write_results(out, results)
    report.build_report(out)
    return results
