"""What the chosen model's folder says of itself: what it was built on, and how it was judged."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hilum.experiment import source_task
from hilum.experiment.context import RunContext
from hilum.experiment.select import SelectedCell
from hilum.inference import model as models
from hilum.inference import training_record
from hilum.inference.training_record import Films
from hilum.types import Finding


def record_training_films(run: RunContext, selected: SelectedCell) -> SelectedCell:
    """The same, its folder with the patients and films of training and validation.

    Those of a source task count: the backbone has learnt from them.
    """
    built_on = training_record.make_record(_films(run, selected))
    models.save_built_on(run.out / "model", built_on)
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
    """The films of the source task that a model of `seed` stands on, where there is one."""
    if selected.source is None:
        return None
    own = source_task.seed_of(selected.recipe, seed)
    if own == run.recipe.seeds[0]:
        return selected.source.films
    planned = source_task.plan(run, selected.recipe, own)
    return source_task.read_back(planned, run.progress).films


def verdict_record(verdict: str, findings: Sequence[Finding], by: str) -> dict[str, Any]:
    """What `model.json` says of a verdict: the sentence, who failed and warned, when, and by what.

    `by` is "run" or "audit".
    """
    named = {
        status: [f"{one.id} ({one.title})" for one in findings if one.status == status]
        for status in ("fail", "warn")
    }
    return {
        "verdict": verdict,
        "failed": named["fail"],
        "warned": named["warn"],
        "audits": len(findings),
        "not_made": sum(one.status == "unknown" for one in findings),
        "by": by,
        "date": datetime.now(UTC).date().isoformat(),
    }


def record_verdict(folder: Path, verdict: str, findings: Sequence[Finding], by: str) -> None:
    """Write a verdict to a model folder's `model.json`, in the place of an earlier one."""
    models.amend(folder, {"judged": verdict_record(verdict, findings, by)})
