"""kill -9 at random moments, of a worker or of the command: the same bytes, nothing done twice.

`make test-hard` kills each command 20 times; the count is printed with `-s`.
"""

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

import cv2
import kills
import numpy as np
import pytest
from batches import drawn, save_model

from hilum import files
from hilum.experiment.answering import BLOCK
from process_tree import alive, children

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "kills",
        "brevity",
        *(f"hilum.experiment.{name}" for name in ("evaluate", "predict", "prepare")),
    ]
)
FILMS = 7 * BLOCK - 5  # seven shards
FEW, MANY = 2, 20
PATIENCE = 600  # seconds
LAST = {"predict": "", "evaluate": "report.html", "prepare": "left_out.csv"}  # file of an output
FROM_THE_START = 0.25  # share of the moments that are counted from there, not from the first film


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, labelled films and one file that is none."""
    home = tmp_path_factory.mktemp("killed")
    for number in range(FILMS):
        folder = home / "films" / ("covid19", "normal")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{number:03}.png"), drawn(number))
    (home / "films" / "normal" / "broken.png").write_text("no film")
    save_model(home / "model", files.sha256(home / "films" / "covid19" / "006.png"))
    return home


@dataclass
class Killed:
    """A command that is killed again and again, and what came of it."""

    command: str
    home: Path
    work: Path
    killed: Counter[str] = field(default_factory=Counter)
    completed: int = 0
    _before: set[str] = field(default_factory=set)  # parts that were there when it went on
    _seen: int = 0  # lines of the log by then

    def __post_init__(self) -> None:
        self.out, self.log = self.work / "out", self.work / "log"
        self.parts = self.out / ".parts"
        if self.command == "predict":
            self.parts = self.work / "out.parts"
        run = self._start(alone=True)
        run.join(PATIENCE)
        assert run.exitcode == 0
        self.whole = self._taken()
        run, begun = self._start(), time.monotonic()
        self._first_film(run)
        working = time.monotonic()
        run.join(PATIENCE)
        self.lasts = {"start": working - begun, "work": time.monotonic() - working}
        self._compare(run)

    def _start(self, alone: bool = False) -> ForkServerProcess:
        """A process that has imported what a command needs: that takes most of its time."""
        environ = {kills.LOG: str(self.log), "HILUM_CACHE": str(self.work / "cache")}
        given = (self.command, self.home, self.out, environ, alone)
        run = CONTEXT.Process(target=kills.main, args=given)
        run.start()
        return run

    def _first_film(self, run: ForkServerProcess) -> None:
        end = time.monotonic() + PATIENCE
        while run.is_alive() and not self._reads():
            assert time.monotonic() < end
            time.sleep(0.005)

    def _reads(self) -> bool:
        try:
            return any(name.endswith(".reading") for name in os.listdir(self.parts))  # noqa: PTH208
        except OSError:  # there is none yet, or no more
            return False

    def kill(self, rng: np.random.Generator) -> None:
        """Once, at a moment that `rng` draws; a run that ends before it is looked at."""
        while True:
            run = self._start()
            worker = bool(rng.random() < 0.5)
            begins = "start" if not worker and rng.random() < FROM_THE_START else "work"
            moment = rng.uniform(0, self.lasts[begins])
            if begins == "work":
                self._first_film(run)
            time.sleep(moment)
            if self._hit(run, rng, worker):
                return

    def _hit(self, run: ForkServerProcess, rng: np.random.Generator, worker: bool) -> bool:
        """Whether there was something to kill; a command that ends is looked at."""
        assert run.pid is not None
        workers = children(run.pid)
        if not worker and run.is_alive():
            run.kill()
            run.join(PATIENCE)
            if run.exitcode == -signal.SIGKILL:
                self.killed["command"] += 1
                self._goes_on(workers)
                return True
        hit = worker and bool(workers)
        if hit:
            victim = workers[int(rng.integers(len(workers)))]
            os.kill(victim, signal.SIGKILL)
            self.killed["worker"] += 1
        run.join(PATIENCE)
        self._compare(run)
        return hit

    def _goes_on(self, workers: list[int]) -> None:
        """What is there once all processes have ended; no part that is there is made again."""
        end = time.monotonic() + PATIENCE
        while any(map(alive, workers)):
            assert time.monotonic() < end
            time.sleep(0.02)
        self._once()
        self._before = {path.name for path in self.parts.glob("shard-*.part")}
        if (self.out / LAST[self.command]).exists():  # killed while it removed its parts
            self.log.unlink(missing_ok=True)
            self._before, self._seen = set(), 0

    def _once(self) -> None:
        lines = self.log.read_text().split() if self.log.exists() else []
        assert max(Counter(lines).values(), default=1) == 1
        assert not self._before & set(lines[self._seen :])
        self._seen = len(lines)

    def _compare(self, run: ForkServerProcess) -> None:
        assert run.exitcode == 0
        self._once()
        assert not self.parts.exists()
        assert self._taken() == self.whole
        self._before, self._seen = set(), 0
        self.completed += 1

    def _taken(self) -> dict[str, bytes]:
        """Every file of the output; it, the log and what the cache holds of films are removed."""
        paths = (
            [self.out] if self.out.is_file() else [p for p in self.out.rglob("*") if p.is_file()]
        )
        found = {str(path.relative_to(self.work)): path.read_bytes() for path in paths}
        for path in (self.out, self.work / "cache" / "pixels", self.work / "cache" / "features"):
            shutil.rmtree(path, ignore_errors=True)
        for path in (self.out, self.log):
            path.unlink(missing_ok=True)
        return found

    def finish(self) -> None:
        """The command once more, to its end."""
        run = self._start()
        run.join(PATIENCE)
        self._compare(run)


@pytest.mark.parametrize(
    "count",
    [pytest.param(FEW, marks=pytest.mark.slow), pytest.param(MANY, marks=pytest.mark.hard)],
)
@pytest.mark.parametrize("command", ["predict", "evaluate", "prepare"])
def test_killed_at_random_moments(
    home: Path, tmp_path: Path, command: str, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng([count, *command.encode()])
    series = Killed(command, home, tmp_path)
    for _ in range(count):
        series.kill(rng)
    series.finish()
    assert series.killed.total() == count
    with capsys.disabled():
        sys.stderr.write(
            f"\n{command}: {count} kills ({series.killed['worker']} of a worker, "
            f"{series.killed['command']} of the command), {series.completed} completed, "
            "same bytes\n"
        )
