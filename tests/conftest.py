"""Fixtures that every room's tests share."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

import peak_memory as memory
import scheduling

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from xdist.remote import Producer

# a busy machine is no failure
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
FSYNC = os.fsync
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    """Give each of several workers a processor of its own, where the system can do that."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {allowed[int(worker.removeprefix("gw")) % len(allowed)]})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first."""
    items.sort(key=lambda item: scheduling.rank(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(
    config: pytest.Config, log: "Producer"
) -> scheduling.LongestFirst | None:
    """Workers share the tests out as scheduling.py says, unless another way is asked for."""
    return scheduling.LongestFirst(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real images in their publishers' layouts, beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("real images are not on this machine: ../shared/data does not exist")
    return SHARED


@pytest.fixture
def peak_memory() -> memory.PeakMemory:
    """How many bytes a block takes at its peak; skips where the system does not say."""
    return memory.peak_memory


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the test run's own that all its workers share."""
    mine = tmp_path_factory.getbasetemp()
    return mine.parent if os.environ.get("PYTEST_XDIST_WORKER") else mine


@pytest.fixture(scope="session", autouse=True)
def private_cache(common: Path) -> Iterator[Path]:
    """A cache home of the test run's own, so that no test reads or fills the user's.

    Its workers share it: a network is converted once, not once by each of them.
    """
    home = common / "hilum-cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HILUM_CACHE", str(home))
        yield home


@pytest.fixture(scope="session", autouse=True)
def unsynchronised() -> Iterator[None]:
    """No test cuts the power, so none waits for its files to reach the disk: see `synchronised`."""

    def at_once(handle: int) -> None:
        os.fstat(handle)  # a handle that is closed is an error all the same

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", at_once)
        yield


@pytest.fixture
def synchronised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are waited for, as outside of the tests."""
    monkeypatch.setattr(os, "fsync", FSYNC)


@pytest.fixture(scope="module")
def small_samples() -> Iterator[None]:
    """Audits and gate look at a few images: where it matters that they are asked, not how sure."""
    import brevity

    with brevity.small_samples():
        yield


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Chromium of this machine, without a window."""
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser on this machine: none of {', '.join(BROWSERS)}")
    with driver.sync_playwright() as play:
        try:
            running = play.chromium.launch(
                executable_path=program, args=["--no-sandbox", "--disable-gpu"]
            )
        except driver.Error as error:  # of the machine, not of the page
            pytest.skip(f"{program} does not start here: {str(error).splitlines()[0]}")
        yield running
        running.close()
