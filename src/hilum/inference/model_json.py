"""`model.json`: where it lies below a run's folder, read, written and added to."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hilum import files
from hilum.inference import unchanged
from hilum.types import HilumError, MissingError

FORMAT = 1
FILE, MODEL, TASKS = "model.json", "model", "tasks"
RESULTS = "results.json"  # of a finished run
WORK = "work"  # of a run that is not finished: its folds
MARK = "recipe.toml"  # in work/: what the folds there were made by
DAMAGE = (
    KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError
)  # fmt: skip
KINDS: dict[str, type | tuple[type, ...]] = {
    "classes": list, "preparation": dict, "backbone": dict, "precision": str, "quantised": str,
    "mirror": bool, "temperature": (int, float), "thresholds": dict, "provenance": dict,
    "conformal": dict, "judged": dict,
}  # fmt: skip
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
        record: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise HilumError(f"{path} must be JSON; got {error}; restore the folder.") from None
    if not isinstance(record, dict):
        raise HilumError(
            f"{path} must be a JSON object; got {type(record).__name__}; restore the folder."
        )
    if record.get("format") != FORMAT:
        raise HilumError(
            f"{path} must have format {FORMAT}; got {record.get('format')!r}; "
            "use the hilum version that wrote it."
        )
    unchanged.require_own_digest(record, path)
    return record


@contextmanager
def well_formed(folder: Path) -> Iterator[None]:
    """One sentence where a key of `model.json` is missing, or holds another kind of value."""
    try:
        yield
    except DAMAGE as error:
        raise HilumError(
            f"{folder / FILE} must be as hilum wrote it; got a damaged one ({_said(error)}); "
            "restore the folder."
        ) from error


def require_types(record: Mapping[str, Any]) -> None:
    """Raise TypeError or ValueError where a value that every model has is of another kind."""
    for key, kind in KINDS.items():
        if key in record and not isinstance(record[key], kind):
            raise TypeError(f"{key} is {record[key]!r}")
    if not all(isinstance(name, str) for name in record["classes"]):
        raise TypeError(f"classes are {record['classes']!r}")
    if not (math.isfinite(record["temperature"]) and record["temperature"] > 0):
        raise ValueError(f"temperature is {record['temperature']!r}")
    for key in ("thresholds", "conformal"):
        numbers = record.get(key, {})
        if not all(isinstance(value, (int, float)) for value in numbers.values()):
            raise TypeError(f"{key} are {numbers!r}")


def _said(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)


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
        text = json.dumps(unchanged.with_own_digest(record), indent=1, ensure_ascii=False)
        path.write_text(f"{text}\n", encoding="utf-8")


def amend(folder: Path, more: Mapping[str, Any]) -> None:
    """Add keys to a folder's `model.json`, or replace them; raises as `read_metadata` does."""
    amend_files(folder, more, ())


def amend_files(folder: Path, more: Mapping[str, Any], written: Iterable[str]) -> None:
    """The same where files of these names were written anew next to it."""
    record = read_metadata(folder)
    write_record(folder, {**record, **more, **unchanged.renewed(record, folder, written)})
