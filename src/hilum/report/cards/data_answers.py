"""What a run says of its images: sources, selection, missing values, labels, parts, people.

The questions: Gebru et al. 2021, doi:10.1145/3458723.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from hilum.report import leak_check, sections
from hilum.report.cards.facts import CardFacts, listed
from hilum.report.wording import class_name, count, plain_value, prose

FINDINGS = 3  # of a publisher, that a class is made of
REASONS = 6  # for leaving images out
FACTS = {
    "patient_id": "patient", "source": "source", "age": "age", "sex": "sex", "view": "view",
}  # fmt: skip
PARTS = ("train", "validation", "test")


def sources(facts: CardFacts) -> str:
    """Every data set with its size, sources, licence and citation."""
    return " ".join(_set(row) for row in _sets(facts))


def licences(facts: CardFacts) -> str:
    """The licence of every data set, and where it is published."""
    texts = []
    for row in _sets(facts):
        home = row.get("homepage") or row.get("home") or row.get("url")
        licence = row.get("licence") or "not stated"
        texts.append(f"{_name(row)}: {licence}{f' ({home})' if home else ''}.")
    return " ".join(texts)


def population(facts: CardFacts) -> str:
    """Who the patients are, as the cards of the public sets have it."""
    return " ".join(
        f"{_name(row)}: {row['population']}." for row in _sets(facts) if row.get("population")
    )


def shortcuts(facts: CardFacts) -> str:
    """What the cards of the data sets warn of."""
    found = [
        f"{_name(row)}: {plain_value(row['known_shortcuts'])}."
        for row in _sets(facts)
        if row.get("known_shortcuts")
    ]
    return " ".join(found)


def citations(facts: CardFacts) -> list[tuple[str, str]]:
    """(name, citation) of every data set that has one."""
    return [(row.name, row.citation) for row in sections.sets(facts.run) if row.citation]


def _sets(facts: CardFacts) -> list[dict[str, Any]]:
    data = facts.run.section("data")
    cards = data.get("sets", data)
    if isinstance(cards, Mapping):
        return [{"name": k, **v} for k, v in cards.items() if isinstance(v, Mapping)]
    return [dict(card) for card in cards or [] if isinstance(card, Mapping)]


def _name(row: Mapping[str, Any]) -> str:
    return str(row.get("title") or row.get("name") or "the images")


def _set(row: Mapping[str, Any]) -> str:
    parts = [count(row["images"], "image")] if isinstance(row.get("images"), int) else []
    patients = row.get("patients")
    parts.append(
        f"of {count(patients, 'patient')}" if isinstance(patients, int) else "of unknown patients"
    )
    origin = row.get("source") or row.get("sources")
    named = f"; sources: {plain_value(origin)}" if origin else "; sources not recorded"
    licence = f"; licence: {row.get('licence') or 'not stated'}"
    cite = f"; {row['citation']}" if row.get("citation") else ""
    return f"{_name(row)}: {' '.join(parts)}{named}{licence}{cite}."


def eligibility(facts: CardFacts) -> str:
    """Which images were used, and what was left out for which reason."""
    if not facts.run.classes:
        return ""
    used = f"Used: images labelled {facts.classes}."
    groups = sections.left_out(facts.run)
    if not groups:
        return f"{used} No image was left out."
    shown = "; ".join(f"{item.n:,}: {item.reason}" for item in groups[:REASONS])
    more = sum(item.n for item in groups[REASONS:])
    rest = f"; {more:,} for other reasons" if more else ""
    return prose(f"{used} Left out: {shown}{rest}.")


def subsets(facts: CardFacts) -> str:
    """What the recipe keeps or takes of each data set."""
    rows = [row for row in facts.run.recipe.get("data") or [] if isinstance(row, Mapping)]
    if not rows:
        return ""
    chosen = []
    for row in rows:
        name = str(row.get("card") or "own images")
        chosen += [
            f"{name}: {key} {plain_value(row[key])}"
            for key in ("keep", "take", "rename")
            if row.get(key)
        ]
    return f"{'; '.join(chosen)}." if chosen else "No subset was drawn: all usable images."


def missing(facts: CardFacts) -> str:
    """How many images lack which fact, and what became of them."""
    table = facts.images()
    if table is None:
        return ""
    unknown = [
        f"{word} of {int(table[key].isna().sum()):,}"
        for key, word in FACTS.items()
        if table[key].isna().any()
    ]
    if not unknown:
        return f"Patient, source, age, sex and view are known for all {len(table):,} images."
    return (
        f"Of {count(len(table), 'image')}, unknown are the {listed(unknown)}. "
        "Nothing was imputed: the network sees pixels alone. Audits that need a missing fact "
        "are marked as not checked."
    )


def acquisition(facts: CardFacts) -> str:
    """Modality and view of the images."""
    table = facts.images()
    if table is None:
        return ""
    told = [_counted(table, key) for key in ("modality", "view")]
    return " ".join(text for text in told if text)


def _counted(table: pd.DataFrame, key: str) -> str:
    if table[key].isna().all():
        return ""
    counts = table[key].fillna("not recorded").value_counts()
    return f"{key.capitalize()}: {', '.join(f'{name} {n:,}' for name, n in counts.items())}."


def labels(facts: CardFacts) -> str:
    """What each class is made of: the publishers' own labels."""
    table = facts.images()
    if table is None or table["finding"].isna().all():
        return ""
    texts = []
    for name, rows in table.groupby("label", sort=False):
        counts = rows["finding"].value_counts()
        shown = ", ".join(f"'{found}' ({n:,})" for found, n in counts.head(FINDINGS).items())
        more = f" and {len(counts) - FINDINGS} more" if len(counts) > FINDINGS else ""
        texts.append(f"{class_name(str(name))}: {shown}{more}")
    return f"The labels of the data's publisher, as found: {'; '.join(texts)}."


def partition(facts: CardFacts) -> str:
    """Kind of split, folds, seed, and how many images are in each part."""
    split = facts.run.section("split")
    if not split.get("kind"):
        return ""
    kind = sections.KINDS.get(str(split["kind"]), str(split["kind"]))
    seeds = plain_value(split.get("seeds") or split.get("seed"))
    counts = split.get("counts") or {}
    parts = "; ".join(
        f"{fold}: {', '.join(f'{part} {n:,}' for part, n in _ordered(sizes))}"
        for fold, sizes in counts.items()
    )
    sized = f" Images: {parts}." if parts else ""
    return f"{kind[:1].upper()}{kind[1:]} (seed {seeds}).{sized}"


def _ordered(sizes: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(sizes.items(), key=lambda item: PARTS.index(item[0]) if item[0] in PARTS else 9)


def disjoint(facts: CardFacts) -> str:
    """At which level the parts are apart, and what the leak check found."""
    split = facts.run.section("split")
    if not split.get("grouped_by"):
        return ""
    level = leak_check.grouped_by(facts.run, str(split["grouped_by"]))
    found = split.get("leaks")
    pairs = f"{count(len(found), 'pair')} of images found on both sides." if found else ""
    checked = " ".join(box.text for box in leak_check.boxes(facts.run))
    return " ".join(filter(None, (f"Kept together by {level}.", pairs, checked)))


def sizes(facts: CardFacts) -> str:
    """How many images and patients there are, by class."""
    n = facts.run.section("n")
    if not n.get("images"):
        return ""
    patients = n.get("patients")
    people = count(patients, "patient") if isinstance(patients, int) else "unknown patients"
    classes = n.get("classes") or n.get("per_class") or {}
    by_class = ", ".join(f"{class_name(str(name))} {k:,}" for name, k in classes.items())
    return f"{count(n['images'], 'image')} of {people}: {by_class or 'classes not counted'}."


def flow(facts: CardFacts) -> str:
    """Used and left out, and the parts."""
    used = sizes(facts)
    if not used:
        return ""
    left = sum(item.n for item in sections.left_out(facts.run))
    return f"Used: {used} Left out: {count(left, 'item')}. {partition(facts)}".strip()


def people(facts: CardFacts) -> str:
    """Age and sex of the patients, in each part where one split was made."""
    table = facts.images()
    if table is None:
        return ""
    groups = {"all images": table, **_parts(facts, table)}
    texts = [f"{name}: {text}" for name, rows in groups.items() if (text := _person(rows))]
    return f"{'; '.join(texts)}." if texts else ""


def _parts(facts: CardFacts, table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    splits = facts.run.splits
    if splits is None or splits["fold"].nunique() > 1:
        return {}
    part = splits.drop_duplicates("sample_id").set_index("sample_id")["part"]
    each = table["sample_id"].map(part)
    return {name: table[each == name] for name in PARTS if (each == name).any()}


def _person(rows: pd.DataFrame) -> str:
    age, sex = rows["age"].dropna(), rows["sex"].dropna()
    parts = [count(len(rows), "image")]
    if len(age):
        low, middle, high = age.quantile([0.25, 0.5, 0.75])
        parts.append(f"median age {middle:g} (quartiles {low:g} and {high:g}; n = {len(age):,})")
    if len(sex):
        women = int((sex == "F").sum())
        parts.append(f"{women / len(sex):.0%} female ({women:,} of {len(sex):,})")
    return ", ".join(parts) if len(parts) > 1 else ""
