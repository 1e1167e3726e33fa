"""The report of two folders in a browser: its length, by keyboard, in the dark and on paper."""

import csv
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import pytest

from hilum import phantom

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
Open = Callable[..., "Page"]
ENTRY = "from hilum.cli import main; main()"
LONGEST, PAGES = 7000, 7  # pixels at 1280 wide; sheets of A4


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`hilum train` with nothing but a folder of two classes."""
    folder = tmp_path_factory.mktemp("report")
    films = phantom.generate(phantom.Request(images=160, size=160, seed=5))
    for i, row in films.table.iterrows():
        path = folder / "films" / row["label"] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), films.images[int(str(i))])
    words = ("train", folder / "films", "--out", folder / "run", "-q")
    subprocess.run([sys.executable, "-c", ENTRY, *map(str, words)], check=True, capture_output=True)
    return folder / "run"


@pytest.fixture
def see(browser: "Browser", run: Path) -> Iterator[Open]:
    """Open the report from its file; no script, no request, no complaint about its policy."""
    contexts: list[Any] = []
    faults: list[str] = []

    def make(**options: Any) -> "Page":
        contexts.append(browser.new_context(**options))
        page: Page = contexts[-1].new_page()
        page.on("console", lambda message: faults.append(message.text))
        page.goto((run / "report.html").as_uri())
        return page

    yield make
    for context in contexts:
        context.close()
    assert faults == []


def size(width: int) -> dict[str, Any]:
    return {"viewport": {"width": width, "height": 900}}


def test_a_report_on_two_folders_is_seven_screens_and_sheets(see: Open, tmp_path: Path) -> None:
    page = see(**size(1280))
    assert page.evaluate("document.documentElement.scrollHeight") <= LONGEST
    assert page.locator("#figure-blacked").bounding_box()["y"] < 900  # the first screen
    page.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)
    sheets = re.findall(rb"/Type\s*/Page\b", (tmp_path / "page.pdf").read_bytes())
    assert 3 <= len(sheets) <= PAGES


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_folded_or_open(see: Open, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = see(color_scheme=scheme, **size(width))
    for opened in (False, True):
        page.eval_on_selector_all("details", f"all => all.forEach(d => d.open = {opened:d})")
        found: list[dict[str, Any]] = axe.run(page).response["violations"]
        assert [(row["id"], row["nodes"][0]["html"]) for row in found] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_scrolls_on_a_phone_is_reached_by_the_keyboard(see: Open) -> None:
    page = see(**size(390))
    scrolled = page.evaluate(
        "[...document.querySelectorAll('.scroll, .draw')]"
        ".filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1)"
        ".map((e) => [e.tabIndex, e.getAttribute('role'), e.getAttribute('aria-label')])"
    )
    assert len(scrolled) >= 2
    assert all(tab == 0 and role == "region" and name for tab, role, name in scrolled)


def test_nothing_is_lost_or_cut_in_print(see: Open) -> None:
    page = see(**size(794))
    page.emulate_media(media="print")
    hidden = page.evaluate(
        "[...document.querySelectorAll('main details :is(p, td, dd, li, img)')]"
        ".filter((e) => !e.getClientRects().length).map((e) => e.outerHTML.slice(0, 200))"
    )
    assert hidden == []
    assert page.locator("main details:not([open]) dd").count() > 20
    cut = page.evaluate(
        "[...document.querySelectorAll('tr, figure, .concerns li, .gallery li')]"
        ".filter((e) => getComputedStyle(e).breakInside !== 'avoid').length"
    )
    assert cut == 0
    wide = page.evaluate("[...document.querySelectorAll('table, img')].map((e) => e.scrollWidth)")
    assert max(wide) <= 794


def test_contents_stay_figures_enlarge_and_data_are_a_click_away(see: Open, run: Path) -> None:
    page = see(**size(1280))
    contents = page.get_by_role("navigation", name="Contents")
    contents.get_by_role("link", name="Model card").click()
    assert page.locator("#model-more").is_visible()  # the link opens what is folded
    assert contents.bounding_box()["y"] >= 0
    page.get_by_role("link", name="Glossary").last.click()
    assert page.locator("#glossary-more dt").first.is_visible()
    figure = page.locator("#figure-confusion")
    small = figure.locator("img").bounding_box()
    figure.get_by_role("link", name="Enlarge").click()
    large = figure.locator("img").bounding_box()
    assert large["width"] * large["height"] > 2 * small["width"] * small["height"]
    with page.expect_download() as download:
        figure.get_by_role("link", name="Data").click()
    assert download.value.suggested_filename == "confusion.csv"
    kept = (run / "figures" / "confusion.csv").read_text()
    assert Path(download.value.path()).read_text() == kept
    assert [row["truth"] for row in csv.DictReader(kept.splitlines())] == ["covid19", "normal"]
    figure.get_by_role("link", name="Close").click()
    assert figure.locator("img").bounding_box() | {"y": 0} == small | {"y": 0}
