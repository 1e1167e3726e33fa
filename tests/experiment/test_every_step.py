"""E-06: a run and an export that end, or are refused, at steps on the disk: old or new, never half.

Before every step of both, what is there is compared. From a share of these states the run goes on
to its end, and at a share of the kinds of steps the disk refuses. HILUM_STEPS: the share, of 1;
0.05 without it. The count is printed.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.hard
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="/proc names what is synchronised")
def test_old_or_new_at_every_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    share = os.environ.get("HILUM_STEPS", "0.05")
    path = os.pathsep.join([str(HERE), str(HERE.parent), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, HERE / "run_by_steps.py", tmp_path, share],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    counted = json.loads(done.stdout)
    with capsys.disabled():
        words = ", ".join(f"{number} {name}" for name, number in counted.items())
        sys.stderr.write(f"\non the disk: {words}: old or new, and the same bytes\n")
    assert counted["states"] > 100
    assert counted["refused"]
