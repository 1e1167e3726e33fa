"""The whole pipeline on one page: one call per arrow."""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd

from hilum import audit, report
from hilum.audit import Evidence
from hilum.data import pixels
from hilum.evaluate import model as models
from hilum.evaluate import scores
from hilum.recipe import Recipe
from hilum.study import (
    cells,
    checks,
    chosen,
    dependence,
    divide,
    evidence,
    exhibits,
    gates,
    gather,
    int8,
    later,
    looks,
    machine,
    memory,
    outputs,
    published,
    replication,
    source,
    store,
    summary,
)
from hilum.study.bench import Tell
from hilum.study.cells import Grown
from hilum.study.checks import Known
from hilum.study.chosen import Chosen
from hilum.study.ground import Ground, preparation
from hilum.types import PREDICTION_COLUMNS, Finding, Leak, Published, Results, Score


def run(
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
        store.require_recipe(out, plan)
    ground = _ground(plan, root, out, tell, beside)
    if (found := _begun(ground, plan, resume)) is not None:
        return found
    leaks = divide.check(ground.first, ground.taken.manifest, ground.taken.fingerprints, plan.mode)
    leaks += divide.copied(ground.first, plan)
    before = _images(ground, leaks)
    early = audit.early(before, tell("audit the images"))
    grown = cells.grow(ground)
    taken, limits = gates.close(ground, memory.close(ground, chosen.take(ground, grown)))
    leaks = [*leaks, *(taken.learnt.shared if taken.learnt else [])]
    second = later.test(ground, grown)
    looks.write(ground, grown, taken)
    move = tell("score, audit, report")
    judged = _scores(grown, ground.classes, second)
    told = published.beside(
        plan.published, judged, taken.cell, grown.predictions, taken.model.facts.provenance["seed"]
    )
    move(1, 3)
    about = _evidence(ground, grown, taken, replace(before, leaks=leaks, published=told))
    findings = audit.run(about, known=early)
    judged = audit.stamped(judged, findings, set(grown.predictions["cell"]))
    results = _results(ground, grown, taken, (judged, told), findings)
    results = replace(
        results,
        split=summary.split(ground.splits, leaks),
        data={**results.data, **({"later": second.about} if second else {})},
        limits=[*results.limits, *limits, *(second.told if second else ())],
        environment=machine.provenance(time.monotonic() - started),
    )
    move(2, 3)
    memory.judge(out / "model", results.verdict, findings, "run")
    exhibits.write(out, about)
    outputs.write_later(out, second.predictions if second else None)
    outputs.write(out, plan, ground.taken.manifest, ground.splits, grown, results)
    report.build(out)
    store.finish(ground.work)
    move(3, 3)
    return results


def _begun(ground: Ground, plan: Recipe, resume: bool) -> Results | None:
    """The results of a run that is finished already; otherwise room is made for folds."""
    now = dependence.of(ground)
    found = store.finished(ground.out, plan, now) if resume else None
    if found is None:
        store.begin(ground.out, plan, now, resume)
    return found


def _ground(plan: Recipe, root: Path | None, out: Path, tell: Tell, beside: Path | None) -> Ground:
    """Images found, read and divided; what cannot be run is refused as early as it can be known."""
    refused = checks.alone(plan)
    outputs.folder(out)
    found = gather.gather(plan, root, out, tell)
    classes = gather.classes_of(plan, found)
    refused = checks.listed(plan, Known(found, classes, (root, out)), refused)
    taken = pixels.ingest(found, preparation(plan), tell("decode and prepare"))
    splits = {
        seed: divide.divide(plan.split, taken.manifest, taken.fingerprints, seed)
        for seed in plan.seeds
    }
    known = Known(taken.manifest, classes, (root, out), splits)
    refused = checks.divided(plan, known, refused)
    plan = divide.resolved(plan, taken.manifest, splits)
    return Ground(plan, classes, taken, splits, root, out, out / store.WORK, tell, refused, beside)


def _scores(grown: Grown, classes: list[str], second: later.Later | None) -> list[Score]:
    """Every score of every cell, and of source tasks and second test under names of their own."""
    names = grown.predictions["cell"].unique()
    found = [s for name in names for s in scores.score(grown.predictions, classes, str(name))]
    for cell, learnt in grown.sources.items():
        mine = scores.score(learnt.predictions, learnt.classes, source.CELL)
        found += [replace(score, cell=f"{cell}: {source.CELL}") for score in mine]
    return [*found, *(second.scores(classes) if second else ())]


def _images(ground: Ground, leaks: list[Leak]) -> Evidence:
    """What is known before anything is trained."""
    return Evidence(
        ground.classes,
        ground.taken.manifest.table,
        pd.DataFrame(columns=list(PREDICTION_COLUMNS)),
        ground.first,
        leaks,
        ground.taken.facts,
        ground.taken.pixels.stack,
        summary.populations(),
        ground.first.seed,
    )


def _evidence(ground: Ground, grown: Grown, taken: Chosen, before: Evidence) -> Evidence:
    """The same with the chosen cell's model and every cell's predictions."""
    every = grown.predictions
    mine = every[every["cell"] == taken.cell]
    about = replace(before, predictions=mine, all_predictions=every)
    return evidence.with_model(about, taken.model, taken.pixels, ground.tell)


def _results(
    ground: Ground,
    grown: Grown,
    taken: Chosen,
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
        left_to_audit=audit.left(findings),
        verdict=audit.verdict(mine, findings, audit.tested(tests, ground.classes)),
        environment={},
        data=summary.data(manifest),
        split={},
        model=_model(ground, grown, taken),
        limits=summary.limits(plan, manifest),
        replication=replication.sentence(plan),
        departures=replication.rows(plan),
    )


def _model(ground: Ground, grown: Grown, taken: Chosen) -> dict[str, Any]:
    record = models.read_record(ground.out / "model")
    classes = summary.counts(ground.taken.manifest, ground.classes)["classes"]
    near = taken.learnt is not None
    return {
        **summary.model(record),
        "freezing_advice": summary.advice(classes, record["backbone"]["origin"], near),
        "layers": summary.layers(taken.plan, taken.model),
        "images_seen": summary.images_seen(grown.history, record["provenance"]),
        "failed": [asdict(item) for item in grown.failed],
        "lineage": source.lineage(taken.learnt) if taken.learnt else "no source task",
        **int8.told(grown.trials),
    }
