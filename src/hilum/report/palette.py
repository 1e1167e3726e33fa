"""Colours that stay apart for colour-blind readers, and the statuses' words.

Okabe & Ito's eight colours, as reprinted by Wong 2011, doi:10.1038/nmeth.1618.
"""

from collections.abc import Sequence
from dataclasses import dataclass

OKABE_ITO = {
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "orange": "#E69F00",
    "yellow": "#F0E442",
    "black": "#000000",
}
# Yellow on white is too faint for a line, so series use the other seven.
SERIES = tuple(OKABE_ITO[name] for name in OKABE_ITO if name != "yellow")
LINES = ("-", "--", "-.", ":")  # from the eighth series on, a second line style tells them apart
INK = "#1c2330"
MUTED = "#566070"
GRID = "#e3e7ec"
EXPECTED_CLASS_COLOURS = {
    "covid19": OKABE_ITO["vermillion"],
    "normal": OKABE_ITO["blue"],
    "non_covid": OKABE_ITO["blue"],
    "pneumonia": OKABE_ITO["purple"],
    "bacterial_pneumonia": OKABE_ITO["green"],
    "viral_pneumonia": OKABE_ITO["purple"],
}


@dataclass(frozen=True, slots=True)
class Status:
    """How an audit's status is named in CSS, table and verdict; its rank, the worst first."""

    name: str
    word: str
    verdict: str
    rank: int


STATUSES = {
    "fail": Status("fail", "Fail", "Fails its audits", 0),
    "warn": Status("warn", "Warning", "Passes, with warnings", 1),
    "unknown": Status("unknown", "Not checked", "Not audited", 2),
    "pass": Status("pass", "Pass", "Passes its audits", 3),
}


def series(names: Sequence[str]) -> dict[str, str]:
    """A colour per name: known classes keep theirs in every report, others take what is left."""
    fixed = {name: EXPECTED_CLASS_COLOURS[name] for name in names if name in EXPECTED_CLASS_COLOURS}
    if len(set(fixed.values())) < len(fixed):
        fixed = {}
    free = [colour for colour in SERIES if colour not in fixed.values()] or list(SERIES)
    others = [name for name in names if name not in fixed]
    return fixed | {name: free[i % len(free)] for i, name in enumerate(others)}
