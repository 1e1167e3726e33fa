"""kill -9 of a run at random moments, and of a worker: `--resume` ends with the same bytes.

`make test-hard` kills 25 times with one process and 25 times with two; the count is printed.
"""

import json
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import numpy as np
import pytest
import whole_runs

from process_tree import alive, children

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["whole_runs"])
FEW, MANY = 3, 25
WORKER = "of a worker"  # while there are any
PATIENCE = 600  # seconds
PHASES = {  # name -> first line of the log that begins it
    "in the start": "",
    "in training": "seed 0, fold ",
    "in audits": "audit 0",
    "in the report": "score, audit, report 2",
}
CACHED = (
    "pixels",
    "features",
    "sources",
    "source_tasks",
    "answers",
)  # what a run computes; networks stay


@dataclass
class KilledRun:
    """A run that is killed again and again, and what came of it."""

    work: Path
    workers: int
    changes: tuple[str, ...]
    killed: Counter[str] = field(default_factory=Counter)
    completed: int = 0

    def __post_init__(self) -> None:
        self.out, self.log = self.work / "out", self.work / "log"
        self._to_the_end(self._start(alone=True))
        self.whole = self._taken()
        run, begun = self._start(), time.monotonic()
        seen = {"in the start": begun}
        for phase in [*PHASES][1:]:
            assert self._reached(run, phase)
            seen[phase] = time.monotonic()
        self._to_the_end(run)
        ends = [*[*seen.values()][1:], time.monotonic()]
        self.lasts = {phase: end - seen[phase] for phase, end in zip(PHASES, ends, strict=True)}
        self._compare()

    def _start(self, alone: bool = False) -> ForkServerProcess:
        """A process that has imported what a run needs: that takes most of its start."""
        self.log.unlink(missing_ok=True)
        environ = {whole_runs.LOG: str(self.log), "HILUM_CACHE": str(self.work / "cache")}
        given = (self.out, environ, 1 if alone else self.workers, self.changes)
        run = CONTEXT.Process(target=whole_runs.main, args=given)
        run.start()
        return run

    def _reached(self, run: ForkServerProcess, phase: str) -> bool:
        """Wait until a phase begins; False where the run ends before that."""
        end = time.monotonic() + PATIENCE
        while not any(line.startswith(PHASES[phase]) for line in self._lines()):
            if not run.is_alive():
                return False
            assert time.monotonic() < end
            time.sleep(0.005)
        return True

    def _lines(self) -> list[str]:
        return ["", *self.log.read_text().splitlines()] if self.log.exists() else [""]

    def _to_the_end(self, run: ForkServerProcess) -> None:
        run.join(PATIENCE)
        assert run.exitcode == 0

    def kill(self, rng: np.random.Generator) -> None:
        """Once, of each kind in turn, at a moment that `rng` draws; runs that end are looked at."""
        kinds = [WORKER, *PHASES] if self.workers > 1 else [*PHASES]
        kind = kinds[self.killed.total() % len(kinds)]
        phase = "in training" if kind == WORKER else kind
        while True:
            run = self._start()
            reached = self._reached(run, phase)
            time.sleep(rng.uniform(0, self.lasts[phase]) if reached else 0)
            if reached and (self._hit_worker(run, rng) if kind == WORKER else self._hit(run)):
                self.killed[kind] += 1
                return
            self._to_the_end(run)
            self._compare()

    def _hit(self, run: ForkServerProcess) -> bool:
        assert run.pid is not None
        workers = children(run.pid)
        run.kill()
        run.join(PATIENCE)
        if run.exitcode != -signal.SIGKILL:
            return False
        end = time.monotonic() + PATIENCE
        while any(map(alive, workers)):
            assert time.monotonic() < end
            time.sleep(0.02)
        self._nothing_half()
        return True

    def _hit_worker(self, run: ForkServerProcess, rng: np.random.Generator) -> bool:
        """The command goes on without the worker, to the same bytes."""
        assert run.pid is not None
        workers = [pid for pid in children(run.pid) if alive(pid)]
        if not workers:
            return False
        os.kill(workers[int(rng.integers(len(workers)))], signal.SIGKILL)
        self._to_the_end(run)
        self._compare()
        return True

    def _nothing_half(self) -> None:
        """Each file that has its name is the one of the unbroken run."""
        for name, content in self._content().items():
            parts = Path(name).parts
            if parts[0] == "work" or any(part.startswith(".") for part in parts):
                continue
            if name == "model/model.json":  # without its verdict at first
                json.loads(content)
            else:
                assert content == self.whole[name], name

    def _content(self) -> dict[str, bytes]:
        paths = [path for path in self.out.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.out)): path.read_bytes() for path in paths}

    def _taken(self) -> dict[str, bytes]:
        """Every file of the output; it, and what the cache holds of it, are removed."""
        found = self._content()
        shutil.rmtree(self.out)
        for name in CACHED:
            shutil.rmtree(self.work / "cache" / name, ignore_errors=True)
        return found

    def _compare(self) -> None:
        found = self._taken()
        assert sorted(found) == sorted(self.whole)
        assert [name for name in found if found[name] != self.whole[name]] == []
        self.completed += 1

    def finish(self) -> None:
        """The run once more, to its end."""
        self._to_the_end(self._start())
        self._compare()


@pytest.mark.parametrize(
    "count",
    [pytest.param(FEW, marks=pytest.mark.slow), pytest.param(MANY, marks=pytest.mark.hard)],
)
@pytest.mark.parametrize(
    ("workers", "changes"), [(1, ()), (2, (whole_runs.SOURCE,))], ids=["alone", "two"]
)
def test_killed_at_random_moments(
    tmp_path: Path,
    workers: int,
    changes: tuple[str, ...],
    count: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """E-06, E-07, E-12."""
    rng = np.random.default_rng([count, workers])
    series = KilledRun(tmp_path, workers, changes)
    for _ in range(count):
        series.kill(rng)
    series.finish()
    assert series.killed.total() == count
    with capsys.disabled():
        moments = ", ".join(f"{number} {kind}" for kind, number in series.killed.items())
        sys.stderr.write(
            f"\nrun with {workers} processes: {count} kills ({moments}), "
            f"{series.completed} completed, same bytes\n"
        )
