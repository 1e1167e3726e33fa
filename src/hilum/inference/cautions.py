"""What is said with a model's answers: its verdict, and which images are no test of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilum.inference import model_json, seen_before
from hilum.inference.model import TrainedModel
from hilum.inference.seen_before import Recognised
from hilum.inference.training_record import Films, Print

SHOWN = 4  # failed audits that a line names


@dataclass(frozen=True, slots=True)
class Cautions:
    """Sentences for a person, and the same as plain values."""

    verdict: str  # one line: how the model was judged, and when
    met: str  # which images are no test of it, or ""
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
    """All that must be said; `folder` is the one that the user named."""
    kinds = known.kinds
    return Cautions(
        verdict=verdict_line(model.facts.judged),
        met=_recognised_line(known),
        notes=[*known.unchecked(), *other_models(folder), *unfinished(folder)],
        judged=model.facts.judged,
        counts={kind: kinds.count(kind) for kind in seen_before.KINDS},
    )


def verdict_line(record: Mapping[str, Any]) -> str:
    """How the model was judged, by which audits it failed, and when; one line."""
    if not record:
        return "Verdict on this model: not recorded in its folder, which an earlier version made."
    failed = [str(name) for name in record.get("failed", [])]
    more = f" and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
    names = f" Failed audits: {', '.join(failed[:SHOWN])}{more}." if failed else ""
    by = "hilum audit" if record.get("by") == "audit" else "the run that made it"
    return f"Verdict on this model ({by}, {record.get('date')}): {record.get('verdict')}{names}"


def other_models(folder: Path) -> list[str]:
    """A sentence about the models of a run's tasks, where the run's folder was named."""
    names = model_json.task_models(folder) if model_json.find_model_folder(folder) != folder else []
    if not names:
        return []
    listed = ", ".join(names)
    return [
        f"This run holds {len(names) + 1} models; the main question's is used. Of its tasks: "
        f"{listed}; name one of these folders to use another."
    ]


def unfinished(folder: Path) -> list[str]:
    """A sentence where the run that a model lies in has been begun anew and not come to its end."""
    home = model_json.find_model_folder(folder).absolute()
    run = home.parent
    if home.name != model_json.MODEL or not (run / model_json.WORK / model_json.MARK).is_file():
        return []
    return [
        f"The run in {str(run)!r} is not finished: this model may be of an earlier run there, on "
        "other images; finish it with hilum run --resume."
    ]


def _recognised_line(known: Recognised) -> str:
    met, every = int(known.met.sum()), len(known.met)
    if not met:
        return ""
    return (
        f"{met:,} of {every:,} images {'is' if met == 1 else 'are'} no test of this model "
        f"({known.of_what()}): its answers there tell nothing about other images."
    )
