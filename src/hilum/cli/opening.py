"""From what the user names, a path or a dataset, to its manifest."""

import difflib
from pathlib import Path

from hilum.cli.terminal import Terminal
from hilum.types import HilumError, Manifest, as_path


def open_set(
    name: str, data: Path | None, screen: Terminal, columns: dict[str, str] | None = None
) -> Manifest:
    """Read the images at a path, or a published dataset by its name.

    A dataset's name is looked up below `data`, else among those that `hilum data fetch` brought.
    Raises HilumError for what is neither.
    """
    from hilum.data import lookup, readers
    from hilum.data.cards import CARDS

    there = as_path(name).exists()
    if name in CARDS and (data is not None or not there):
        return readers.read(name, data or lookup.datasets_home())
    nearest = difflib.get_close_matches(name, CARDS, n=1)
    if nearest and not there:
        raise HilumError(
            f"wanted a path or a dataset of `hilum data list`; got {name!r}; "
            f"did you mean {nearest[0]!r}?"
        )
    return readers.open_path(name, readers.named(columns or {}), screen.step_later("read headers"))


def title(name: str) -> str:
    """How a set is called in a sentence: its folder's or file's name."""
    return Path(name).name or name
