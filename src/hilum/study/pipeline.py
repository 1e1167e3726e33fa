"""The whole pipeline on one page: one call per arrow."""

import time
from dataclasses import asdict, replace
from pathlib import Path

from hilum import audit, recipe, report
from hilum.audit import Evidence
from hilum.data import pixels
from hilum.data.pixels import Ingested
from hilum.evaluate import model, scores
from hilum.recipe import Recipe
from hilum.study import (
    cells,
    checks,
    divide,
    evidence,
    gates,
    gather,
    machine,
    outputs,
    published,
    source,
    store,
    summary,
)
from hilum.study.bench import Tell
from hilum.study.cells import Grown
from hilum.study.checks import Known
from hilum.study.ground import Ground, preparation
from hilum.types import Leak, Results, Score, Split


def run(
    plan: Recipe,
    root: Path | None,
    out: Path,
    tell: Tell,
    resume: bool = False,
    beside: Path | None = None,
) -> Results:
    """Carry out one question of a recipe and write every file of `out`.

    `root` holds datasets as published; a task has the main question's manifest `beside` it.
    Raises HilumError for what the user can mend and MissingError for data or weights that are not
    here.
    """
    started = time.monotonic()
    refused = checks.alone(plan)
    work = store.begin(outputs.folder(out), plan, resume)
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
    leaks = divide.check(splits[plan.seeds[0]], taken.manifest, taken.fingerprints, plan.mode)
    ground = Ground(plan, classes, taken, splits, root, out, work, tell, refused, beside)
    grown = cells.grow(ground)
    store.keep(out, work, grown.chosen)
    gates.close(ground, grown.chosen)
    move = tell("score, audit, report")
    judged = _scores(grown, classes)
    move(1, 3)
    learnt = grown.sources.get(grown.chosen)
    leaks += learnt.shared if learnt else []
    record = model.read_record(out / "model")
    told = published.beside(
        plan.published, judged, grown.chosen, grown.predictions, record["provenance"]["seed"]
    )
    about = _evidence(classes, taken, splits[plan.seeds[0]], leaks, grown)
    about = _with_model(replace(about, published=told), plan, taken, out, tell)
    findings = audit.run(about)
    outputs.write_across(out, about.shared.get("matrix"))
    move(2, 3)
    mine = [score for score in judged if score.cell == grown.chosen]
    counts = summary.counts(taken.manifest, classes)
    results = Results(
        recipe=plan.name,
        title=plan.title,
        mode=plan.mode,
        classes=classes,
        n=counts,
        scores=judged,
        published=told,
        audits=findings,
        left_to_audit=audit.left(findings),
        verdict=audit.verdict(mine, findings),
        environment=machine.provenance(time.monotonic() - started),
        data=summary.data(taken.manifest),
        split=summary.split(splits, leaks),
        model={
            **summary.model(record),
            "freezing_advice": summary.advice(
                counts["classes"], record["backbone"]["origin"], learnt is not None
            ),
            "layers": summary.layers(recipe.cells(plan)[grown.chosen], out / "model"),
            "images_seen": summary.images_seen(grown.history, record["provenance"]),
            "failed": [asdict(item) for item in grown.failed],
            "lineage": source.lineage(learnt) if learnt else "no source task",
        },
        limits=summary.limits(plan, taken.manifest),
    )
    outputs.write(out, plan, taken.manifest, splits, grown, results)
    report.build(out)
    store.finish(work)
    move(3, 3)
    return results


def _scores(grown: Grown, classes: list[str]) -> list[Score]:
    """Every score of every cell, and of the source tasks under names of their own."""
    names = grown.predictions["cell"].unique()
    found = [s for name in names for s in scores.score(grown.predictions, classes, str(name))]
    for cell, learnt in grown.sources.items():
        mine = scores.score(learnt.predictions, learnt.classes, source.CELL)
        found += [replace(score, cell=f"{cell}: {source.CELL}") for score in mine]
    return found


def _evidence(
    classes: list[str], taken: Ingested, split: Split, leaks: list[Leak], grown: Grown
) -> Evidence:
    predictions = grown.predictions
    return Evidence(
        classes,
        taken.manifest.table,
        predictions[predictions["cell"] == grown.chosen],
        split,
        leaks,
        taken.facts,
        taken.pixels.stack,
        summary.populations(),
        split.seed,
        all_predictions=predictions,
    )


def _with_model(about: Evidence, plan: Recipe, taken: Ingested, out: Path, tell: Tell) -> Evidence:
    kept = model.load(out / "model")
    pixels = evidence.prepared_for(kept, taken, preparation(plan).digest, tell)
    return evidence.with_model(about, kept, pixels, tell)
