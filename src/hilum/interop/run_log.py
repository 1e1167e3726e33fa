"""A finished run in an experiment tracker: MLflow or TensorBoard, in a folder of one's own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hilum.interop import mlflow_log, tensorboard_log
from hilum.interop.run_facts import RunFacts, read_facts
from hilum.types import HilumError, as_path, nearest_name


@dataclass(frozen=True, slots=True)
class Tracker:
    """What checks that a tracker's library is here, and what writes a run to a folder."""

    check: Callable[[], object]
    write: Callable[[RunFacts, Path], str]


TRACKERS = {
    "mlflow": Tracker(mlflow_log.load, mlflow_log.write),
    "tensorboard": Tracker(tensorboard_log.load, tensorboard_log.write),
}


@dataclass(frozen=True, slots=True)
class Destination:
    """One tracker and its folder, from words such as "mlflow:runs"."""

    tracker: str
    folder: Path

    @classmethod
    def of(cls, words: str) -> "Destination":
        """Raises HilumError for another tracker, no folder, or a library that is missing."""
        name, colon, folder = words.partition(":")
        if name not in TRACKERS or not colon or not folder:
            hint = "add a colon and a folder." if name in TRACKERS else nearest_name(name, TRACKERS)
            raise HilumError(
                f"a log is {' or '.join(f'{known}:DIR' for known in TRACKERS)}; got {words!r}; "
                f"{hint}"
            )
        TRACKERS[name].check()
        return cls(name, as_path(folder))


def log_run(out: str | Path, destinations: Sequence[Destination | str]) -> list[str]:
    """Write a finished run to each destination ("mlflow:DIR"); where it is to be found, in words.

    Raises MissingError for a folder that is no finished run's, else as `Destination.of`.

    >>> from hilum.interop import log_run
    >>> log_run("out", ["csv:runs"])
    Traceback (most recent call last):
        ...
    hilum.types.HilumError: a log is mlflow:DIR or tensorboard:DIR; got 'csv:runs'; ...
    """
    read = [Destination.of(one) if isinstance(one, str) else one for one in destinations]
    facts = read_facts(as_path(out))
    return [TRACKERS[one.tracker].write(facts, one.folder) for one in read]
