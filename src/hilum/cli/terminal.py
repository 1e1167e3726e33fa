"""What a person sees: progress on stderr, tables and sentences; or JSON on stdout for machines."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.text import Text

from hilum.cli import tables
from hilum.cli.json_output import as_json
from hilum.cli.progress_bars import Bars
from hilum.cli.tables import Cell
from hilum.progress import Advance, silent
from hilum.types import LeftOut

LISTED = 10  # things of one kind that are shown without -v
PIPE = 160  # columns of a table that no terminal shows, unless COLUMNS says otherwise
SMALLEST = 20
WIDE = 100  # columns of a terminal that has room for what can also be left away


@dataclass(slots=True)
class Terminal:
    """Where to write and how much; passed down as a plain callable, never imported below."""

    as_json: bool = False
    verbosity: int = 0  # -1 quiet, 0 normal, 1 verbose
    out: Console = field(default_factory=Console)
    log: Console = field(default_factory=lambda: Console(stderr=True))
    bars: Bars | None = None
    _said: set[str] = field(default_factory=set)  # steps that -v has named

    @property
    def silent(self) -> bool:
        """Whether nothing is said to people."""
        return self.as_json or self.verbosity < 0

    @property
    def narrow(self) -> bool:
        """Whether there is no room for more than the most important columns."""
        return self.width < WIDE

    @property
    def width(self) -> int:
        """Columns that a table may take: the terminal's; in a pipe COLUMNS, else PIPE."""
        columns = os.environ.get("COLUMNS", "")
        if self.out.is_terminal:
            return self.out.width
        return int(columns) if columns.isdecimal() and int(columns) >= SMALLEST else PIPE

    @contextmanager
    def working(self) -> Iterator["Terminal"]:
        """Show progress bars for the steps that `step` opens inside this block."""
        self.bars = Bars(self.log, self.silent or not self.log.is_terminal)
        with self.bars.shown:
            yield self
        self.bars = None

    def step(self, name: str) -> Advance:
        """Open a bar and return the function that moves it: (done, total)."""
        if self.bars is not None and not self.bars.hidden:
            return self.bars.open(name)
        if self.verbosity > 0 and not self.as_json and name not in self._said:
            self._said.add(name)
            self.log.print(Text(tables.clean(name)))
        return silent(name)

    def step_later(self, name: str) -> Advance:
        """The same, but shown from the first move on: for work that may turn out to be none."""
        opened: list[Advance] = []

        def advance(done: int, total: int) -> None:
            if not opened:
                opened.append(self.step(name))
            opened[0](done, total)

        return advance

    def say(self, sentence: str, style: str = "") -> None:
        """A sentence for people, wrapped between words; silent under --json and -q."""
        if not self.silent:
            text = Text(tables.clean(sentence), style)
            self.out.print(text, soft_wrap=not self.out.is_terminal)

    def point(self, what: str, where: object) -> None:
        """Say where something lies; the path stays whole, to be copied."""
        if not self.silent:
            self.out.print(Text(tables.clean(f"{what}: {where}")), soft_wrap=True)

    def gap(self) -> None:
        """An empty line for people."""
        if not self.silent:
            self.out.print()

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """A table for people; nothing where it has no rows."""
        if self.silent or not rows:
            return
        self.out.print()
        if self.out.is_terminal:
            self.out.print(tables.draw_table(title, columns, rows, self.width))
        else:
            self.out.print(Text(tables.plain(title, columns, rows, self.width)), soft_wrap=True)

    def left_out(self, items: Sequence[LeftOut]) -> None:
        """What was not used: counted, and listed with its reason."""
        if not items:
            return
        shown = items if self.verbosity > 0 else items[:LISTED]
        rows = [(item.reason, item.what) for item in shown]
        self.table("Left out", ("why", "what"), rows)
        if len(shown) < len(items):
            more = sum(item.count for item in items[len(shown) :])
            self.say(f"{more:,} more are left out; -v lists all.", "dim")

    def notes(self, sentences: Sequence[str]) -> None:
        """What must be known of the images: how labels became classes, what is unknown."""
        for sentence in sentences:
            self.say(f"• {sentence}")

    def give(self, value: Any) -> None:
        """The machine-readable answer; printed under --json only."""
        if self.as_json:
            sys.stdout.write(as_json(value) + "\n")
