"""A network is compiled where there is room for its threads; else it is said, not waited for."""

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
import openvino as ov
from openvino import opset13 as ops
from hilum.models.runtime.openvino import OpenVinoRuntime
pixels = ops.parameter([1, 1, 8, 8], np.uint8)
mean = ops.reduce_mean(ops.convert(pixels, np.float32), ops.constant([2, 3]), False)
model = ov.Model([mean], [pixels])
ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")  # loads what compiles
lines = open("/proc/self/status").read().splitlines()
size = int(next(line.split()[1] for line in lines if line.startswith("VmSize"))) * 1024
limit = size + (int(sys.argv[1]) << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    OpenVinoRuntime(model, (8, 8), "fp32")
except (MemoryError, RuntimeError) as error:
    print("refused", error)
else:
    print("compiled")
"""


@pytest.mark.parametrize(
    ("room", "outcome"), [(22, "refused"), (29, "refused"), (4096, "compiled")]
)
def test_too_little_room_for_threads_is_no_end_of_waiting(room: int, outcome: str) -> None:
    """OpenVINO alone may wait for ever, or end the process."""
    words = [sys.executable, "-c", CODE, str(room)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith(outcome), done.stderr
