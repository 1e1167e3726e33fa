"""What a million films would take with 1 to 256 workers: a simulation of `--workers`.

    python benchmarks/scale_simulation.py [--quick] [--data FOLDER]

Measured here, in processor time, which other programs disturb least: shards of `hilum predict` one
after another in this process, the start of a worker, and what the command does itself before and
after them. Simulated from these: the executor as it is (shards in order, a few ahead, a lost one
again), with workers that are slow and workers that are lost. `tests/test_scale_simulation.py`
compares the simulation with closed forms.
"""

import heapq
import math
import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
FILMS = 1_000_000
SLOW = 0.1  # share of the workers that are slow, at least one of several
SLOWNESS = 3.0  # times as long as another
LASTS = 1800.0  # seconds of work between two losses of a worker, on average
SEEDS = 20  # simulations of a setting, whose median is given
NEVER = math.inf


@dataclass(frozen=True, slots=True)
class Plan:
    """Workers, and what goes wrong; times in seconds."""

    workers: int
    start: float = 0.0  # of a worker, until it takes its first shard
    before: float = 0.0  # of the command, alone, before any worker starts
    after: float = 0.0  # of the command, alone, once all parts are there
    factors: Sequence[float] = ()  # of each worker: times as long as measured; () for 1 each
    lasts: float = NEVER  # mean time until a worker that works is lost
    ahead: float = (
        math.inf
    )  # shards, besides one a worker, that may begin before an earlier one ends
    tries: float = math.inf  # losses at one shard that end the command


@dataclass(frozen=True, slots=True)
class Simulated:
    """What came of it."""

    seconds: float  # until the table is written, or until the command ends
    losses: int
    complete: bool


@dataclass(slots=True)
class _Batch:
    """Shards under way: who works at which, and how far the front is."""

    times: npt.NDArray[np.float64]
    plan: Plan
    rng: np.random.Generator
    events: list[tuple[float, int, int, bool]] = field(
        default_factory=list
    )  # end, worker, shard, lost
    next: int = 0
    front: int = 0  # shards before it are done
    done: set[int] = field(default_factory=set)
    losses: dict[int, int] = field(default_factory=dict)

    def begin(self, now: float, worker: int, shard: int) -> None:
        """A worker begins a shard, at whose end it is free or lost."""
        factors = self.plan.factors
        lasts = self.times[shard] * (factors[worker] if factors else 1.0)
        dies = self.rng.exponential(self.plan.lasts) if self.plan.lasts < NEVER else NEVER
        heapq.heappush(self.events, (now + min(lasts, dies), worker, shard, dies < lasts))

    def open(self) -> bool:
        """Whether a further shard may begin now."""
        limit = self.front + self.plan.workers + self.plan.ahead
        return self.next < len(self.times) and self.next < limit

    def finished(self, shard: int) -> None:
        """Take a shard in; those before the front are handed on."""
        self.done.add(shard)
        while self.front in self.done:
            self.front += 1


def simulate(
    times: npt.NDArray[np.float64], plan: Plan, rng: np.random.Generator | None = None
) -> Simulated:
    """Carry shards of these `times` (shard,) out, as `files.ProcessExecutor` does."""
    batch = _Batch(times, plan, rng or np.random.default_rng(0))
    idle: deque[int] = deque(range(plan.workers))
    now = plan.before
    begins = dict.fromkeys(range(plan.workers), now + plan.start)  # when each can begin
    while batch.front < len(times):
        while idle and batch.open():
            worker = idle.popleft()
            batch.begin(max(now, begins[worker]), worker, batch.next)
            batch.next += 1
        now, worker, shard, lost = heapq.heappop(batch.events)
        if not lost:
            batch.finished(shard)
            idle.append(worker)
            continue
        batch.losses[shard] = batch.losses.get(shard, 0) + 1
        if batch.losses[shard] >= plan.tries:
            return Simulated(now, sum(batch.losses.values()), complete=False)
        batch.begin(now + plan.start, worker, shard)  # another process takes its place
    return Simulated(now + plan.after, sum(batch.losses.values()), complete=True)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a shard, a worker's start and the command itself take; seconds of a processor."""

    films: npt.NDArray[np.float64]  # a film, in each shard
    start: float  # of a worker
    command: float  # what the command does whatever there is to answer
    each: float  # and for each film: it looks at the file, reads parts, writes the table


def drawn(measured: Measured, films: int, workers: int, rng: np.random.Generator) -> Any:
    """Times (shard,) of so many films: each shard is one of those measured."""
    from hilum.experiment import shards

    size = shards.shard_size(films, workers)
    sizes = np.full(math.ceil(films / size), size)
    sizes[-1] = films - size * (len(sizes) - 1)
    return sizes * rng.choice(measured.films, len(sizes))


def settings(measured: Measured, workers: int, films: int) -> dict[str, Plan]:
    """The plans of a row: all well, some workers slow, some lost."""
    from hilum.experiment import spread

    well = Plan(
        workers,
        measured.start,
        measured.command,
        films * measured.each,
        ahead=spread.AHEAD * workers,
        tries=spread.TRIES,
    )
    slow = max(round(workers * SLOW), int(workers > 1))
    factors = [SLOWNESS] * slow + [1.0] * (workers - slow)
    return {
        "all well": well,
        "slow": replace(well, factors=factors),
        "lost": replace(well, lasts=LASTS),
    }


def table(measured: Measured, films: int = FILMS) -> list[dict[str, float]]:
    """A row for each number of workers: hours, times as fast as one, losses."""
    rows: list[dict[str, float]] = []
    for workers in WORKERS:
        row: dict[str, float] = {"workers": workers}
        for name, plan in settings(measured, workers, films).items():
            runs = []
            for seed in range(SEEDS):
                rng = np.random.default_rng([seed, workers])
                runs.append(simulate(drawn(measured, films, workers, rng), plan, rng))
            row[name] = float(np.median([run.seconds for run in runs])) / 3600
            row[f"{name}, losses"] = float(np.median([run.losses for run in runs]))
            row[f"{name}, ended"] = float(np.mean([not run.complete for run in runs]))
        row["gain"] = (rows[0]["all well"] if rows else row["all well"]) / row["all well"]
        rows.append(row)
    return rows


def processor_seconds(work: Any, *given: Any) -> float:
    """Of this process and of those that it has waited for."""
    begun = sum(os.times()[:4])
    work(*given)
    return sum(os.times()[:4]) - begun


def measure(paths: Sequence[Path], model: Path, work: Path, size: int) -> Measured:
    """Shards one after another here; commands whose parts are all there; a worker's start."""
    from hilum.experiment import predict_shards, shards
    from hilum.experiment.spread import Spread
    from hilum.inference import exported
    from hilum.progress import silent

    asked = predict_shards.Asked(model, exported.load(model), paths, work / "t.csv", Spread())
    kept = work / "kept"
    kept.mkdir()
    planned = asked.batch.shards(kept, size)
    shards.carry_out(planned[0], silent)  # the model is loaded
    planned[0].part.unlink()
    spent = [processor_seconds(shards.carry_out, one, silent) / len(one.paths) for one in planned]
    half = len(planned) // 2 * size
    few, whole = (
        min(processor_seconds(resumed, model, paths[:count], work, size) for _ in range(3))
        for count in (half, len(paths))
    )
    each = (whole - few) / (len(paths) - half)
    return Measured(np.array(spent), worker_start(model), whole - each * len(paths), each)


def resumed(model: Path, paths: Sequence[Path], work: Path, size: int) -> None:
    """The command where all parts are there."""
    from hilum.experiment import predict
    from hilum.experiment.spread import Spread
    from hilum.progress import silent

    shutil.copytree(work / "kept", work / "t.csv.parts")
    spread = Spread(resume=True, size=size)
    predict.predict_files(model, paths, work / "t.csv", silent, spread=spread)
    shutil.rmtree(
        work / "t.csv.parts", ignore_errors=True
    )  # parts of films that were not asked for


def worker_start(model: Path) -> float:
    """Processor seconds until a new process has loaded the model; the least of three."""
    code = (
        "import sys; from pathlib import Path; from hilum.inference import exported; "
        "from hilum.experiment import predict_shards; exported.load(Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(model)]
    return min(processor_seconds(subprocess.run, command) for _ in range(3))


def main() -> None:
    """Measure, simulate, print."""
    from hilum.inference import model_folder
    from latency import random_model
    from side_by_side import asked, films, workplace

    size = asked(__doc__, "scale_simulation")
    with workplace() as folder:
        paths = films(size, size.pick(256, 1024), 1024, folder / "films")["path"]
        model = random_model("tf_efficientnet_lite0")
        saved = model_folder.save_trained_model(model, folder / "model")
        found = measure([Path(path) for path in paths], saved, folder, 16)
        total = sum(Path(path).stat().st_size for path in paths) / len(paths) * FILMS / 1e6  # MB
    print(
        f"a film: {np.median(found.films) * 1000:.1f} ms ({found.films.min() * 1000:.1f} to "
        f"{found.films.max() * 1000:.1f} in {len(found.films)} shards); a worker's start "
        f"{found.start:.2f} s; the command {found.command:.2f} s and {found.each * 1000:.3f} ms "
        "a film"
    )
    print("| workers | hours | gain | MB/s read | hours, some slow | hours, some lost | losses |")
    print("|---|---|---|---|---|---|---|")
    for row in table(found):
        cells = (
            f"{row['workers']:.0f}", f"{row['all well']:.2f}", f"{row['gain']:.1f}",
            f"{total / (row['all well'] * 3600):.0f}", f"{row['slow']:.2f}", f"{row['lost']:.2f}",
            f"{row['lost, losses']:.0f}",
        )  # fmt: skip
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
