"""A filled checklist as Markdown."""

import re
from itertools import groupby

from hilum.report.cards.checklist import AnsweredItem, Checklist, answer_all, share
from hilum.report.cards.facts import CardFacts
from hilum.types import NOTICE

# what Markdown would read as markup, in words that come from data
MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~$])")


def checklist_page(checklist: Checklist, facts: CardFacts) -> tuple[str, list[AnsweredItem]]:
    """The page of a checklist, and its rows."""
    rows = answer_all(checklist, facts)
    lines = [
        f"# {checklist.name}: {plain(facts.clean(facts.title))}",
        f"{checklist.title}. Source: {checklist.source}. The numbers are the checklist's; the "
        "wording is hilum's, so read the source before you submit this list.",
        f"{share(rows, checklist.counted)}. {NOTICE}",
    ]
    for section, group in groupby(rows, key=lambda row: row.item.section):
        lines += [f"## {section}", *map(_item, group)]
    return "\n\n".join(lines) + "\n", rows


def _item(row: AnsweredItem) -> str:
    add = f" *To add by a person: {row.item.add}.*" if row.item.add and row.state != "open" else ""
    text = f"*{row.text}*" if row.state == "open" else plain(row.text)
    return f"**{row.item.number}. {row.item.asks}**\n\n{text}{add}"


def plain(words: str) -> str:
    """Words of a run as Markdown shows them: on one line, nothing in them taken for markup."""
    return MARKUP.sub(r"\\\1", " ".join(words.split()))
