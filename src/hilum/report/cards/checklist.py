"""A checklist as a table: an item's number, what it asks in our words, and what answers it.

CLAIM: Tejani et al. 2024, doi:10.1148/ryai.240300.
TRIPOD+AI: Collins et al. 2024, doi:10.1136/bmj-2023-078378.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hilum.report.cards.facts import CardFacts

Fill: TypeAlias = Callable[[CardFacts], str]  # "" where the run does not know
State: TypeAlias = Literal["answered", "in part", "open"]
PERSON = "Open: only a person knows this."
UNRECORDED = "Open: this run does not record it."


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a checklist."""

    number: str  # as the checklist counts, "12a"
    section: str
    asks: str  # our own short wording
    fill: Fill | None = None  # None: no run can know
    add: str = ""  # what a person has to add to the run's answer


@dataclass(frozen=True, slots=True)
class Checklist:
    """A published checklist: its rows, where it was published, and how it counts."""

    name: str
    title: str
    source: str
    items: tuple[Item, ...]
    counted: str = "items"  # what a row is


@dataclass(frozen=True, slots=True)
class AnsweredItem:
    """An item with what the run says about it."""

    item: Item
    text: str
    state: State


def answer(item: Item, facts: CardFacts) -> AnsweredItem:
    """An item filled from the run, or marked open."""
    if item.fill is None:
        return AnsweredItem(item, PERSON, "open")
    text = facts.clean(item.fill(facts))
    if not text:
        return AnsweredItem(item, UNRECORDED, "open")
    return AnsweredItem(item, text, "in part" if item.add else "answered")


def answer_all(checklist: Checklist, facts: CardFacts) -> list[AnsweredItem]:
    """Every item of a checklist, in its order."""
    return [answer(item, facts) for item in checklist.items]


def share(rows: list[AnsweredItem], counted: str = "items") -> str:
    """ "31 of 44 items answered from the run, 9 of them in part; 13 are open"."""
    done = [row for row in rows if row.state != "open"]
    part = sum(row.state == "in part" for row in rows)
    partly = f", {part} of them in part" if part else ""
    still = len(rows) - len(done)
    rest = f"; {still} {'is' if still == 1 else 'are'} open" if still else ""
    return f"{len(done)} of {len(rows)} {counted} answered from the run{partly}{rest}"
