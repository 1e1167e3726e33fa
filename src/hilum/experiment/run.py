"""The whole pipeline on one page: one call per arrow."""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd

from hilum import audits, report
from hilum.audits import Evidence
from hilum.data import prepared_dataset
from hilum.experiment import (
    audit_outputs,
    checkpoints,
    dataset,
    dependencies,
    environment,
    evidence,
    external_tests,
    fit_ood,
    grid,
    heatmaps_by_model,
    model_record,
    outputs,
    published,
    replication,
    select,
    source_task,
    summary,
    validate,
)
from hilum.experiment import splits as divide
from hilum.experiment.cell_context import Tell
from hilum.experiment.context import RunContext, preprocessing_of
from hilum.experiment.grid import GridResult
from hilum.experiment.select import SelectedCell
from hilum.experiment.validate import Known
from hilum.inference import model as models
from hilum.inference import model_json
from hilum.metrics import scores
from hilum.recipes import Recipe
from hilum.types import PREDICTION_COLUMNS, Finding, Leak, Published, Results, Score


def run_task(
    plan: Recipe,
    root: Path | None,
    out: Path,
    tell: Tell,
    resume: bool = False,
    beside: Path | None = None,
) -> Results:
    """Carry out one question of a recipe and write every file of `out`.

    `root` holds datasets as published; a task has the main question's manifest `beside` it. With
    `resume` finished folds, and a finished run, are taken as they are. Raises ChangedError where
    they stand on other images, labels, weights or versions, HilumError for what the user can
    mend and MissingError for data or weights that are not here.
    """
    started = time.monotonic()
    if resume:
        checkpoints.require_recipe(out, plan)
    ground = _ground(plan, root, out, tell, beside)
    if (found := _begun(ground, plan, resume)) is not None:
        return found
    leaks = divide.check_leakage(
        ground.first, ground.taken.manifest, ground.taken.fingerprints, plan.mode
    )
    leaks += divide.copied(ground.first, plan)
    before = _images(ground, leaks)
    early = audits.run_before_training(before, tell("audit the images"))
    grown = grid.run_grid(ground)
    taken, limits = fit_ood.fit_ood_detector(
        ground, model_record.close(ground, select.select_cell(ground, grown))
    )
    leaks = [*leaks, *(taken.learnt.shared if taken.learnt else [])]
    second = external_tests.test_on_later_films(ground, grown)
    heatmaps_by_model.write_heatmaps_by_model(ground, grown, taken)
    move = tell("score, audit, report")
    judged = _scores(grown, ground.classes, second)
    told = published.beside(
        plan.published, judged, taken.cell, grown.predictions, taken.model.facts.provenance["seed"]
    )
    move(1, 3)
    about = _evidence(ground, grown, taken, replace(before, leaks=leaks, published=told))
    findings = audits.run(about, known=early)
    judged = audits.mark_scores(judged, findings, set(grown.predictions["cell"]))
    results = _results(ground, grown, taken, (judged, told), findings)
    results = replace(
        results,
        split=summary.split(ground.splits, leaks),
        data={**results.data, **({"later": second.about} if second else {})},
        limits=[*results.limits, *limits, *(second.told if second else ())],
        environment=environment.provenance(time.monotonic() - started),
    )
    move(2, 3)
    model_record.judge(out / "model", results.verdict, findings, "run")
    audit_outputs.write_audit_artefacts(out, about)
    outputs.write_later(out, second.predictions if second else None)
    outputs.write(out, plan, ground.taken.manifest, ground.splits, grown, results)
    report.build(out)
    checkpoints.finish(ground.work)
    move(3, 3)
    return results


def _begun(ground: RunContext, plan: Recipe, resume: bool) -> Results | None:
    """The results of a run that is finished already; otherwise room is made for folds."""
    now = dependencies.of(ground)
    found = checkpoints.finished(ground.out, plan, now) if resume else None
    if found is None:
        checkpoints.begin(ground.out, plan, now, resume)
    return found


def _ground(
    plan: Recipe, root: Path | None, out: Path, tell: Tell, beside: Path | None
) -> RunContext:
    """Images found, read and divided; what cannot be run is refused as early as it can be known."""
    refused = validate.check_recipe(plan)
    outputs.make_run_folder(out)
    found = dataset.load_manifest(plan, root, out, tell)
    classes = dataset.classes_of(plan, found)
    refused = validate.check_manifest(plan, Known(found, classes, (root, out)), refused)
    taken = prepared_dataset.prepare_dataset(
        found, preprocessing_of(plan), tell("decode and prepare")
    )
    splits = {
        seed: divide.make_split(plan.split, taken.manifest, taken.fingerprints, seed)
        for seed in plan.seeds
    }
    known = Known(taken.manifest, classes, (root, out), splits)
    refused = validate.check_splits(plan, known, refused)
    plan = divide.resolved(plan, taken.manifest, splits)
    return RunContext(
        plan, classes, taken, splits, root, out, out / model_json.WORK, tell, refused, beside
    )


def _scores(
    grown: GridResult, classes: list[str], second: external_tests.ExternalTest | None
) -> list[Score]:
    """Every score of every cell, and of source tasks and second test under names of their own."""
    names = grown.predictions["cell"].unique()
    found = [s for name in names for s in scores.score(grown.predictions, classes, str(name))]
    for cell, learnt in grown.sources.items():
        mine = scores.score(learnt.predictions, learnt.classes, source_task.CELL)
        found += [replace(score, cell=f"{cell}: {source_task.CELL}") for score in mine]
    return [*found, *(second.scores(classes) if second else ())]


def _images(ground: RunContext, leaks: list[Leak]) -> Evidence:
    """What is known before anything is trained."""
    return Evidence(
        ground.classes,
        ground.taken.manifest.table,
        pd.DataFrame(columns=list(PREDICTION_COLUMNS)),
        ground.first,
        leaks,
        ground.taken.facts,
        ground.taken.fingerprints,
        ground.taken.pixels.stack,
        summary.populations(),
        ground.first.seed,
    )


def _evidence(
    ground: RunContext, grown: GridResult, taken: SelectedCell, before: Evidence
) -> Evidence:
    """The same with the chosen cell's model and every cell's predictions."""
    every = grown.predictions
    mine = every[every["cell"] == taken.cell]
    about = replace(before, predictions=mine, all_predictions=every)
    return evidence.with_model(about, taken.model, taken.pixels, ground.tell)


def _results(
    ground: RunContext,
    grown: GridResult,
    taken: SelectedCell,
    figures: tuple[list[Score], list[Published]],
    findings: list[Finding],
) -> Results:
    """All that is known, but for how the images were divided and what the run has cost."""
    plan, manifest = ground.plan, ground.taken.manifest
    judged, told = figures
    mine = [score for score in judged if score.cell == taken.cell]
    tests = grown.predictions[grown.predictions["cell"] == taken.cell]
    return Results(
        recipe=plan.name,
        title=plan.title,
        mode=plan.mode,
        classes=ground.classes,
        n=summary.counts(manifest, ground.classes),
        scores=judged,
        published=told,
        audits=findings,
        left_to_audit=audits.not_run(findings),
        verdict=audits.verdict(mine, findings, audits.tested(tests, ground.classes)),
        environment={},
        data=summary.data(manifest),
        split={},
        model=_model(ground, grown, taken),
        limits=summary.limits(plan, manifest),
        replication=replication.sentence(plan),
        departures=replication.rows(plan),
    )


def _model(ground: RunContext, grown: GridResult, taken: SelectedCell) -> dict[str, Any]:
    record = models.read_metadata(ground.out / "model")
    classes = summary.counts(ground.taken.manifest, ground.classes)["classes"]
    near = taken.learnt is not None
    return {
        **summary.model(record),
        "freezing_advice": summary.advice(classes, record["backbone"]["origin"], near),
        "layers": summary.layers(taken.plan, taken.model),
        "images_seen": summary.images_seen(grown.history, record["provenance"]),
        "failed": [asdict(item) for item in grown.failed],
        "lineage": source_task.lineage(taken.learnt) if taken.learnt else "no source task",
    }
