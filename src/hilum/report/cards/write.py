"""The cards as files: one row says a card's file, and what makes it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hilum import files
from hilum.files import ours
from hilum.report.cards import chai, checklist_page, model_card
from hilum.report.cards.checklist import AnsweredItem, share
from hilum.report.cards.claim import CLAIM
from hilum.report.cards.facts import CardFacts, read_facts
from hilum.report.cards.tripod import TRIPOD

Made = tuple[str, list[AnsweredItem]]


@dataclass(frozen=True, slots=True)
class Card:
    """One card: its name, file and source, and what makes it of a run and the model's licence."""

    name: str
    file: str
    source: str
    make: Callable[[CardFacts, str], Made]
    counted: str = "items"


CARDS = (
    Card("Model card", "MODEL_CARD.md", model_card.SOURCE, model_card.model_card, "entries"),
    Card(CLAIM.name, "CLAIM_2024.md", CLAIM.source,
         lambda facts, _: checklist_page.checklist_page(CLAIM, facts)),
    Card(TRIPOD.name, "TRIPOD_AI.md", TRIPOD.source,
         lambda facts, _: checklist_page.checklist_page(TRIPOD, facts),
         TRIPOD.counted),
    Card("CHAI applied model card", "chai_model_card.xml", chai.SOURCE,
         lambda facts, _: chai.chai_card(facts), "elements"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WrittenCard:
    """A card that was written, and how much of it the run answers."""

    name: str
    path: Path
    items: int
    answered: int  # those in part included
    in_part: int
    open: tuple[str, ...]  # numbers of the items that are left to a person
    source: str
    sentence: str


def write_cards(run_folder: Path, out: Path, licence: str = "") -> list[WrittenCard]:
    """Write every card of a finished run to the folder `out`.

    Raises MissingError without `results.json`, HilumError where a file cannot be read.
    """
    facts = read_facts(run_folder)
    out = files.ensure_writable_folder(out)
    for card in CARDS:
        files.require_own(out / card.file, ours.PAGE, "--out")
    return [_write(card, facts, out, licence) for card in CARDS]


def _write(card: Card, facts: CardFacts, out: Path, licence: str) -> WrittenCard:
    text, rows = card.make(facts, licence)
    path = out / card.file
    with files.atomic_write(path) as draft:
        draft.write_text(text, encoding="utf-8", errors="replace")
    still = tuple(row.item.number for row in rows if row.state == "open")
    part = sum(row.state == "in part" for row in rows)
    done = len(rows) - len(still)
    return WrittenCard(
        card.name, path, len(rows), done, part, still, card.source, f"{share(rows, card.counted)}."
    )
