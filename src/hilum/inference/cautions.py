"""What is printed with a model's answers: its verdict, and the images it was built on."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilum.inference import model_json, seen_before
from hilum.inference.model import TrainedModel
from hilum.inference.seen_before import Recognised
from hilum.inference.training_record import Films, Print

SHOWN = 4  # failed audits that a line names
MADE_BY = {"audit": "hilum audit", "adapt": "hilum adapt"}  # what wrote a record
NAMED = re.compile(r"^C-\d+ \((.*)\)$")  # "C-03 (Border only)", as a record has it


@dataclass(frozen=True, slots=True)
class Cautions:
    """Sentences for a person, and the same as plain values."""

    verdict: str  # one line: how the model was judged, and when
    met: str  # which images it was built on, or ""
    notes: list[str]  # what could not be checked, which other models there are
    judged: Mapping[str, Any]  # as in `model.json`; empty where it is not recorded
    counts: dict[str, int]  # "same file", "near duplicate", "same patient"; images of each

    def as_json(self) -> dict[str, Any]:
        """The keys `model` and `seen` of a command's JSON."""
        model = {"line": self.verdict, **self.judged}
        return {"model": model, "seen": {**self.counts, "sentence": self.met, "notes": self.notes}}


def recognise(model: TrainedModel, prints: Sequence[Print]) -> Recognised:
    """Which of these images the model was built on, as far as its folder records it."""
    return seen_before.compare_with_record(model.built_on, model.facts.seen, Films.printed(prints))


def collect_cautions(folder: Path, model: TrainedModel, known: Recognised) -> Cautions:
    """Everything a reader must know; `folder` is the one that the user named."""
    kinds = known.kinds
    return Cautions(
        verdict=verdict_line(model.facts.judged),
        met=_recognised_line(known),
        notes=[*known.unchecked(), *other_models(folder), *unfinished(folder)],
        judged=model.facts.judged,
        counts={kind: kinds.count(kind) for kind in seen_before.KINDS},
    )


def verdict_line(record: Mapping[str, Any]) -> str:
    """How the model was judged and when, and the failed audits that its verdict does not name."""
    if not record:
        return "Verdict on this model: not recorded, because an earlier version made its folder."
    verdict = str(record.get("verdict"))
    titles = [NAMED.sub(r"\1", str(name)) for name in record.get("failed", [])]
    failed = [title for title in titles if title.lower() not in verdict.lower()]
    more = f" and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
    names = f" Failed audits: {', '.join(failed[:SHOWN])}{more}." if failed else ""
    by = MADE_BY.get(str(record.get("by")), "the run that made it")
    return f"Verdict on this model ({by}, {record.get('date')}): {verdict}{names}"


def other_models(folder: Path) -> list[str]:
    """A sentence about the models of a run's tasks, where the run's folder was named."""
    names = model_json.task_models(folder) if model_json.find_model_folder(folder) != folder else []
    if not names:
        return []
    listed = ", ".join(names)
    return [
        f"This run has {len(names) + 1} models, and the model of the main question is used. "
        f"To use another, name one of these folders: {listed}."
    ]


def unfinished(folder: Path) -> list[str]:
    """A sentence where the model's run was started again and has not finished."""
    home = model_json.find_model_folder(folder).absolute()
    run = home.parent
    if home.name != model_json.MODEL or not (run / model_json.WORK / model_json.MARK).is_file():
        return []
    return [
        f"The run in {str(run)!r} is not finished, so this model may come from an earlier run on "
        "other images. Finish the run with hilum run --resume."
    ]


def _recognised_line(known: Recognised) -> str:
    met, every = int(known.met.sum()), len(known.met)
    if not met:
        return ""
    return (
        f"{met:,} of {every:,} images {'is' if met == 1 else 'are'} no test of this "
        f"model ({known.of_what()}). Its answers to them say nothing about other images."
    )
