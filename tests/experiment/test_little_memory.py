"""E-10: a command with ever less memory has the same answer, or ends in one sentence with code 2.

The limit is RLIMIT_AS, in even steps from what the command takes down to what its start takes.
HILUM_LIMITS: how many, 20 without it. The count is printed.
"""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import whole_runs
from batches import drawn, save_model

from hilum import recipes

pytestmark = [
    pytest.mark.hard,
    pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="/proc tells the peak"),
]

COUNT = int(os.environ.get("HILUM_LIMITS", "20"))
COMPUTED = ("pixels", "features", "answers")  # in the cache
CODE = """
import atexit, resource, sys
from pathlib import Path
from hilum.cli import main
said, limit = Path(sys.argv.pop(1)), int(sys.argv.pop(1))
def size(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name))) * 1024
if limit:
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
else:
    start = size("VmSize")
    atexit.register(lambda: said.write_text(f"{start} {size('VmPeak')}"))
main()
"""


def predict(home: Path, out: Path) -> list[str]:
    """Words of the command."""
    films = home / "films"
    films.mkdir(exist_ok=True)
    if not (home / "model").exists():
        for number in range(40):
            cv2.imwrite(str(films / f"{number:03}.png"), drawn(number))
        save_model(home / "model", "0" * 64)
    return ["predict", str(home / "model"), str(films), "--out", str(out / "predictions.csv")]


def run(home: Path, out: Path) -> list[str]:
    """The same; a recipe as a file."""
    recipe = home / "small.toml"
    recipe.write_text(recipes.as_toml(whole_runs.plan()))
    return ["run", str(recipe), "--out", str(out)]


def ended_below(done: "subprocess.CompletedProcess[str]") -> bool:
    """Whether a library or the dynamic linker has ended the process: Python is not asked then."""
    linker = done.returncode == 127 and "thread-local data: ABORT" in done.stderr
    return done.returncode < 0 or linker


@pytest.mark.parametrize("words", [predict, run])
def test_less_and_less_memory(
    tmp_path: Path, words: Callable[[Path, Path], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    out, cache, said = tmp_path / "out", tmp_path / "cache", tmp_path / "said"
    given = words(tmp_path, out)

    def carry_out(limit: int) -> "subprocess.CompletedProcess[str]":
        for place in (out, *(cache / name for name in COMPUTED)):
            shutil.rmtree(place, ignore_errors=True)
        return subprocess.run(
            [sys.executable, "-c", CODE, said, str(limit), *given],
            capture_output=True, text=True, check=False, timeout=600,
            env={**os.environ, "HILUM_CACHE": str(cache)},
        )  # fmt: skip

    for _ in range(2):  # the second finds its network in the cache, as all that follow
        done = carry_out(0)
        assert done.returncode == 0, done.stderr
    start, peak = map(int, said.read_text().split())
    whole = (out / "predictions.csv").read_bytes()
    ends: Counter[str] = Counter()
    faults = []
    for step in range(COUNT):
        limit = start + (peak - start) * (COUNT - step) // (COUNT + 1)
        done = carry_out(limit)
        if done.returncode == 0 and (out / "predictions.csv").read_bytes() == whole:
            ends["with the same answer"] += 1
        elif done.returncode == 2 and len(done.stderr.strip().splitlines()) < 4:
            ends["in a sentence"] += 1
        elif ended_below(done) and not (out / "predictions.csv").exists():
            ends["inside a library, without an answer"] += 1
        else:
            ends[f"with code {done.returncode}"] += 1
            faults.append(f"{limit >> 20} MiB: code {done.returncode}\n{done.stderr[-3000:]}")
    with capsys.disabled():
        told = ", ".join(f"{count} {end}" for end, count in ends.items())
        sys.stderr.write(
            f"\n{words.__name__} with {peak >> 20} to {start >> 20} MiB of addresses: {told}\n"
        )
    assert not faults, "\n\n".join(faults)
