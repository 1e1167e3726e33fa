"""Verdict and notice of the first page in other languages: one file of strings each.

English is the language of record: what stands here says the same in fewer words, from the kind of
the verdict, the accuracy and the outcomes of the audits.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from hilum.audits.verdict import kind_of
from hilum.report import score_tables, sections
from hilum.report.run_folder import RunFolder

LANGUAGES = ("de", "fr", "es", "zh")  # in the order of the page


@dataclass(frozen=True, slots=True)
class TranslatedVerdict:
    """What the page shows of a language: its code (BCP 47), its name, and sentences."""

    code: str
    name: str
    sentences: tuple[str, ...]
    notice: str


def translated_verdicts(run: RunFolder) -> list[TranslatedVerdict]:
    """One for each language; none where the verdict's kind is not recorded."""
    kind = kind_of(str(run.results.get("verdict") or ""))
    return [_translated(run, kind, code) for code in LANGUAGES] if kind else []


def read_strings(code: str) -> dict[str, Any]:
    """The strings of a language."""
    path = files("hilum.report") / "languages" / f"{code}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _translated(run: RunFolder, kind: str, code: str) -> TranslatedVerdict:
    strings = read_strings(code)
    sentences = (
        strings["verdict"][kind],
        _accuracy(run, strings),
        *(_names(run, strings, status) for status in ("fail", "warn")),
        _unchecked(run, strings),
    )
    return TranslatedVerdict(
        code, strings["name"], tuple(filter(None, sentences)), strings["notice"]
    )


def _accuracy(run: RunFolder, strings: Mapping[str, Any]) -> str:
    """The share of right answers with its interval; "" where it was not scored."""
    rows = [row for row in score_tables.chosen_scores(run) if row.get("name") == "accuracy"]
    row = next((one for one in rows if one.get("class") == "overall"), {})
    if not isinstance(row.get("value"), float):
        return ""
    share = _percent(row["value"], 1, strings)
    if any(row.get(key) is None for key in ("k", "n", "low", "high")):
        return str(strings["accuracy"].format(share=share))
    low, high = (_percent(row[key], 0, strings) for key in ("low", "high"))
    counts = {"k": row["k"], "n": row["n"]}
    return str(strings["counted"].format(share=share, low=low, high=high, **counts))


def _names(run: RunFolder, strings: Mapping[str, Any], status: str) -> str:
    """The audits of an outcome by their titles; "" without any."""
    found = [one.id for one in sections.audits(run) if one.status.name == status]
    names = [strings["audits"].get(name, name) for name in found]
    if not names:
        return ""
    kind = {"fail": "failed", "warn": "warned"}[status]
    return str(strings[kind].format(names=strings["separator"].join(names)))


def _unchecked(run: RunFolder, strings: Mapping[str, Any]) -> str:
    rows = sections.audits(run)
    n = sum(one.status.name == "unknown" for one in rows)
    return str(strings["unchecked"].format(n=n, total=len(rows))) if n else ""


def _percent(share: float, digits: int, strings: Mapping[str, Any]) -> str:
    number = f"{100 * share:.{digits}f}".replace(".", strings["decimal"])
    return f"{number}{strings['percent']}"
