"""Every step that Python takes on the disk below a folder: what is there before it, or it fails.

Apart from its tests: an audit hook stays as long as its process.
"""

import hashlib
import os
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
EVENTS = {
    "open",
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.truncate",
    "shutil.copyfile",
}
HIDDEN = re.compile(r"(^|/)\.[^/]+")
Content = dict[str, str]  # path below the folder -> digest of a file's bytes


def plain(name: str) -> str:
    """A path without what differs from run to run: names of temporary files, numbers of films."""
    return re.sub(r"[0-9a-f]{24}\.jpg|\d+_\d{5}_\d\d", "film", re.sub(r"[0-9a-f]{8}", "x", name))


@dataclass
class Steps:
    """The steps below `folder`; `act` is called before each of them with its name and path."""

    folder: Path
    act: Callable[[str, str], None] = lambda name, path: None
    inside: bool = False

    def install(self) -> None:
        """From now on, for as long as this process lives."""
        sys.addaudithook(self._hear)
        real = os.fsync

        def fsync(handle: Any) -> None:
            path = Path(f"/proc/self/fd/{handle}").readlink()
            self._step("os.fsync", str(path))
            real(handle)

        os.fsync = fsync

    def _hear(self, event: str, given: tuple[Any, ...]) -> None:
        if event not in EVENTS or self.inside:
            return
        if event == "open" and not (isinstance(given[2], int) and given[2] & WRITING):
            return
        place = given[1] if event in {"os.rename", "shutil.copyfile"} else given[0]
        if isinstance(place, str | bytes | os.PathLike):
            self._step(event, os.fsdecode(place))

    def _step(self, event: str, path: str) -> None:
        below = os.path.relpath(path, self.folder)
        if below.startswith("..") or self.inside:
            return
        self.inside = True
        try:
            self.act(event, below)
        finally:
            self.inside = False


@dataclass
class Recorder:
    """What a folder holds before every step, each file's bytes once, in `store`."""

    folder: Path
    store: Path
    states: list[Content] = field(default_factory=list)
    steps: list[tuple[str, str]] = field(default_factory=list)
    _known: dict[tuple[str, int, int, int], str] = field(default_factory=dict)

    def __call__(self, event: str, path: str) -> None:
        """Note a step and what is there before it."""
        self.steps.append((event, path))
        self.states.append(self.look())

    def look(self) -> Content:
        """What is there now."""
        found: Content = {}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path.name != ".hilum-lock":
                found[path.relative_to(self.folder).as_posix()] = self._digest(path)
        return found

    def _digest(self, path: Path) -> str:
        state = path.stat()
        key = (str(path), state.st_ino, state.st_size, state.st_mtime_ns)
        if key not in self._known:
            content = path.read_bytes()
            self._known[key] = hashlib.sha256(content).hexdigest()
            kept = self.store / self._known[key]
            if not kept.exists():
                kept.write_bytes(content)
        return self._known[key]

    def restore(self, state: Content) -> None:
        """The folder as it was."""
        for name, digest in state.items():
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((self.store / digest).read_bytes())


@dataclass
class Refusing:
    """Fails once, at the first step of this kind."""

    folder: Path
    event: str
    path: str  # as `plain` has it
    number: int
    refused: Counter[str] = field(default_factory=Counter)

    def __call__(self, event: str, path: str) -> None:
        """Raise the error where it is the step."""
        if not self.refused and (event, plain(path)) == (self.event, self.path):
            self.refused[event] += 1
            raise OSError(self.number, os.strerror(self.number), str(self.folder / path))
