"""Linear algebra with no memory left: what was taken before is enough, too little is said."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").is_file(), reason="/proc tells the addresses in use"
)
CODE = """
import resource, sys
import numpy as np
from scipy.linalg import blas as scipy_blas
from hilum.files import blas
square = np.asfortranarray(np.ones((512, 512)))
out = square.copy(order="F")
def leave(more):
    lines = open("/proc/self/status").read().splitlines()
    size = int(next(line.split()[1] for line in lines if line.startswith("VmSize"))) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (size + more, size + more))
"""
ENOUGH = """
blas.take_buffers()
leave(1 << 20)
scipy_blas.dgemm(1.0, square, square, c=out, overwrite_c=1)
assert out[0, 0] == 512
np.matmul(square, square, out=out)
assert out[0, 0] == 512
print("done")
"""
TOO_LITTLE = """
leave(1 << 20)
try:
    blas.take_buffers()
except MemoryError:
    print("done")
"""


@pytest.mark.parametrize("what", [ENOUGH, TOO_LITTLE])
def test_what_was_taken_before_is_enough(what: str) -> None:
    """Without it both products wait for a buffer for ever."""
    done = subprocess.run(
        [sys.executable, "-c", CODE + what], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "done\n", done.stderr
