"""What a test leaves out of its runs, as contexts: for fixtures of every scope."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hilum.audits import AUDITS
from hilum.audits import registry as table
from hilum.report.figures import base, registry

OF_TABLES = ("C-02", "C-03", "C-10", "C-11", "C-17")


@contextmanager
def audits_of_tables() -> Iterator[None]:
    """Runs with the audits that read tables alone; `test_run.py` has all of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "AUDITS", {name: AUDITS[name] for name in OF_TABLES})
        yield


@contextmanager
def small_samples() -> Iterator[None]:
    """Audits and gate look at a few images: where it matters that they are asked, not how sure."""
    from hilum.audits import c01_lungs_blacked_out, marked_films, sampled_maps
    from hilum.experiment import fit_ood

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(c01_lungs_blacked_out, "FEW", 40)
        patch.setattr(marked_films, "FEW", 12)
        patch.setattr(sampled_maps, "FEW", 10)
        patch.setattr(fit_ood, "POSE_SAMPLE", 8)
        patch.setattr(fit_ood, "LUNG_SAMPLE", 6)
        yield


@contextmanager
def no_figures() -> Iterator[None]:
    """Reports without figures, which take most of a build's time; `test_run.py` has them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            registry, "draw_figures", lambda _: {section: [] for section in base.SECTIONS}
        )
        yield
