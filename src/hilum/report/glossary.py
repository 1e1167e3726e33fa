"""The words of reports and pages in plain sentences, from `glossary.toml`; makes docs/glossary.md.

`python -m hilum.report.glossary > docs/glossary.md` writes the page again after a change.
"""

import re
import sys
import tomllib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby

HEAD = """# Glossary

The words of reports, messages and these pages, each in one to three sentences. Reports show the
same text.

Two words have one meaning only. A *source* is the hospital or collection that an image comes from.
A *view* is the direction of a radiograph (PA, AP, lateral). Words for those who change hilum are in
[architecture](architecture.md#glossary-one-word-per-concept).
"""


@dataclass(frozen=True, slots=True)
class Term:
    """A word, what it means in plain text, and other forms under which it appears."""

    word: str
    meaning: str
    also: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        """The name of its place on the page: small ASCII letters, digits and hyphens."""
        plain = unicodedata.normalize("NFKD", self.word).encode("ascii", "ignore").decode().lower()
        return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", plain))

    def is_in(self, text: str) -> bool:
        """Whether a text contains the word or one of its other forms, their plurals included."""
        return any(_pattern(form).search(text) for form in (self.word, *self.also))


def read_glossary() -> tuple[Term, ...]:
    """All terms, in the order of the alphabet.

    >>> from hilum.report.glossary import read_glossary
    >>> [term.word for term in read_glossary()][:2]
    ['Abstain', 'Accuracy']
    """
    tree = tomllib.loads((files("hilum.report") / "glossary.toml").read_text(encoding="utf-8"))
    terms = (Term(row["word"], row["meaning"], tuple(row.get("also", ()))) for row in tree["term"])
    return tuple(sorted(terms, key=_order))


def used_in(text: str, terms: Sequence[Term]) -> tuple[Term, ...]:
    """Those terms that a text contains, for a glossary that holds what its reader has met."""
    return tuple(term for term in terms if term.is_in(text))


def as_markdown(terms: Iterable[Term]) -> str:
    """The page: a heading for each letter and each term, whose anchor every renderer agrees on."""
    parts = [HEAD]
    for letter, group in groupby(terms, key=lambda term: _order(term)[0].upper()):
        parts.append(f"## {letter}\n")
        parts += [_entry(term) for term in group]
    return "\n".join(parts)


def _entry(term: Term) -> str:
    ascii_only = term.word.isascii()
    place = "" if ascii_only else f'<a id="{term.anchor}"></a>\n\n'
    others = f"\n\nAlso: {', '.join(term.also)}." if term.also else ""
    return f"{place}### {term.word}\n\n{term.meaning}{others}\n"


def _order(term: Term) -> str:
    return term.anchor.replace("-", " ")


def _pattern(form: str) -> re.Pattern[str]:
    flags = re.NOFLAG if form.isupper() or len(form) == 1 else re.IGNORECASE  # AP, CAM, p
    return re.compile(rf"(?<!\w){re.escape(form)}s?(?!\w)", flags)


if __name__ == "__main__":
    sys.stdout.write(as_markdown(read_glossary()))
