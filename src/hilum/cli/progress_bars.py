"""Progress bars on stderr: how far each step is, how fast, and how long it still takes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.table import Column
from rich.text import Text

from hilum.cli import tables
from hilum.progress import process_of, unit_of

NAME, BAR = (26, 44), 12  # columns of a step's name, narrow and wide, and of its bar
WIDE = 100  # columns of a terminal that has room for long names
INDENT, DEEPEST = "  ", 2  # of a step inside another
RATED = {"images": "image", "epochs": "epoch", "headers": "header"}  # units with a speed
BYTES = "bytes"


@dataclass(slots=True)
class Pace:
    """How fast a step moves, counted from its first report: what came before is start-up."""

    clock: Callable[[], float] = time.monotonic
    began: tuple[float, int] | None = None  # when, and what was done then
    latest: tuple[float, int, int] = (0.0, 0, 0)  # when, done, total

    def report(self, done: int, total: int) -> None:
        """Take in a report; one that goes back starts anew."""
        now = self.clock()
        if self.began is None or done < self.latest[1]:
            self.began = (now, done)
        self.latest = (now, done, total)

    def speed(self) -> float | None:
        """Units per second between the first report and the latest, or None before there is one."""
        if self.began is None:
            return None
        seconds, units = self.latest[0] - self.began[0], self.latest[1] - self.began[1]
        return units / seconds if units > 0 and seconds > 0 else None

    def left(self) -> float | None:
        """Seconds until the end at this speed, less those since the latest report."""
        speed = self.speed()
        if speed is None:
            return None
        when, done, total = self.latest
        return max(0.0, (total - done) / speed - (self.clock() - when))


class Bars:
    """All bars of a command; a step that is opened while another is under way is part of it.

    Steps of different processes are not part of each other, but all are part of the run's own.
    """

    def __init__(self, console: Console, hidden: bool) -> None:
        width = NAME[console.width >= WIDE]
        name = TextColumn(
            "{task.description}", markup=False, table_column=Column(width=width, no_wrap=True)
        )
        columns = (SpinnerColumn(finished_text="✓"), name, BarColumn(BAR), _Count(), _Pace())
        self.hidden = hidden
        self.shown = Progress(*columns, console=console, disable=hidden)
        self._open: list[Bar] = []  # outermost first

    def open(self, step: str) -> "Bar":
        """The bar of a step, below those that are under way; a step of that name starts anew."""
        process = process_of(step)
        outer = [bar for bar in self._open if bar.process in {0, process} and bar.step != step]
        depth = min(sum(not bar.finished for bar in outer), DEEPEST)
        same = (bar for bar in self._open if (bar.step, bar.process) == (step, process))
        bar = next((bar for bar in same if bar.depth), None) or Bar(self, step, depth, process)
        bar.restart()
        return bar

    def keep(self, bar: "Bar") -> None:
        """Count a bar that is drawn among those that are open."""
        if bar not in self._open:
            self._open.append(bar)

    def close_inner(self, outer: "Bar") -> None:
        """Take away what was opened inside a step that has moved on."""
        if outer in self._open:
            at = self._open.index(outer) + 1
            inner = [bar for bar in self._open[at:] if bar.is_over_after(outer)]
            for bar in inner:
                bar.hide()
            self._open = [bar for bar in self._open if bar not in inner]


@dataclass(slots=True, eq=False)
class Bar:
    """One step's bar: call it with (done, total)."""

    bars: Bars
    step: str
    depth: int
    process: int = 0
    pace: Pace = field(default_factory=Pace)
    finished: bool = False
    _words: str = ""
    _task: TaskID | None = None

    def __call__(self, done: int, total: int) -> None:
        """Move to `done` of `total`; what was opened inside this step is over."""
        self.pace.report(done, total)
        self.finished = 0 < total <= done
        self.bars.close_inner(self)
        self._update(done, total or None)

    def is_over_after(self, outer: "Bar") -> bool:
        """Whether this bar is inside `outer`, which has moved on, and not under way elsewhere."""
        elsewhere = self.process != outer.process and not self.finished
        return self.depth > outer.depth and not elsewhere

    def note(self, words: str) -> None:
        """Show a few words after the numbers."""
        self._words = words
        _, done, total = self.pace.latest
        self._update(done, total or None)

    def restart(self) -> None:
        """Begin at nothing, with no speed and no words."""
        self.hide()
        self.pace, self.finished, self._words = Pace(), False, ""
        self.show()

    def show(self) -> None:
        """Draw the bar."""
        self.bars.keep(self)
        if self._task is None and not self.bars.hidden:
            name = INDENT * self.depth + tables.clean(self.step)
            self._task = self.bars.shown.add_task(
                name, total=None, pace=self.pace, unit=unit_of(self.step), words=self._words
            )

    def hide(self) -> None:
        """Take the bar away; it comes back where the step moves again."""
        if self._task is not None:
            self.bars.shown.remove_task(self._task)
            self._task = None

    def _update(self, done: int, total: int | None) -> None:
        self.show()
        if self._task is not None:
            self.bars.shown.update(self._task, completed=done, total=total, words=self._words)


class _Count(ProgressColumn):
    """ "310/585", or nothing while nobody knows how many there are."""

    def render(self, task: Task) -> Text:
        """The numbers of a step."""
        if task.total is None:
            done = int(task.completed)
            return Text(_amount(done, task.fields["unit"]) if done else "")
        if task.fields["unit"] == BYTES:
            return Text(f"{decimal(int(task.completed))} of {decimal(int(task.total))}")
        return Text(f"{int(task.completed):,}/{int(task.total):,}".rjust(9), "progress.download")


class _Pace(ProgressColumn):
    """ "41 images/s, 0:12 left, 275 from the cache"; when it is done, what it took."""

    def render(self, task: Task) -> Text:
        """Speed, time left, and the step's note."""
        pace, unit, words = task.fields["pace"], task.fields["unit"], task.fields["words"]
        parts = [speed_words(pace.speed(), unit)]
        if task.finished or task.total is None:
            parts.append(clock_words(task.elapsed or 0.0))
        elif (left := pace.left()) is not None:
            parts.append(f"{clock_words(left)} left")
        else:
            parts.append(clock_words(task.elapsed or 0.0))
        return Text(", ".join(part for part in (*parts, words) if part), "progress.remaining")


def speed_words(speed: float | None, unit: str) -> str:
    """ "41 images/s", "2.3 s/image", or nothing for a unit whose speed says nothing."""
    if speed is None or (unit not in RATED and unit != BYTES):
        return ""
    if unit == BYTES:
        return f"{decimal(int(speed))}/s"
    if speed < 1:
        return f"{1 / speed:.1f} s/{RATED[unit]}"
    return f"{speed:,.0f} {unit}/s" if speed >= 10 else f"{speed:.1f} {unit}/s"


def clock_words(seconds: float) -> str:
    """ "0:12", "1:02:03"."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def _amount(done: int, unit: str) -> str:
    return decimal(done) if unit == BYTES else f"{done:,}"
