"""How names, numbers and nested facts are written for people."""

import hashlib
import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from hilum.metrics import registry
from hilum.types import CLASS_NAMES

NOT_RECORDED = "not recorded"

# "/home/a/b", "C:\\a\\b", "\\\\server\\a", where it begins a word; not "and/or", "https://x/y"
PATH = re.compile(
    r"(?<![\w.:/\\…~-])"
    r"(?:/(?:[^\s/'\"<>|;,()\[\]]+/)+|[A-Za-z]:[/\\]|\\\\)[^\s'\"<>|;,()\[\]]*"
    r"(?<![\s.:;,])"
)
CODES = re.compile(r"\b(covid19|bacterial_pneumonia|viral_pneumonia|non_covid)\b")


def class_name(name: str) -> str:
    """The name of a class, or of an average over classes, as prose."""
    return CLASS_NAMES.get(name, name)


def score_name(name: str) -> str:
    """The name of a score as a heading."""
    kind, *more = name.split(" (", 1)  # "accuracy (mean of folds)"
    metric = registry.find_metric(kind)
    titles = {} if metric is None else {metric.name: metric.title, **metric.aliases}
    words = titles.get(kind, kind.replace("_", " "))
    more = [CODES.sub(lambda code: class_name(code[0]), text) for text in more]
    return " (".join([words[:1].upper() + words[1:], *more])


def short_label(name: str, longest: int = 24) -> str:
    """A name for a figure: printable, one line, shortened, never hidden by a leading underscore."""
    clean = "".join(c if c.isprintable() else " " for c in name).strip() or "(no name)"
    clean = clean if len(clean) <= longest else clean[: longest - 1] + "…"
    return f"\u2009{clean}" if clean.startswith("_") else clean


def wrapped(name: str, width: int, lines: int = 2) -> str:
    """The same on at most so many lines of `width` letters."""
    lines_of_text = textwrap.wrap(
        short_label(name, width * lines), width, max_lines=lines, placeholder="…"
    )
    return "\n".join(lines_of_text) or "…"


def number(value: object, digits: int = 3) -> str:
    """A figure with fixed decimals; whole numbers with thousands separated; a dash where absent."""
    if value is None or isinstance(value, str | bool):
        return "–" if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float) or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}f}"


def probability(p: float, digits: int = 3) -> str:
    """A probability with fixed decimals; "> 0.999" and "< 0.001" where it would round to 1 or 0."""
    least = 10.0**-digits
    if p >= 1 - least / 2:
        return f"> {1 - least:.{digits}f}"
    return f"< {least:.{digits}f}" if p < least / 2 else f"{p:.{digits}f}"


def probability_words(p: float, digits: int = 3) -> str:
    """ "p = 0.982", "p > 0.999"."""
    words = probability(p, digits)
    return f"p {words}" if words[0] in "<>" else f"p = {words}"


def interval(row: Mapping[str, Any], digits: int = 3) -> str:
    """ "low to high" of a score, or "" where it has no interval."""
    low, high = row.get("low"), row.get("high")
    if low is None or high is None:
        return ""
    return f"{number(low, digits)} to {number(high, digits)}"


def ratio(row: Mapping[str, Any]) -> str:
    """ "k of n" of a proportion, "n = ..." of another score, "" where neither is recorded."""
    k, n = row.get("k"), row.get("n")
    if n is None:
        return ""
    return f"{number(k)} of {number(n)}" if k is not None else f"n\u00a0=\u00a0{number(n)}"


def sample_size(n: int) -> str:
    """ "n = 879" that no line break divides."""
    return f"n\u00a0=\u00a0{n:,}"


def method_name(method: str) -> str:
    """How an interval was made, with its author's capital letter."""
    for author in ("Wilson", "DeLong", "Newcombe"):
        method = method.replace(author.lower(), author)
    return method


def family(method: str) -> str:
    """A method without its particulars: "bootstrap by patient, 5 folds pooled" -> the bootstrap."""
    return re.split(r",| over |: ", method_name(method))[0]


def plain_value(value: object) -> str:
    """Any JSON value as one line of text; deeper levels are in brackets."""
    if isinstance(value, Mapping) and value:
        return "; ".join(f"{title(str(k))}: {_inner(v)}" for k, v in value.items())
    return _inner(value)


def _inner(value: object) -> str:
    if value is None or value in ("", [], {}):
        return NOT_RECORDED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return _bracketed(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        between = "; " if any(isinstance(item, str) and "," in item for item in value) else ", "
        return between.join(_inner(item) for item in value)
    if isinstance(value, float) and not math.isfinite(value):
        return NOT_RECORDED
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.4g}"
    return str(value)


def _bracketed(record: Mapping[str, object]) -> str:
    """A step of a preparation as "letterbox (side 224, fill 128)", other records in brackets."""
    head = f"{record['step']} " if "step" in record else ""
    parts = [f"{title(str(k))} {_inner(v)}" for k, v in record.items() if k != "step"]
    return f"{head}({', '.join(parts)})" if parts else head.strip()


def title(key: str) -> str:
    """A dictionary's key as a row heading; classes by their name, folds as the CSVs count them."""
    if key == "fold":
        return "fold (from 0)"
    return CLASS_NAMES.get(key, key.replace("_", " ").strip())


def prose(words: str) -> str:
    """Sentences with the classes' names for readers: "bacterial pneumonia", not the column's."""
    return CODES.sub(lambda match: CLASS_NAMES[match[0]], words)


def as_sentence(words: str) -> str:
    """First letter large, full stop at the end."""
    words = words.strip()
    return words if not words or words[-1] in ".!?…" else f"{words}."


def count(n: int, one: str) -> str:
    """ "1 image", "880 images"."""
    return f"{n:,} {one}" if n == 1 else f"{n:,} {one}s"


def without_paths(words: str, roots: Sequence[str] = ()) -> str:
    """The text with every absolute path cut to its last part, for pages that are passed on.

    `roots` are folders that are known, whose names may hold blanks; addresses of the web stay.
    """
    for root in sorted((root.rstrip("/\\") for root in roots), key=len, reverse=True):
        if len(root) > 1:
            words = words.replace(root, f"…/{_last(root)}")
    return PATH.sub(lambda match: f"…/{_last(match[0])}", words)


def _last(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def code(prefix: str, identifier: str) -> str:
    """A short stand-in for an identifier that must not be passed on with the page."""
    return f"{prefix}-{hashlib.sha256(identifier.encode()).hexdigest()[:8]}"
