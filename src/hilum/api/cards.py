"""Model card and reporting checklists of a finished run, as `hilum card` writes them."""

from pathlib import Path
from typing import TYPE_CHECKING

from hilum.types import as_path

if TYPE_CHECKING:
    from hilum.report.cards import WrittenCard


def card(run: str | Path, out: str | Path, *, licence: str = "") -> "list[WrittenCard]":
    """Write model card, CLAIM 2024, TRIPOD+AI and CHAI card, filled from a run; what was written.

    `licence` is the model's, as the Hugging Face hub names it. Raises MissingError for a folder
    that is no finished run's.
    """
    from hilum.report.cards import write_cards

    return write_cards(as_path(run), as_path(out), licence)
