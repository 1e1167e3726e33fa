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


def close(ground: RunContext, chosen: SelectedCell) -> SelectedCell:
    """The same, its folder with the patients and films of training and validation.

    Those of a source task count: the backbone has learnt from them.
    """
    made = training_record.of(_films(ground, chosen))
    models.remember(ground.out / "model", made)
    return replace(chosen, model=replace(chosen.model, built_on=made))


def _films(ground: RunContext, chosen: SelectedCell) -> Films:
    origin, taken = chosen.model.facts.provenance, ground.taken
    split = ground.splits[origin["seed"]].table
    taught = split[(split["fold"] == origin["fold"]) & (split["part"] != "test")]
    table = taken.manifest.table
    mine = table[table["sample_id"].isin(taught["sample_id"])]
    films = Films.listed(mine, taken.fingerprints)
    learnt = _source(ground, chosen, int(origin["seed"]))
    return films if learnt is None else films + learnt


def _source(ground: RunContext, chosen: SelectedCell, seed: int) -> Films | None:
    """What the source task of the model's own seed was taught; `chosen` has the first seed's."""
    if chosen.learnt is None:
        return None
    task = chosen.plan.source_task
    anew = task is not None and not task.once
    if anew and seed != ground.plan.seeds[0]:
        return source_task.train_source_task(ground, chosen.plan, seed).taught
    return chosen.learnt.taught


def judged(verdict: str, findings: Sequence[Finding], by: str) -> dict[str, Any]:
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


def judge(folder: Path, verdict: str, findings: Sequence[Finding], by: str) -> None:
    """Write a verdict to a model folder's `model.json`, in the place of an earlier one."""
    models.amend(folder, {"judged": judged(verdict, findings, by)})
