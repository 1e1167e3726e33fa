"""Built reports that the tests of this room share."""

import base64
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import fixture_run
import pytest

import brevity
from hilum import report

VOID = {"meta", "img", "br", "link", "input", "hr"}
SVG_VOID = {"path", "circle", "rect"}


@dataclass(frozen=True)
class Element:
    """One opened tag."""

    tag: str
    attributes: dict[str, str | None]


class Page(HTMLParser):
    """A parsed page: its elements in order, its text, and what was not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.words: list[str] = []
        self.rows: list[list[str]] = []  # cells of each table row
        self.faults: list[str] = []
        self.style = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self.faults += [f"not closed: {tag}" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))
        if tag not in VOID | SVG_VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID | SVG_VOID:
            return
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"closed out of order: {tag}")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self.style += data
            return
        self.words.append(data)
        if any(tag in ("td", "th") for tag in self._open):
            self.rows[-1][-1] += " " + data

    @property
    def text(self) -> str:
        """All words, spaces joined."""
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[Element]:
        """Every element of a tag."""
        return [element for element in self.elements if element.tag == tag]

    @property
    def tables(self) -> list[list[str]]:
        """Every table row as clean cells."""
        return [[" ".join(cell.split()) for cell in row] for row in self.rows]


@dataclass(frozen=True)
class Built:
    """A run folder with its report."""

    folder: Path
    path: Path
    seconds: float  # of the processor

    @property
    def html(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def readable(self) -> str:
        """The page with what its embedded tables hold in plain text, and without its pictures."""
        text = re.sub(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]+", "", self.html)
        return re.sub(r"data:text/csv;base64,([A-Za-z0-9+/=]+)", _decoded, text)

    @property
    def page(self) -> Page:
        return Page(self.html)


def _decoded(found: re.Match[str]) -> str:
    return base64.b64decode(found[1]).decode()


def build(folder: Path) -> Built:
    """Build a folder's report and take the time."""
    begin = time.process_time()
    path = report.build_report(folder)
    return Built(folder, path, time.process_time() - begin)


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A four-class, five-fold run with everything recorded. Do not change its folder."""
    return build(fixture_run.study(tmp_path_factory.mktemp("runs") / "study"))


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The least run that has a report."""
    return build(fixture_run.binary(tmp_path_factory.mktemp("runs") / "binary"))


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A run whose strings attack."""
    return build(fixture_run.hostile(tmp_path_factory.mktemp("runs") / "hostile"))


@pytest.fixture
def undrawn() -> Iterator[None]:
    """No figures where a test is about something else."""
    with brevity.no_figures():
        yield


@pytest.fixture
def copied(study: Built, tmp_path: Path) -> Path:
    """The study's folder, to be changed, without what a report has drawn."""
    target = tmp_path / "run"
    shutil.copytree(study.folder, target, ignore=shutil.ignore_patterns("figures", "report.html"))
    return target
