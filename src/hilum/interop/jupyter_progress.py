"""Progress of long work in a notebook, or in any other program that tqdm can write to.

tqdm draws a widget in Jupyter where ipywidgets is installed, a text bar elsewhere.
"""

from typing import Any

from hilum.interop import optional
from hilum.progress import Advance, unit_of


class StepBar:
    """One step's bar: call it with (done, total); it closes when the step is complete."""

    def __init__(self, step: str) -> None:
        self._step = step
        self._tqdm: Any = optional.load("tqdm.auto", "a progress bar in a notebook", "tqdm").tqdm
        self._bar: Any = None  # opened by the first report: work that turns out to be none has none
        self._words = ""

    def __call__(self, done: int, total: int) -> None:
        """Move to `done` of `total`; a step that begins again has a new bar."""
        if self._bar is None or done < self._bar.n:
            self._close()
            name, unit = str(self._step), f" {unit_of(self._step)}"
            self._bar = self._tqdm(desc=name, unit=unit, total=total or None)
            self._bar.set_postfix_str(self._words)
        self._bar.total = total or None
        self._bar.update(done - self._bar.n)
        if 0 < total <= done:
            self._close()

    def note(self, words: str) -> None:
        """Show a few words after the numbers."""
        self._words = words
        if self._bar is not None:
            self._bar.set_postfix_str(words)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.refresh()
            self._bar.close()
        self._bar = None


def bars(step: str, /) -> Advance:
    """A bar for each step: `hilum.train("films", progress=hilum.interop.bars)`."""
    return StepBar(step)
