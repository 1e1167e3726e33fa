"""The whole pipeline on one page: one call per arrow.

find -> read -> split -> check leaks -> train folds -> select -> external test -> heat maps -> score
-> audit -> report
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from hilum import audits, report
from hilum.data import prepared_dataset
from hilum.data.prepared_dataset import PreparedDataset
from hilum.experiment import (
    audit_outputs,
    audit_tasks,
    checkpoints,
    dataset,
    dependencies,
    environment,
    external_tests,
    fit_ood,
    grid,
    heatmaps_by_model,
    model_record,
    outputs,
    run_results,
    select,
    splits,
    validate,
)
from hilum.experiment.audit_tasks import AuditedModel
from hilum.experiment.context import RunContext, preprocessing_of
from hilum.experiment.data_checks import ListedData
from hilum.experiment.run_results import TestedRun
from hilum.files import blas
from hilum.files.executors import Executor, SerialExecutor
from hilum.inference import model_json
from hilum.progress import Progress, StepName
from hilum.recipes import Recipe
from hilum.types import HilumError, Leak, Manifest, Results


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run is carried out; none of it changes a figure."""

    resume: bool = False  # finished folds, and a finished run, are taken as they are
    main_manifest: Path | None = None  # of a task: the main question's manifest
    executor: Executor = field(default_factory=SerialExecutor)  # of folds
    replicas_by_ray: bool = False  # whether parts of batches are trained by Ray's workers
    report: bool = True  # False where the caller builds it later, with more in it
    listed: Callable[[], object] = lambda: None  # called when there are images to run on


def run_task(
    recipe: Recipe, root: Path | None, out: Path, progress: Progress, options: RunOptions
) -> Results:
    """Carry out one question of a recipe and write every file of `out`.

    `root` holds datasets as published. Raises ChangedError where finished folds used other
    images, labels, weights or versions, HilumError for what the user can correct and MissingError
    for data or weights that are not here.
    """
    started = time.monotonic()
    blas.take_buffers()
    if options.resume:
        checkpoints.require_recipe(out, recipe)
    listed = _find(recipe, root, out, progress)
    options.listed()
    prepared = prepared_dataset.prepare_dataset(
        listed.manifest, preprocessing_of(recipe), progress("decode and prepare")
    )
    run = _split(recipe, listed, prepared, (root, out), options, progress)
    if (finished := _load_finished_or_begin(run, recipe, options.resume)) is not None:
        return finished
    leaks = _find_leaks(run, recipe)
    images = run_results.evidence_of_images(run, leaks)
    early = audits.run_before_training(images, progress(StepName("audit the images", "audits")))
    grid_result = grid.run_grid(run)
    selected = model_record.record_training_films(run, select.select_cell(run, grid_result))
    selected, limits = fit_ood.fit_gates(run, selected)
    external = external_tests.test_on_later_films(run, grid_result)
    heatmaps_by_model.write_heatmaps_by_model(run, grid_result, selected)
    advance = progress(StepName("score, audit, report", "steps"))
    advance(0, 3)
    tested = TestedRun(run, grid_result, selected, external)
    scored = run_results.score_run(tested)
    advance(1, 3)
    evidence = run_results.evidence_of_model(tested, images, scored)
    audited = AuditedModel(out / "model", selected.pixels)
    findings = audit_tasks.run_audits(evidence, audited, run.executor, progress, early)
    results = run_results.collect(tested, scored, evidence, findings, limits)
    results = replace(results, environment=environment.provenance(time.monotonic() - started))
    advance(2, 3)
    model_record.record_verdict(out / "model", results.verdict, findings, "run")
    audit_outputs.write_audit_artefacts(out, evidence)
    outputs.write_later(out, external.predictions if external else None)
    outputs.write_run(out, recipe, run.dataset.manifest, run.splits, grid_result, results)
    if options.report:
        report.build_report(out)
    checkpoints.finish(run.work)
    advance(3, 3)
    return results


@dataclass(frozen=True, slots=True)
class ListedImages:
    """Images that are listed and not read yet, and the cells that cannot be run with them."""

    manifest: Manifest
    classes: list[str]
    refused: dict[str, HilumError]


def _find(recipe: Recipe, root: Path | None, out: Path, progress: Progress) -> ListedImages:
    """List the images; what cannot run is refused before the listing where that is possible."""
    refused = validate.check_recipe(recipe)
    outputs.make_run_folder(out)
    manifest = dataset.load_manifest(recipe, root, out, progress)
    classes = dataset.classes_of(recipe, manifest)
    refused = validate.check_manifest(recipe, ListedData(manifest, classes, (root, out)), refused)
    return ListedImages(manifest, classes, refused)


def _split(
    recipe: Recipe,
    listed: ListedImages,
    prepared: PreparedDataset,
    where: tuple[Path | None, Path],
    options: RunOptions,
    progress: Progress,
) -> RunContext:
    """One split for each seed; "auto" in the recipe is resolved."""
    by_seed = {
        seed: splits.make_split(recipe.split, prepared.manifest, prepared.fingerprints, seed)
        for seed in recipe.seeds
    }
    data = ListedData(prepared.manifest, listed.classes, where, by_seed)
    refused = validate.check_splits(recipe, data, listed.refused)
    resolved = splits.resolve_recipe(recipe, prepared.manifest, by_seed)
    root, out = where
    return RunContext(
        resolved, listed.classes, prepared, by_seed, root, out, out / model_json.WORK, progress,
        refused, options.main_manifest, options.executor, options.replicas_by_ray,
    )  # fmt: skip


def _load_finished_or_begin(run: RunContext, recipe: Recipe, resume: bool) -> Results | None:
    """The results of a run that is finished already; otherwise a folder for folds is set up."""
    now = dependencies.run_dependencies(run)
    results = checkpoints.finished(run.out, recipe, now) if resume else None
    if results is None:
        checkpoints.begin_run(run.out, recipe, now, resume)
    return results


def _find_leaks(run: RunContext, recipe: Recipe) -> list[Leak]:
    prints = run.dataset.fingerprints
    leaks = splits.check_leakage(run.first, run.dataset.manifest, prints, recipe.mode)
    return [*leaks, *splits.leaks_of_copies(run.first, recipe)]
