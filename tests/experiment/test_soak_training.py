"""E-25: twenty trainings in one process leave it as it was after the first ones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import held

HERE = Path(__file__).parent
COUNT = 20


@pytest.mark.hard
@pytest.mark.skipif(not held.PROC.is_dir(), reason="/proc tells what a process holds")
def test_trainings_do_not_grow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = os.pathsep.join([str(HERE), str(HERE.parent), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, HERE / "train_again.py", tmp_path, str(COUNT)],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    with capsys.disabled():
        sys.stderr.write(f"\n{COUNT} trainings in one process: {done.stdout}")
    assert done.returncode == 0, done.stderr[-3000:]
