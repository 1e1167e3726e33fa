"""`hilum serve` as a process of its own, as a user starts it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ENTRY = "from hilum.cli import main; main()"
PATIENCE = 120  # seconds


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Running:
    """A server that listens."""

    process: "subprocess.Popen[str]"
    url: str
    start: str  # what it wrote until then

    def stop(self, number: int = signal.SIGTERM, *, group: bool = False) -> Ended:
        """Send a signal to the server, or to all its processes, and wait for its end."""
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        return self.end()

    def end(self) -> Ended:
        """Wait for the end."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return Ended(self.process.returncode, self.start + out, err)


def start(folder: Path, *words: str | Path, **environment: str) -> Running:
    """Start `hilum serve FOLDER --port 0 --json`, and wait for its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", ENTRY, "serve", str(folder), "--port", "0", "--json",
         *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, **environment},
    )  # fmt: skip
    text = "".join(_record(process))
    return Running(process, json.loads(text)["url"], text)


def _record(process: "subprocess.Popen[str]") -> Iterator[str]:
    """The lines of the JSON object that the server writes when it listens."""
    assert process.stdout is not None
    for line in process.stdout:
        yield line
        if line.startswith("}"):
            return
    raise AssertionError(process.communicate()[1])
