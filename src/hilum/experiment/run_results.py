"""Results of a run: its scores, the evidence for its audits, and the record of all of it."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import pandas as pd

from hilum import audits
from hilum.audits import Evidence
from hilum.experiment import evidence, external_tests, published, replication, source_task, summary
from hilum.experiment.context import RunContext
from hilum.experiment.external_tests import ExternalTest
from hilum.experiment.grid import GridResult
from hilum.experiment.select import SelectedCell
from hilum.inference import model_json
from hilum.metrics import scores
from hilum.types import PREDICTION_COLUMNS, Finding, Leak, Published, Results, Score


@dataclass(frozen=True, slots=True)
class TestedRun:
    """A run whose cells are trained and tested, and whose model is chosen."""

    run: RunContext
    grid_result: GridResult
    selected: SelectedCell
    external: ExternalTest | None


@dataclass(frozen=True, slots=True)
class ScoredRun:
    """Every score of every cell, and their comparison with the paper."""

    scores: list[Score]
    published: list[Published]


def evidence_of_images(run: RunContext, leaks: list[Leak]) -> Evidence:
    """What is known before anything is trained."""
    return Evidence(
        run.classes,
        run.dataset.manifest.table,
        pd.DataFrame(columns=list(PREDICTION_COLUMNS)),
        run.first,
        leaks,
        run.dataset.facts,
        run.dataset.fingerprints,
        run.dataset.pixels.stack,
        summary.populations(),
        run.first.seed,
    )


def evidence_of_model(tested: TestedRun, images: Evidence, scored: ScoredRun) -> Evidence:
    """`images` with the chosen cell's model, every cell's predictions and the source's leaks."""
    selected, predictions = tested.selected, tested.grid_result.predictions
    complete = replace(
        images,
        leaks=[*images.leaks, *(selected.source.shared if selected.source else [])],
        published=scored.published,
        published_sizes=tested.run.recipe.paper.tested,
        predictions=predictions[predictions["cell"] == selected.cell],
        all_predictions=predictions,
        external=tested.external.of_cell(selected.cell) if tested.external else None,
    )
    return evidence.with_model(complete, selected.model, selected.pixels, tested.run.progress)


def score_run(tested: TestedRun) -> ScoredRun:
    """Scores of cells, and of source tasks and the external test under names of their own."""
    classes, predictions = tested.run.classes, tested.grid_result.predictions
    rows = [
        score_row
        for cell in predictions["cell"].unique()
        for score_row in scores.score(predictions, classes, str(cell))
    ]
    for cell, source in tested.grid_result.sources.items():
        source_scores = scores.score(source.predictions, source.classes, source_task.CELL)
        rows += [
            replace(score_row, cell=f"{cell}: {source_task.CELL}") for score_row in source_scores
        ]
    rows += tested.external.scores(classes) if tested.external else ()
    selected = tested.selected
    seed = selected.model.facts.provenance["seed"]
    numbers = tested.run.recipe.published
    return ScoredRun(
        rows, published.compare_with_paper(numbers, rows, selected.cell, predictions, seed)
    )


def collect(
    tested: TestedRun,
    scored: ScoredRun,
    evidence: Evidence,
    findings: list[Finding],
    limits: list[str],
) -> Results:
    """Everything but what the run has cost; `limits` are those of the model."""
    run, selected, external = tested.run, tested.selected, tested.external
    recipe, manifest = run.recipe, run.dataset.manifest
    cells = set(tested.grid_result.predictions["cell"])
    marked = audits.mark_scores(scored.scores, findings, cells)
    selected_scores = [row for row in marked if row.cell == selected.cell]
    return Results(
        recipe=recipe.name,
        title=recipe.title,
        mode=recipe.mode,
        classes=run.classes,
        n=summary.counts(manifest, run.classes),
        scores=marked,
        published=scored.published,
        audits=findings,
        left_to_audit=audits.not_run(findings),
        verdict=audits.verdict(
            selected_scores,
            findings,
            audits.tested(evidence.predictions, run.classes),
            evidence.steps,
            [row for row in marked if row.cell == f"{selected.cell}: {external_tests.NAME}"],
        ),
        environment={},
        data={**summary.data(manifest), **({"later": external.data} if external else {})},
        split=summary.split(run.splits, evidence.leaks),
        model=_model(tested),
        limits=[*summary.limits(recipe, manifest), *limits, *(external.notes if external else ())],
        replication=replication.replication_sentence(recipe),
        departures=replication.departure_rows(recipe),
    )


def _model(tested: TestedRun) -> dict[str, Any]:
    """What the results say of the chosen model and of the cells that failed."""
    run, grid_result, selected = tested.run, tested.grid_result, tested.selected
    record = model_json.read_metadata(run.out / "model")
    classes = summary.counts(run.dataset.manifest, run.classes)["classes"]
    near = selected.source is not None
    return {
        **summary.model(record),
        "freezing_advice": summary.advice(classes, record["backbone"]["origin"], near),
        "layers": summary.layers(selected.recipe, selected.model),
        "images_seen": summary.images_seen(grid_result.history, record["provenance"]),
        "failed": [asdict(item) for item in grid_result.failed],
        "pool": record["backbone"]["pool"],
        "pool_choice": list(grid_result.choices),
        "lineage": source_task.lineage(selected.source) if selected.source else "no source task",
    }
