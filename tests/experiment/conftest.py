"""Fixtures of the studies' tests: what a run costs beside what a test asks for."""

from collections.abc import Iterator
from functools import cache

import pytest

import brevity


@pytest.fixture(scope="session", autouse=True)
def drawn_once() -> Iterator[None]:
    """Films that several runs ask for are drawn by the first of them, and written by each."""
    from hilum.phantom import files

    shots = files.shots
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "shots", cache(lambda *asked: list(shots(*asked))))
        yield


@pytest.fixture(scope="module", autouse=True)
def always(small_samples: None) -> None:
    """Every run of these tests is one of few samples."""


@pytest.fixture(scope="module")
def few_audits() -> Iterator[None]:
    """Runs with the audits of tables alone."""
    with brevity.audits_of_tables():
        yield


@pytest.fixture(scope="module")
def undrawn() -> Iterator[None]:
    """Runs whose reports have no figures."""
    with brevity.no_figures():
        yield


@pytest.fixture(scope="module")
def no_report() -> Iterator[None]:
    """Runs that draw nothing; `test_run.py` has the report."""
    from hilum import report

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "build_report", lambda out: out / "report.html")
        yield
