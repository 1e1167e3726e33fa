"""What the source says of its own names: signatures, annotations and the comments of fields."""

import ast
import inspect
import io
import textwrap
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldFacts:
    """A field of a class: its annotation as written, and the comment above or behind it."""

    name: str
    annotation: str
    comment: str
    default: str = ""  # as written; empty where there is none


def fields_of(cls: type) -> list[FieldFacts]:
    """The annotated fields of a class's own body, in their order."""
    source = textwrap.dedent(inspect.getsource(cls))
    comments = _comments(source)
    facts, done = [], 0
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - the source of a class begins with it
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            lines = _lines_above(node.lineno, done, comments)
            lines += [comments[n] for n in range(node.lineno, _end(node) + 1) if n in comments]
            facts.append(
                FieldFacts(
                    node.target.id,
                    plain(ast.unparse(node.annotation)),
                    " ".join(lines),
                    ast.unparse(node.value) if node.value else "",
                )
            )
        done = _end(node)
    return facts


def signature_of(function: Any) -> str:
    """ "(a: int, *, b: str = 'x') -> Path", as written; of a method without `self`."""
    node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(node, ast.FunctionDef)  # noqa: S101 - the source of a function begins with it
    own = node.args.posonlyargs or node.args.args
    if own and own[0].arg in ("self", "cls"):
        own.pop(0)
    back = f" -> {plain(ast.unparse(node.returns))}" if node.returns else ""
    return f"({plain(ast.unparse(node.args))}){back}"


def plain(annotation: str) -> str:
    """An annotation without the quotation marks of a name that is not imported."""
    return annotation[1:-1] if annotation[:1] == annotation[-1:] == "'" else annotation


def members_of(cls: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that a class itself defines, in their order."""
    for name, member in vars(cls).items():
        if not name.startswith("_"):
            function = getattr(member, "fget", None) or getattr(member, "__func__", member)
            if inspect.isfunction(function):
                yield name, member


def _comments(source: str) -> dict[int, str]:
    """Line number -> its comment; those to linters are left out."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    found = {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}
    return {line: text for line, text in found.items() if not text.startswith(("noqa", "type:"))}


def _lines_above(line: int, done: int, comments: dict[int, str]) -> list[str]:
    first = line
    while first - 1 > done and first - 1 in comments:
        first -= 1
    return [comments[n] for n in range(first, line)]


def _end(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno
