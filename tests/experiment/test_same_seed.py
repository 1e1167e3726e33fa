"""E-08: ten runs of a seed are one run; threads and the size of a batch change no answer.

The counts are printed.
"""

import hashlib
import multiprocessing
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import whole_runs
from batches import SIDE, drawn, save_model

import hilum
from hilum.files.parallel import THREADS

pytestmark = pytest.mark.hard

CONTEXT = multiprocessing.get_context("spawn")  # how many threads is read once
RUNS, FILMS = 10, 50
SIZES = (1, 2, 3, 7, 16, 49)


def carry_out(
    work: Path, name: str, threads: int | None = None, changes: tuple[str, ...] = ()
) -> dict[str, str]:
    """A run in a process of its own that finds nothing in its cache; digests of its files."""
    out = work / "out"
    environ = {"HILUM_CACHE": str(work / f"cache {name}")}
    if threads is not None:
        environ[THREADS] = str(threads)
    run = CONTEXT.Process(target=whole_runs.main, args=(out, environ, 1, changes))
    run.start()
    run.join(600)
    assert run.exitcode == 0
    found = {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file()
    }
    out.rename(work / name)
    return found


def answers(folder: Path) -> np.ndarray:
    """Probabilities (film, class) of all tested films."""
    table = pd.read_csv(folder / "predictions.csv").sort_values("sample_id")
    return table[["p_covid19", "p_normal"]].to_numpy()


def test_ten_runs_are_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = carry_out(tmp_path, "0")
    for number in range(1, RUNS):
        assert carry_out(tmp_path, str(number)) == first
    with capsys.disabled():
        sys.stderr.write(f"\n{RUNS} runs of one seed, {len(first)} files: one hash each\n")


def test_threads_change_no_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a frozen network with a head: training all of a network enlarges the last digits."""
    for threads in (1, 2):
        carry_out(tmp_path, str(threads), threads, ("train.stages=[{}]",))
    one, two = (answers(tmp_path / str(threads)) for threads in (1, 2))
    furthest = np.abs(one - two).max()
    with capsys.disabled():
        sys.stderr.write(f"\n1 and 2 threads: answers differ by at most {furthest:.1e}\n")
    assert furthest <= 1e-6


def test_the_size_of_a_batch_changes_no_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(tmp_path / "model", "0" * 64)
    model = hilum.load_model(tmp_path / "model").trained
    stack = np.stack([model.pipeline(drawn(number)) for number in range(FILMS)])
    assert stack.shape[1:] == (SIDE, SIDE)
    whole = model.probabilities(stack)
    furthest = 0.0
    for size in SIZES:
        parts = [model.probabilities(stack[at : at + size]) for at in range(0, FILMS, size)]
        furthest = max(furthest, float(np.abs(np.concatenate(parts) - whole).max()))
    with capsys.disabled():
        sys.stderr.write(
            f"\nbatches of {', '.join(map(str, SIZES))} and {FILMS}: answers differ by at most "
            f"{furthest:.1e}\n"
        )
    assert furthest <= 1e-5
