"""What a person sees: progress on stderr, tables, one sentence for an error; or JSON on stdout."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

MARKS = {
    "pass": "[green]✓ pass[/]",
    "warn": "[yellow]! warn[/]",
    "fail": "[red]✗ fail[/]",
    "unknown": "[dim]? unknown[/]",
}


@dataclass(slots=True)
class Terminal:
    """Where to write and how much; passed down as a plain callable, never imported below."""

    as_json: bool = False
    verbosity: int = 0  # -1 quiet, 0 normal, 1 verbose
    out: Console = field(default_factory=Console)
    log: Console = field(default_factory=lambda: Console(stderr=True))
    bars: Progress | None = None

    @contextmanager
    def working(self) -> Iterator["Terminal"]:
        """Show progress bars for the steps that `step` opens inside this block."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description:<28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        quiet = self.verbosity < 0 or self.as_json or not self.log.is_terminal
        with Progress(*columns, console=self.log, disable=quiet) as self.bars:
            yield self
        self.bars = None

    def step(self, name: str) -> Callable[[int, int], None]:
        """Open a bar and return the function that moves it: (done, total)."""
        bars, task = self.bars, None
        if bars is not None and not bars.disable:
            task = bars.add_task(name, total=None)
        elif self.verbosity > 0:
            self.log.print(name)

        def move(done: int, total: int) -> None:
            if bars is not None and task is not None:
                bars.update(TaskID(task), completed=done, total=total)

        return move

    def say(self, text: str) -> None:
        """A line for people; silent under --json and -q."""
        if not self.as_json and self.verbosity >= 0:
            self.out.print(text, highlight=False, soft_wrap=True)

    def give(self, value: Any) -> None:
        """The machine-readable answer; printed under --json only."""
        if self.as_json:
            sys.stdout.write(json.dumps(value, indent=1, default=str, ensure_ascii=False) + "\n")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table for people."""
        if self.as_json or self.verbosity < 0:
            return
        drawn = Table(*columns, title=title, title_justify="left", title_style="bold")
        for row in rows:
            drawn.add_row(*[str(cell) for cell in row])
        self.out.print(drawn)
