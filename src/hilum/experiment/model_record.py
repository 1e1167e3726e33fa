"""The chosen model's record in its folder: the films it was built on, and the verdict."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hilum.experiment import source_task
from hilum.experiment.context import RunContext
from hilum.experiment.select import SelectedCell
from hilum.inference import model_folder, model_json, training_record
from hilum.inference.training_record import Films
from hilum.types import Finding


def record_training_films(run: RunContext, selected: SelectedCell) -> SelectedCell:
    """The cell with a record of its training and validation films, also written to its folder.

    Those of a source task count: the backbone was trained on them.
    """
    built_on = training_record.make_record(_films(run, selected))
    model_folder.save_built_on(run.out / "model", built_on)
    return replace(selected, model=replace(selected.model, built_on=built_on))


def _films(run: RunContext, selected: SelectedCell) -> Films:
    origin, dataset = selected.model.facts.provenance, run.dataset
    split = run.splits[origin["seed"]].table
    fitted = split[(split["fold"] == origin["fold"]) & (split["part"] != "test")]
    table = dataset.manifest.table
    rows = table[table["sample_id"].isin(fitted["sample_id"])]
    films = Films.listed(rows, dataset.fingerprints)
    source = _source(run, selected, int(origin["seed"]))
    return films if source is None else films + source


def _source(run: RunContext, selected: SelectedCell, seed: int) -> Films | None:
    """The films of the source task that a model of `seed` started from, where there is one."""
    if selected.source is None:
        return None
    source_seed = source_task.seed_of(selected.recipe, seed)
    if source_seed == run.recipe.seeds[0]:
        return selected.source.films
    planned = source_task.plan(run, selected.recipe, source_seed)
    return source_task.read_back(planned, run.progress).films


def verdict_record(verdict: str, findings: Sequence[Finding], by: str) -> dict[str, Any]:
    """A verdict for `model.json`: the sentence, audits that failed and warned, date, and origin.

    `by` is "run" or "audit".
    """
    named = {
        status: [
            f"{finding.id} ({finding.title})" for finding in findings if finding.status == status
        ]
        for status in ("fail", "warn")
    }
    return {
        "verdict": verdict,
        "failed": named["fail"],
        "warned": named["warn"],
        "audits": len(findings),
        "not_made": sum(finding.status == "unknown" for finding in findings),
        "by": by,
        "date": datetime.now(UTC).date().isoformat(),
    }


def record_verdict(folder: Path, verdict: str, findings: Sequence[Finding], by: str) -> None:
    """Write a verdict to a model folder's `model.json`, replacing an earlier one."""
    model_json.amend(folder, {"judged": verdict_record(verdict, findings, by)})
