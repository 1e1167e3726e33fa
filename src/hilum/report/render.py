"""A template as one self-contained page: escaped, without scripts or absolute paths."""

import base64
import hashlib
import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import CodeType
from typing import Any

import jinja2
from jinja2.bccache import Bucket
from markupsafe import Markup, escape

from hilum.report.run_folder import RunFolder
from hilum.report.wording import without_paths

TEMPLATES = Path(__file__).parent / "templates"
EMBEDDED = ("data:image/", "data:text/csv;base64,")
UNREAD = re.compile(r"<style>.*?</style>|<[^>]*>", re.DOTALL)
AUDIT = re.compile(r"C-\d\d")


class KeptTemplates(jinja2.BytecodeCache):
    """Templates as they were compiled, while the process lives: that takes longer than a page."""

    def __init__(self) -> None:
        self._compiled: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give a template what was made of this very text."""
        bucket.code = self._compiled.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was made of a template."""
        self._compiled[bucket.key, bucket.checksum] = bucket.code


KEPT = KeptTemplates()


def render_template(name: str, values: Mapping[str, Any], roots: Sequence[str] = ()) -> str:
    """The template `name` with these values; styles are allowed by their hash alone.

    Absolute paths in any value are cut to their last part; `roots` are folders known as such.
    """

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=KEPT,
        finalize=lambda value: cut(value, roots),
    )
    environment.filters["whole"] = lambda sentence: unbroken(sentence, roots)
    css = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode("ascii")
    style = {"style": Markup(css), "style_hash": f"sha256-{digest}"}  # noqa: S704 - our own file
    return environment.get_template(name).render(**values, **style)


def visible_text(page: str) -> str:
    """The words of a page, without its markup."""
    return html.unescape(UNREAD.sub(" ", page))


def cut(value: Any, roots: Sequence[str] = ()) -> Any:
    """A value without absolute paths; markup and embedded pictures stay as they are."""
    text = isinstance(value, str) and not isinstance(value, Markup)
    return without_paths(value, roots) if text and not value.startswith(EMBEDDED) else value


def unbroken(sentence: str, roots: Sequence[str] = ()) -> Markup:
    """A sentence, escaped, in which no audit's number breaks at its hyphen."""
    safe = str(escape(cut(sentence, roots)))
    return Markup(AUDIT.sub(r'<span class="nowrap">\g<0></span>', safe))  # noqa: S704


def roots(run: RunFolder) -> list[str]:
    """Folders that a run names: its own, and those of its data."""
    data = [row.get("path") for row in run.recipe.get("data") or [] if isinstance(row, Mapping)]
    return [str(run.folder.resolve()), *(str(path) for path in data if path)]
