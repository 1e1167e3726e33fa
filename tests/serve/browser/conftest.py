"""Fixtures of the page's tests: a page whose every request is known."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from films_to_send import formats

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def open_page(browser: "Browser", live: str) -> Iterator[Callable[..., "Page"]]:
    """Open the page; nothing is asked of another host, and no script fails."""
    contexts: list[Any] = []
    outside: list[str] = []
    errors: list[str] = []

    def make(url: str = live, **options: Any) -> "Page":
        context = browser.new_context(accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((url, "data:", "blob:"))
                else outside.append(request.url)
            ),
        )
        page.on(
            "console",
            lambda message: (
                errors.append(message.text)
                if message.type == "error" and "Failed to load resource" not in message.text
                else None
            ),
        )
        page.goto(f"{url}/")
        return page

    yield make
    for context in contexts:
        context.close()
    assert outside == []
    assert errors == []


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a film of each format, and one file that is no film."""
    folder = tmp_path_factory.mktemp("sent") / "ward"
    folder.mkdir()
    for name, data in formats().items():
        (folder / name).write_bytes(data)
    (folder / "no film.png").write_text("text")
    return folder
