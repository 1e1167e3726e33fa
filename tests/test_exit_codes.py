"""How a process has ended is said in words, by the codes of real processes."""

import signal
import subprocess
import sys

import pytest

from hilum.files import bounds, exit_codes

LINUX = bounds.STATUS.is_file()


@pytest.mark.parametrize(
    ("code", "words", "overtime"),
    [
        ("sys.exit(3)", "exit code 3", False),
        ("pass", "exit code 0", False),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal SIGKILL", False),
        pytest.param(
            "os.kill(os.getpid(), signal.SIGRTMIN + 2)",
            f"signal {getattr(signal, 'SIGRTMIN', 0) + 2}", False,
            marks=pytest.mark.skipif(not LINUX, reason="no real-time signals"),
        ),
        pytest.param(
            "from hilum.files import bounds; bounds.bound_processor(0.1)\nwhile True: pass",
            "signal SIGXCPU", True,
            marks=pytest.mark.skipif(not LINUX, reason="no bounds of processes"),
        ),
    ],
)  # fmt: skip
def test_endings(code: str, words: str, overtime: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import os, signal, sys\n{code}"], check=False, timeout=60
    )
    assert exit_codes.ending(done.returncode) == words
    assert exit_codes.out_of_time(done.returncode) is overtime


def test_no_ending_is_no_overtime() -> None:
    assert not exit_codes.out_of_time(None)
