#!/usr/bin/env bash
# Two processes that infer with OpenVINO on one thread each share one core, while the others are idle.
#
# A batch is divided among processes, each with INFERENCE_NUM_THREADS = 1, to use a core for each. One expects the system to give them
# different cores, as it does with ONNX Runtime, torch and NumPy.
# Seen: during a request OpenVINO binds its thread to a core, and counts cores from the first one in every process: all of them sit on the same
# core, each at half of its speed, and nothing says so. The thread is free again between requests, so that looking at an idle process shows nothing.
# ENABLE_CPU_PINNING = False leaves the threads to the system.
#
# Shown with openvino 2026.4.1 on Linux with two cores or more.
# In hilum: two workers took as long as one; models/runtime/openvino.py switches it off, tests/models/test_runtime.py looks at the threads.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check openvino==2026.4.1 'numpy<3'
cat > infer.py <<'PYTHON'
"""Infer for two seconds on one thread; print the cores to which a thread was bound meanwhile."""
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as ops

settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "THROUGHPUT"}
if sys.argv[1] == "free":
    settings["ENABLE_CPU_PINNING"] = False
image = ops.parameter([1, 64, 64, 64], np.float32)
kernel = ops.constant(np.ones((64, 64, 3, 3), np.float32))
layer = ops.convolution(image, kernel, [1, 1], [1, 1], [1, 1], [1, 1])
request = ov.Core().compile_model(ov.Model([layer], [image], "m"), "CPU", settings).create_infer_request()
pixels, end = np.zeros((1, 64, 64, 64), np.float32), time.monotonic() + 2


def infer():
    while time.monotonic() < end:
        request.infer({0: pixels})


everywhere, bound = os.sched_getaffinity(0), set()
worker = threading.Thread(target=infer)
worker.start()
while worker.is_alive():
    for task in Path("/proc/self/task").iterdir():
        try:
            cores = os.sched_getaffinity(int(task.name))
        except OSError:
            continue
        if cores != everywhere:
            bound.add(tuple(sorted(cores)))
    time.sleep(0.001)
print(sorted(bound))
PYTHON
cat > look.py <<'PYTHON'
import os
import subprocess
import sys
from importlib.metadata import version

print("openvino", version("openvino"), "on", len(os.sched_getaffinity(0)), "cores")
if len(os.sched_getaffinity(0)) < 2:
    sys.exit("two cores are needed to show it")
found = {}
for how in ("default", "free"):
    both = [subprocess.Popen([sys.executable, "infer.py", how], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    found[how] = [one.communicate()[0].strip() for one in both]
    print(how, "two processes, threads bound to cores:", *found[how])
first, second = found["default"]
sys.exit(0 if first == second != "[]" and found["free"] == ["[]", "[]"] else 1)
PYTHON
venv/bin/python look.py
