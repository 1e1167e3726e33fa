"""Fixtures that every room's tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# a busy machine is no failure
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    """Give each of several workers a processor of its own, where the system can do that."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {allowed[int(worker.removeprefix("gw")) % len(allowed)]})


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real images in their publishers' layouts, beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("real images are not on this machine: ../shared/data does not exist")
    return SHARED


@pytest.fixture(autouse=True)
def private_cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A cache home of the test run's own, so that no test reads or fills the user's."""
    home = tmp_path_factory.getbasetemp() / "hilum-cache"
    monkeypatch.setenv("HILUM_CACHE", str(home))
    return home
