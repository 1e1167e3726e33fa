"""A whole run and its export, stopped or refused at steps on the disk: run_by_steps.py WORK SHARE.

Prints a JSON object with what was counted; an assertion ends it.
"""

import errno
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle
from pathlib import Path
from typing import TypeVar

import whole_runs
from disk_steps import Content, Recorder, Refusing, Steps, plain

import brevity
from hilum.exporting import export as exporting
from hilum.exporting import proof_images
from hilum.inference import exported, unchanged
from hilum.progress import silent
from hilum.types import HilumError

T = TypeVar("T")
ERRORS = cycle((errno.EIO, errno.ENOSPC))
BRIEF = whole_runs.TUNED.replace("epochs=6", "epochs=1")
AGAIN = ("data/images/", "data/masks/", "work/")  # drawn again, or read where `fold.json` is
REFUSALS = (HilumError, OSError)  # an OSError is a sentence of the command line


class Series:
    """One command, before every step of which its folder is looked at."""

    def __init__(self, folder: Path, store: Path, command: Callable[[], object]) -> None:
        self.folder, self.command = folder, command
        self.recorder, self.steps = Recorder(folder, store), Steps(folder)
        store.mkdir()
        self.steps.install()

    def record(self) -> Content:
        """What it leaves, unbroken."""
        self.acting(self.recorder)
        self.command()
        self.acting(lambda event, path: None)
        self.whole = self.recorder.look()
        return self.whole

    def acting(self, act: Callable[[str, str], None]) -> None:
        """What happens before each step from now on."""
        self.steps.act = act

    def goes_on_from(self, state: Content) -> None:
        """The same bytes in the end, and nothing else."""
        self.put(state)
        self.command()
        differs = dict(self.recorder.look().items() ^ self.whole.items())
        assert not differs, differs

    def put(self, state: Content) -> None:
        """What a process has left that was killed at a step."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.recorder.restore(state)

    def refused(self, at: int) -> bool:
        """Whether the step was refused; then the error names a path here."""
        event, path = self.recorder.steps[at]
        refusing = Refusing(self.folder, event, plain(path), next(ERRORS))
        self.put(self.recorder.states[at])
        self.acting(refusing)
        try:
            self.command()
        except REFUSALS as error:
            named = refusing.refused and str(self.folder) in str(error)
            if not named or getattr(error, "exit_code", 2) != 2:
                raise AssertionError(f"{event} of {path}") from error
        finally:
            self.acting(lambda event, path: None)
        return bool(refusing.refused)

    def distinct(self) -> list[Content]:
        """States that differ, in their order."""
        return [*{json.dumps(state): state for state in self.recorder.states}.values()]

    def kinds(self) -> list[int]:
        """The first step of each kind."""
        found: dict[tuple[str, str], int] = {}
        for number, (event, path) in enumerate(self.recorder.steps):
            found.setdefault((event, plain(path)), number)
        return [*found.values()]


def some(values: Sequence[T], share: float) -> list[T]:
    """A share of them, evenly."""
    count = max(1, round(len(values) * share))
    return [values[i * len(values) // count] for i in range(count)]


def visible(state: Content) -> Iterable[str]:
    """Names that a user sees as outputs."""
    for name in state:
        hidden = any(part.startswith(".") for part in name.split("/"))
        if not hidden and not name.startswith(AGAIN):
            yield name


def old_or_new(series: Series, state: Content) -> None:
    """Each output has the bytes that it has in the end; `model.json` is one that hilum wrote."""
    for name in visible(state):
        if name == "model/model.json":
            record = json.loads((series.recorder.store / state[name]).read_text())
            unchanged.require_own_digest(record, Path(name))
        else:
            assert state[name] == series.whole[name], name


def carry_out(out: Path) -> None:
    """The run with the audits of tables, and few epochs: it is repeated for each step."""
    with brevity.audits_of_tables():
        whole_runs.main(out, {}, 1, (f"train.stages=[{{}}, {BRIEF}]",))


def run(work: Path, share: float) -> dict[str, int]:
    """The run: old or new at every step, and the same bytes after a stop or a refusal."""
    out = work / "out"
    series = Series(out, work / "store", lambda: carry_out(out))
    series.record()
    for event, path in series.recorder.steps:  # nothing is written in its place but these
        in_place = event in {"open", "os.truncate"} and Path(path).name[0] != "."
        if in_place and not any(part[0] == "." for part in Path(path).parts):
            assert (out / path).is_dir() or path.startswith(AGAIN), path
    states, kinds = series.distinct(), series.kinds()
    for state in states:
        old_or_new(series, state)
    stopped = some(states, share)
    for state in stopped:
        series.goes_on_from(state)
    refused = [at for at in some(kinds, share) if _refuse_and_go_on(series, at)]
    return {
        "steps": len(series.recorder.steps),
        "states": len(states),
        "stopped": len(stopped),
        "refused": len(refused),
    }


def _refuse_and_go_on(series: Series, at: int) -> bool:
    if not series.refused(at):
        return False
    left = series.recorder.look()
    old_or_new(series, left)
    series.goes_on_from(left)
    return True


def export(work: Path, share: float) -> dict[str, int]:
    """An export over an export: where there is a `model.json`, all that it lists is there."""
    proof_images.PHANTOM_SIDE = 64
    out, request = work / "export", exporting.ExportRequest()

    def command() -> None:
        exporting.export(work / "out", out, request, silent)

    command()
    series = Series(out, work / "store of export", command)
    series.record()
    states = series.distinct()
    for state in states:
        if "model.json" in state:
            record = json.loads((series.recorder.store / state["model.json"]).read_text())
            listed = record[exported.KEY]["files"]
            assert {name: state.get(name) for name in listed} == listed
    stopped = some(states, share)
    for state in stopped:
        series.goes_on_from(state)
    refused = [at for at in some(series.kinds(), share) if series.refused(at)]
    series.goes_on_from(series.recorder.look())
    return {
        "export steps": len(series.recorder.steps),
        "export states": len(states),
        "export stopped": len(stopped),
        "export refused": len(refused),
    }


if __name__ == "__main__":
    place = Path(sys.argv[1])
    os.environ["HILUM_CACHE"] = str(place / "cache")
    share = float(sys.argv[2])
    print(json.dumps({**run(place, share), **export(place, share)}))  # noqa: T201
