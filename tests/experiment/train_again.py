"""The same small run again and again in this process: train_again.py WORK COUNT; prints Growth."""

import os
import shutil
import sys
import time
from pathlib import Path

import whole_runs

import held

if __name__ == "__main__":
    work = Path(sys.argv[1])
    seconds, series = [], []
    for _ in range(int(sys.argv[2])):
        whole_runs.main(work / "out", {"HILUM_CACHE": str(work / "cache")}, 1, ())
        for name in ("out", "cache/pixels", "cache/features", "cache/answers"):
            shutil.rmtree(work / name, ignore_errors=True)
        seconds.append(time.monotonic())
        series.append(held.by_family(os.getpid()))
    growth = held.Growth.of(seconds, series)
    print(growth)  # noqa: T201
    print([one.memory >> 20 for one in series], file=sys.stderr)  # noqa: T201
    sys.exit(growth.handles > 0 or growth.threads > 0 or growth.memory > 0.02)
