"""From the labels of a table or the names of class folders to classes, none of them by chance."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from hilum.datasets.vocabulary import bare, class_name, plain_term, synonym
from hilum.types import HilumError

ALWAYS = re.compile(r"[|;\n]")  # a label with one of these names several findings
OFTEN = re.compile(r",|&|\+|\band\b", re.IGNORECASE)  # if one of the parts is a label as well
SELDOM = re.compile("/")  # if every part is
QUOTED = re.compile(r"""'([^']*)'|"([^"]*)\"""")
# a list as Python, NumPy and JSON write it, which PadChest has in its column of labels
LISTED = re.compile(rf"\[\s*(?:{QUOTED.pattern})(?:[\s,]+(?:{QUOTED.pattern}))*[\s,]*\]")
ANY = re.compile(f"{OFTEN.pattern}|{SELDOM.pattern}", re.IGNORECASE)
REPORTED = {"nofinding", "nofindings"}  # a report without a finding says less than "normal"


def classes(findings: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """The class of each different label, and what a person must know of them.

    Labels share a class where they differ in capitals and spaces alone, are synonyms of one fixed
    name (`vocabulary.CLASSES`), or name the same several findings; each of these is noted. Raises
    HilumError where two others would share one.
    """
    texts = sorted(set(findings))
    several = combinations(texts)
    names = {text: _class(several.get(text, (text,))) for text in texts}
    meanings = {text: _meaning(several.get(text, (text,))) for text in texts}
    _refuse_chance(names, meanings)
    return names, [*_merged(names), *_renamed(names, several), *_choice(several)]


def combinations(texts: list[str]) -> dict[str, tuple[str, ...]]:
    """Label -> its findings, each once and in one order, for labels that name several."""
    parts_of = {text: _listed(text) for text in texts if LISTED.fullmatch(text)}
    plain_texts = [text for text in texts if text not in parts_of]
    alone = {bare(part) for text in texts for part in parts_of.get(text, (text,))}
    parts_of |= {text: _parts(ALWAYS, text) for text in plain_texts if ALWAYS.search(text)}
    for text in plain_texts:
        often, seldom = _whole(OFTEN, text), _whole(SELDOM, text)
        if any(bare(part) in alone for part in often) and not synonym(text):
            parts_of.setdefault(text, often)
        if seldom and all(bare(part) in alone for part in seldom):
            parts_of.setdefault(text, seldom)
    return parts_of | _turned_round(texts, parts_of)


def _turned_round(
    texts: list[str], parts_of: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Labels of the same parts in another order, such as "A, B" and "B, A"."""
    parts = {text: parts_of.get(text) or _whole(ANY, text) for text in texts}
    keys = {text: tuple(map(bare, named)) for text, named in parts.items() if named}
    common = Counter(key for key in keys.values() if len(key) > 1)
    return {text: parts[text] for text, key in keys.items() if common[key] > 1}


def _listed(text: str) -> tuple[str, ...]:
    """The findings of a label such as "['pneumonia', 'normal']"."""
    return _ordered((single or double for single, double in QUOTED.findall(text)), text)


def _parts(separator: re.Pattern[str], text: str) -> tuple[str, ...]:
    return _ordered(separator.split(text), text)


def _ordered(parts: Iterable[str], text: str) -> tuple[str, ...]:
    by_key = {bare(part): part.strip() for part in parts if bare(part)}
    return tuple(by_key[key] for key in sorted(by_key)) or (text,)


def _whole(separator: re.Pattern[str], text: str) -> tuple[str, ...]:
    """The parts of a label if each has a letter: 3+4 is a score, COVID+ a finding with a sign."""
    pieces = separator.split(text)
    words = len(pieces) > 1 and all(re.search(r"[^\W\d_]", piece) for piece in pieces)
    return _parts(separator, text) if words else ()


def _class(parts: tuple[str, ...]) -> str:
    return "_and_".join(sorted({class_name(part) for part in parts}))


def _meaning(parts: tuple[str, ...]) -> frozenset[str]:
    """Equal for labels that may share a class."""
    return frozenset(
        bare(part) if plain_term(part) in REPORTED else synonym(part) or bare(part)
        for part in parts
    )


def _by_class(names: Mapping[str, str]) -> dict[str, list[str]]:
    by_class: dict[str, list[str]] = {}
    for text, name in names.items():
        by_class.setdefault(name, []).append(text)
    return {name: texts for name, texts in by_class.items() if len(texts) > 1}


def _refuse_chance(names: Mapping[str, str], meanings: Mapping[str, frozenset[str]]) -> None:
    for name, texts in _by_class(names).items():
        other = next((text for text in texts if meanings[text] != meanings[texts[0]]), None)
        if other is not None:
            raise HilumError(
                f"labels that differ must become different classes; got {texts[0]!r} and "
                f"{other!r}, and both would be {name}; write them alike if they mean the "
                "same, else rename one."
            )


def _merged(names: Mapping[str, str]) -> list[str]:
    return [
        f"{', '.join(map(repr, texts))} count as one class, {name}."
        for name, texts in _by_class(names).items()
    ]


def _renamed(names: Mapping[str, str], several: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Labels that have become more than a tidy spelling of themselves."""
    changed = {
        t: n
        for t, n in names.items()
        if len(several.get(t, ())) < 2 and plain_term(t) != plain_term(n)
    }
    notes = [f"Label {text!r} is read as class {name}." for text, name in changed.items()]
    silent = [text for text in changed if plain_term(text) in REPORTED]
    return notes + [f"{says_less(silent[0])} Rename it to keep the two apart." for _ in silent[:1]]


def says_less(text: str) -> str:
    """That a report without a finding is not a film that somebody has called normal."""
    return f"{text!r} is read as normal but says less: no finding was reported."


def _choice(several: Mapping[str, tuple[str, ...]]) -> list[str]:
    """What must be decided where one image has several findings."""
    labels = [text for text, parts in several.items() if len(parts) > 1]
    if not labels:
        return []
    count = f"{len(labels)} labels name" if len(labels) > 1 else "One label names"
    return [
        f"{count} several findings of one image, such as {labels[0]!r}. Each "
        "combination counts as a class of its own, in whatever order it is written. "
        "hilum gives one class to an image. For single findings, name a column with "
        "one finding (--label-column), or keep one finding for each image."
    ]
