#!/usr/bin/env bash
# torch's CPU threads spin while they wait, and OMP_WAIT_POLICY set after `import torch` changes nothing.
#
# Expected: two threads that share one core share its time: the same work takes about the processor
#   time that it takes on two cores, and a policy set before the first parallel region is obeyed.
# Seen: torch 2.13.0 for Linux brings a libgomp of its own. A thread that has done its part spins (300,000
#   rounds) on the very core that the other one needs: many times the processor time for the same work.
#   libgomp reads its environment once, when it is loaded: os.environ before `import torch` works,
#   after it nothing happens, not even a warning. OMP_WAIT_POLICY=PASSIVE takes the excess away.
# Where it hurts: training beside other processes, in containers, in a cluster's shared node.
# hilum's guard: hilum/__init__.py; tests/models/test_threads.py.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy
cat >"$home/spin.py" <<'PYTHON'
import os
import sys
import time

when = sys.argv[1]
if when == "before":
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
import torch

if when == "after":
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
torch.set_num_threads(2)
x = torch.ones(400_000)
x.mul_(1.0)  # both threads exist now
core = {min(os.sched_getaffinity(0))}
for thread in os.listdir("/proc/self/task"):  # as where a neighbour has the other core
    os.sched_setaffinity(int(thread), core)
start = time.process_time()
for _ in range(300):
    x.mul_(1.0)
print(time.process_time() - start)
PYTHON
unset OMP_WAIT_POLICY GOMP_SPINCOUNT OMP_NUM_THREADS
never=$("$home/venv/bin/python" "$home/spin.py" never)
before=$("$home/venv/bin/python" "$home/spin.py" before)
after=$("$home/venv/bin/python" "$home/spin.py" after)
"$home/venv/bin/python" - "$never" "$before" "$after" <<'PYTHON'
import sys

import torch

never, before, after = map(float, sys.argv[1:])
print(f"torch {torch.__version__}, 300 products of 400,000 numbers, 2 threads on 1 core")
print(f"policy not set:               {never:.3f} s of processor time")
print(f"PASSIVE before import torch:  {before:.3f} s")
print(f"PASSIVE after import torch:   {after:.3f} s")
sys.exit(0 if never > 5 * before and after > 5 * before else 1)
PYTHON
