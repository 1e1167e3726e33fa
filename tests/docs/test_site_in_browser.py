"""The built site in Chromium: built without a warning, found by search, right on a phone."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]
PAGES = (  # the widest tables, the longest names, pictures, code, a list
    "index",
    "audits",
    "explanation/shortcuts",
    "reference/command_line",
    "reference/python",
    "tutorials/first-hour",
)
Open = Callable[..., "Page"]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make docs` builds it."""
    for name in ("sphinx", "furo", "myst_parser"):
        pytest.importorskip(name, reason=f"{name} is not installed: make docs does that")
    folder = tmp_path_factory.mktemp("site")
    (folder / "pages").mkdir()
    strict = ("--fail-on-warning", "--keep-going", "--quiet", "-b", "html")
    places = (folder / "doctrees", folder / "pages", folder / "html")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *strict, "-c", ROOT / "docs/site", "-d", *places],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder / "html"


class Silent(SimpleHTTPRequestHandler):
    """Files of a folder, without a line for each."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's own name
        """Say nothing."""


@pytest.fixture(scope="session")
def served(site: Path) -> Iterator[str]:
    """The site's address on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def open_site(browser: "Browser", served: str) -> Iterator[Callable[..., "Page"]]:
    """Open a page; it loads nothing from elsewhere, and no script fails."""
    contexts: list[Any] = []
    wrong: list[str] = []

    def make(name: str, **options: Any) -> "Page":
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith((served, "data:")) else wrong.append(request.url)
            ),
        )
        page.goto(f"{served}/{name}.html")
        return page

    yield make
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_pages_fit_and_can_be_read(open_site: Open, served: str, scheme: str, width: int) -> None:
    """No page is wider than the screen, its ground follows the theme, and axe finds nothing."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_site("index", color_scheme=scheme, viewport={"width": width, "height": 844})
    for name in PAGES:
        page.goto(f"{served}/{name}.html")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        red = int(ground.removeprefix("rgb(").partition(",")[0])
        assert (red < 64) == (scheme == "dark"), (name, ground)
        found: list[dict[str, Any]] = axe.run(page).response["violations"]
        assert [(row["id"], row["nodes"][0]["html"]) for row in found
                if row["impact"] in ("serious", "critical")] == [], name  # fmt: skip


@pytest.mark.parametrize("width", [390, 1280])
def test_search_finds_pages_by_their_words(open_site: Open, width: int) -> None:
    page = open_site("explanation/leaks", viewport={"width": width, "height": 844})

    def search(words: str) -> None:
        if width < 1000:
            page.locator(".mobile-header .nav-overlay-icon").click()
        page.locator(".sidebar-search").fill(words)
        with page.expect_navigation():  # the address of the search before would do for a pattern
            page.keyboard.press("Enter")

    for words, goal in (
        ("abstain", "Abstention"),
        ("InstitutionName", "DICOM"),
        ("--resume", "Command line"),
        ("load_model", "load_model"),
    ):
        search(words)
        page.locator("#search-results .search-summary").get_by_text("finished").wait_for()
        titles = page.locator("#search-results li > a").all_inner_texts()
        assert any(goal in title for title in titles), (words, titles)
    search("qqqqzzzz")
    page.get_by_text("did not match any documents").wait_for()


def test_search_works_on_pages_opened_from_the_disk(browser: "Browser", site: Path) -> None:
    """There it shows titles, without the words around what was found."""
    page = browser.new_page()
    page.goto(f"{(site / 'search.html').as_uri()}?q=temperature")
    page.locator("#search-results").get_by_text("Calibration", exact=True).first.wait_for()
    page.close()
