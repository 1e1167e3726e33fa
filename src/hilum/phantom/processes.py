"""Spreads the drawing of films over processes: NumPy on small arrays leaves threads waiting.

The processes are plain ones, not multiprocessing's: a caller's script need not guard its main part.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

from hilum import files
from hilum.files import exit_codes
from hilum.phantom.request import Request
from hilum.types import HilumError

Share: TypeAlias = tuple[int, int]  # (k, n): the k-th of every n patients
Row: TypeAlias = tuple[int, dict[str, Any]]  # number of the film, and its row of the table
Draws: TypeAlias = Callable[[Share], Iterator[Row]]

WORKER = "hilum.phantom.worker"
ENOUGH = 120 * 256 * 256  # pixels of all films: fewer do not pay for the start of a process


def gather(
    request: Request, root: Path, draw: Draws, progress: Callable[[int, int], None] | None
) -> list[dict[str, Any]]:
    """The rows of all films in their order: one share drawn here, the others by processes.

    Raises HilumError where a process did not finish its share.
    """
    rows: dict[int, dict[str, Any]] = {}
    lock = Lock()

    def collect(drawn: Iterator[Row]) -> None:
        for number, row in drawn:
            with lock:
                rows[number] = row
                if progress:
                    progress(len(rows), request.images)

    size = crew(request)
    with ThreadPoolExecutor(size) as pool:
        others = [
            pool.submit(collect, _elsewhere(request, root, (k, size))) for k in range(1, size)
        ]
        collect(draw((0, size)))
        for other in others:
            other.result()
    return [rows[number] for number in sorted(rows)]


def crew(request: Request) -> int:
    """How many processes draw a request, this one included."""
    return min(files.available_cpus(), request.images * request.size**2 // ENOUGH + 1)


def _elsewhere(request: Request, root: Path, share: Share) -> Iterator[Row]:
    """Start a process and yield what it has drawn, film by film."""
    order = json.dumps({"request": asdict(request), "root": str(root), "share": share})
    path = os.pathsep.join(filter(None, sys.path))  # it finds what this one finds
    with subprocess.Popen(  # noqa: S603  (our own module, dials that were checked)
        [sys.executable, "-P", "-m", WORKER, order],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": path, "PYTHONUTF8": "1"},
    ) as worker:
        for line in worker.stdout or ():
            number, row = json.loads(line)
            yield number, row
        error = worker.stderr.read().strip() if worker.stderr else ""
    if worker.returncode:
        raise HilumError(
            f"a process that draws films must finish; got {exit_codes.ending(worker.returncode)} "
            f"({error.splitlines()[-1] if error else 'it said nothing'}); try again."
        )
