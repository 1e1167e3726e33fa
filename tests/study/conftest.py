"""Fixtures of the studies' tests: what a run costs beside what a test asks for."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def small_samples() -> Iterator[None]:
    """Audits and gate look at a few images: here it matters that they are asked, not how sure."""
    from hilum.audit import attention, marks, masked
    from hilum.study import gates

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(masked, "FEW", 40)
        patch.setattr(marks, "FEW", 12)
        patch.setattr(attention, "FEW", 10)
        patch.setattr(gates, "TURNED", 8)
        patch.setattr(gates, "ASKED", 6)
        yield


@pytest.fixture(scope="module")
def few_audits() -> Iterator[None]:
    """Runs with the audits of tables alone; `test_run.py` has all of them."""
    from hilum.audit import AUDITS, table

    kept = {name: AUDITS[name] for name in ("C-02", "C-03", "C-10", "C-11", "C-17")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "AUDITS", kept)
        yield


@pytest.fixture(scope="module")
def no_report() -> Iterator[None]:
    """Runs that draw nothing; `test_run.py` has the report."""
    from hilum import report

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "build", lambda out: out / "report.html")
        yield
