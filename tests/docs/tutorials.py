"""Runs a tutorial as a reader would: writes its files, runs its commands, compares its outputs.

The words after a fence say what a block is:

    ```sh run               each command succeeds
    ```sh fails 2           the command ends with this exit code; 2 where none is given
    ```sh background        a server, stopped at the tutorial's end
    ```text output          lines that the last command printed; "..." is any text within a line
    ```python NAME          a file that the reader saves under this name
    ```text NAME after X    lines that go below the line of a file that begins with X
    ```text NAME at the end

A block of one word is not run.
"""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "tutorials"
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)
ACTIONS = ("run", "fails", "background", "output")
START = 60  # seconds that a server may take to answer


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, what to do with it, and its text."""

    action: str  # of ACTIONS, "save", "insert" or "" for one that is only read
    words: str  # what follows the action, or a file's name
    text: str
    after: str = ""  # of an insertion: the beginning of the line above; "" is the file's end


def blocks(page: Path, until: str = "") -> list[Block]:
    """Every fenced block of a page in order, or those above the heading `until`."""
    text = page.read_text(encoding="utf-8")
    if until:
        text, heading, _ = text.partition(f"\n{until}\n")
        assert heading, f"{page.name} has no heading {until}"
    return [_block(info, block) for info, block in FENCE.findall(text)]


def _block(info: str, text: str) -> Block:
    _, _, words = info.strip().partition(" ")
    first, _, rest = words.partition(" ")
    if not words or first in ACTIONS:
        return Block(first, rest, text)
    if rest.startswith("after "):
        return Block("insert", first, text, rest.removeprefix("after "))
    if rest == "at the end":
        return Block("insert", first, text)
    if rest:
        raise AssertionError(f"nobody knows what to do with a block of ```{info}")
    return Block("save", first, text)


@dataclass(slots=True)
class Reader:
    """Someone who follows a tutorial in a folder."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    printed: str = ""  # by the last block of commands
    outputs: int = 0  # lines of output that were compared
    _server: subprocess.Popen[str] | None = None

    def follow(self, page: Path, until: str = "") -> None:
        """Do every block above the heading `until`, or all; a server is always stopped."""
        try:
            for block in blocks(page, until):
                self._do(block)
        finally:
            self._stop()

    def _do(self, block: Block) -> None:
        if block.action == "run":
            self._run(block.text, 0)
        elif block.action == "fails":
            self._run(block.text, int(block.words or 2))
        elif block.action == "background":
            self._serve(block.text)
        elif block.action == "output":
            self._compare(block.text)
        elif block.action == "save":
            path = self.folder / block.words
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.action == "insert":
            insert(self.folder / block.words, block.text, block.after)

    def _run(self, commands: str, code: int) -> None:
        with (self.folder / ".printed").open("w+") as file:
            done = self._start(commands, file).wait(timeout=900)
            file.seek(0)
            self.printed = file.read()
        assert done == code, f"{commands}exit code {done}, not {code}\n{self.printed}"

    def _start(self, commands: str, file: TextIO) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "-ec", commands],
            cwd=self.folder,
            env={**os.environ, "COLUMNS": "200", **self.environment},
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # so that a server ends with its children
        )

    def _serve(self, command: str) -> None:
        port = re.search(r"--port (\d+)", command)
        assert port, "the runner waits at the port that the command names"
        with (self.folder / ".served").open("w") as file:
            self._server = self._start(command, file)
        last = time.monotonic() + START
        while self._server.poll() is None and time.monotonic() < last:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/health", timeout=2).close()
            except urllib.error.HTTPError:
                return  # it answers, with whatever
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise AssertionError(f"{command} does not answer:\n{(self.folder / '.served').read_text()}")

    def _stop(self) -> None:
        if self._server and self._server.poll() is None:
            os.killpg(self._server.pid, signal.SIGINT)
            self._server.wait(timeout=30)

    def _compare(self, text: str) -> None:
        """Each line is somewhere in what was printed; the terminal's own line breaks are none."""
        printed = " ".join(self.printed.split())
        for line in text.splitlines():
            parts = [re.escape(" ".join(part.split())) for part in line.split("...")]
            assert re.search(".*?".join(parts), printed), f"not printed: {line}\n{self.printed}"
            self.outputs += 1


def insert(path: Path, text: str, after: str) -> None:
    """Put lines below the one line that begins with `after`, or at the end."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    found = [i for i, line in enumerate(lines, 1) if line.strip().startswith(after)]
    if after:
        assert len(found) == 1, f"{path.name} has {len(found)} lines that begin with {after}"
    at = found[0] if after else len(lines)
    path.write_text("".join([*lines[:at], text, *lines[at:]]), encoding="utf-8")


def path_of_commands() -> str:
    """$PATH with a `hilum` and a `python` of this very interpreter in front."""
    return f"{Path(sys.executable).parent}:{os.environ['PATH']}"
