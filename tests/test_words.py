"""Plain words in every text of the source (docstrings, messages, comments) and in the pages."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from hilum.types import shown_probability

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "hilum"
# logs and decisions are not read: they say what was, in the words of their day
FOLDERS = (
    ".",
    "docs",
    "docs/site",
    "docs/tutorials",
    "docs/how-to",
    "docs/explanation",
    "findings",
)
QUOTED = re.compile(r"^```.*?^```$|`[^`]*`", re.M | re.S)  # code of a page
FORBIDDEN = re.compile(
    r"\b(?:bears?|bearing|told|mends?|mended|wants?|wanted|learnt|unlearnt|dear(?:er)?|whoever|"
    r"of which|laid upon|stands? (?:in|on|at|below|beside|beneath|with|there|alone|under)|stood|"
    r"beside)\b",
    re.IGNORECASE,
)
SPACED_PERCENT = re.compile(r"\d %(?![\w(])")
ALLOWED = {
    "beside the heart": "anatomy: where a convention of lung masks ends them",
    '"model.beside"': "a recipe key of earlier versions",
    "95 % interval": "the glossary says what the word also looks like",
    'call it "beside"': "what older model folders call it",
    "you want to": "as anybody says it",
    "(`beside`)": "an argument, named after a key of model folders",
}


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Line and words of each literal and comment; of an f-string what is outside its braces."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in
              node.values}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [p.value if isinstance(p, ast.Constant) else "0" for p in node.values]
            yield node.lineno, "".join(map(str, parts))
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in inside
        ):
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def faults(words: str) -> list[str]:
    plain = " ".join(words.split())
    for phrase in ALLOWED:
        plain = plain.replace(phrase, "")
    return FORBIDDEN.findall(plain) + SPACED_PERCENT.findall(plain)


def test_texts_of_the_source_use_plain_words() -> None:
    paths = list(SOURCE.rglob("*.py"))
    assert len(paths) > 350
    found = [
        f"{path.relative_to(SOURCE)}:{line}: {', '.join(wrong)}"
        for path in paths
        for line, words in texts(path)
        if words != "beside" and (wrong := faults(words))
    ]
    assert not found, "\n".join(found)


def test_pages_use_plain_words() -> None:
    pages = [page for folder in FOLDERS for page in sorted((ROOT / folder).glob("*.md"))]
    assert len(pages) > 35
    found = [
        f"{page.relative_to(ROOT)}: {', '.join(wrong)}"
        for page in pages
        if page.name != "CHANGELOG.md"
        and (wrong := faults(QUOTED.sub("", page.read_text(encoding="utf-8"))))
    ]
    assert not found, "\n".join(found)


def test_the_words_that_are_refused() -> None:
    for words in ("it stands in model/", "62.5 % of", "Beside it", "a probe wants two\nclasses"):
        assert faults(words), words
    for words in ("which stands for a class", "62.5% of", "wanted_size", "a standing patient"):
        assert not faults(words), words


def test_no_probability_is_printed_as_certain() -> None:
    shown = [shown_probability(p) for p in (0.0, 0.0004, 0.0006, 0.7314, 0.9994, 0.9996, 1.0)]
    assert shown == ["< 0.001", "< 0.001", "= 0.001", "= 0.731", "= 0.999", "> 0.999", "> 0.999"]
