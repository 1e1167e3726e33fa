"""`model.json`: where it lies below a run's folder, read, written and added to."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hilum import files
from hilum.types import HilumError, MissingError

FORMAT = 1
FILE, MODEL, TASKS = "model.json", "model", "tasks"
RESULTS = "results.json"  # of a finished run
WORK = "work"  # of a run that is not finished: its folds
MARK = "recipe.toml"  # in work/: what the folds there were made by
SHOWN = 5  # models that a sentence names


def find_model_folder(folder: Path) -> Path:
    """The model folder that a run's folder holds; any other folder is returned as it is."""
    inside = folder / MODEL
    return inside if (inside / FILE).is_file() else folder


def run_of(folder: Path) -> Path:
    """The finished run's folder that a model/ folder lies in; any other is returned as it is."""
    resolved = folder.resolve()
    run = resolved.parent
    in_run = resolved.name == MODEL and (resolved / FILE).is_file() and (run / RESULTS).is_file()
    return run if in_run else folder


def task_models(folder: Path) -> list[str]:
    """Where the models of a run's tasks lie below its folder; none where `folder` is a model's."""
    return [f"{TASKS}/{path.parent.parent.name}" for path in _models(folder / TASKS)]


def _models(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*/{MODEL}/{FILE}"))


def read_metadata(folder: Path) -> dict[str, Any]:
    """`model.json`; raises MissingError where the folder is no model folder."""
    path = folder / FILE
    if not path.is_file():
        raise MissingError(_missing(folder))
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HilumError(f"{path} must be JSON; got {error}; restore the folder.") from None
    if record.get("format") != FORMAT:
        raise HilumError(
            f"{path} must have format {FORMAT}; got {record.get('format')!r}; "
            "use the hilum version that wrote it."
        )
    return record


def _missing(folder: Path) -> str:
    """What to name in its place: one of the models below it, or a finished run."""
    start = f"a model folder contains {FILE}; got {str(folder)!r} without it"
    below = [*_models(folder), *_models(folder / TASKS)]
    if not below:
        return f"{start}; name a finished run's folder, or its model/ folder."
    names = [str(path.parent.parent) for path in below[:SHOWN]]
    more = f" and {len(below) - SHOWN} more" if len(below) > SHOWN else ""
    which = "1 model is" if len(below) == 1 else f"{len(below)} models are"
    return f"{start}, but {which} below it. Name one: {', '.join(names)}{more}."


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write `model.json` whole."""
    with files.atomic_write(folder / FILE) as path:
        text = json.dumps(record, indent=1, ensure_ascii=False)
        path.write_text(f"{text}\n", encoding="utf-8")


def amend(folder: Path, more: Mapping[str, Any]) -> None:
    """Add keys to a folder's `model.json`, or replace them; raises as `read_record` does."""
    write_record(folder, {**read_metadata(folder), **more})
