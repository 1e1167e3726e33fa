"""Many paths in little memory: what a million films are listed in."""

import os
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload


class PathList(Sequence[Path]):
    """Paths in the order given: each folder once, and a Path, ten times as large, when asked for.

    >>> PathList(["films/1.png", "films/2.png"])[1].name
    '2.png'
    """

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self._folders: list[str] = []
        self._folder = array("I")  # of each path, its place among the folders
        self._names, self._ends = bytearray(), array("Q", [0])
        for path in paths:
            folder, name = os.path.split(path)
            if not self._folders or folder != self._folders[-1]:
                self._folders.append(folder)
            self._folder.append(len(self._folders) - 1)
            self._names += os.fsencode(name)
            self._ends.append(len(self._names))

    def __len__(self) -> int:
        return len(self._folder)

    @overload
    def __getitem__(self, place: int) -> Path: ...
    @overload
    def __getitem__(self, place: slice) -> list[Path]: ...
    def __getitem__(self, place: int | slice) -> Path | list[Path]:
        """One path, or some of them; IndexError beyond the last."""
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        at = range(len(self))[place]
        name = os.fsdecode(bytes(self._names[self._ends[at] : self._ends[at + 1]]))
        return Path(self._folders[self._folder[at]], name)
