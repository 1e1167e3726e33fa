"""Audits in groups, what is told while they run, and a verdict without an accuracy."""

from dataclasses import replace

import numpy as np
import pytest
import readers_of
from controls_of_tables import Cohort

from hilum import audits
from hilum.audits import AUDITS, Evidence, registry
from hilum.types import Finding, Score


@pytest.fixture(scope="module")
def clean() -> Evidence:
    """A study of tables alone, without the pictures of any film."""
    return Cohort(np.random.default_rng(0), 60).evidence(model=None, features=None)


def test_groups_share_what_they_compute_and_tables_come_last() -> None:
    found = registry.groups(["C-17", "C-06", "C-03", "C-08", "C-02", "C-13"])
    assert found == [("C-06", "C-08"), ("C-03",), ("C-13",), ("C-17", "C-02")]
    assert registry.groups(["C-03"]) == [("C-03",)]
    assert registry.groups([]) == []


def test_a_group_finds_what_its_audits_find(clean: Evidence) -> None:
    names = ["C-09", "C-02"]
    assert registry.run_group(clean, names) == [AUDITS[name](clean) for name in names]


def test_progress_is_told_after_every_audit(clean: Evidence) -> None:
    told: list[tuple[int, int]] = []
    found = audits.run_before_training(clean, lambda done, of: told.append((done, of)))
    assert told == [(done, len(found)) for done in range(1, len(found) + 1)]
    assert len(found) == 6


def test_the_steps_of_films_are_the_models(clean: Evidence) -> None:
    assert clean.steps == []
    assert replace(clean, model=readers_of.model(readers_of.middle)).steps == ["letterbox"]


def test_an_area_at_chance_is_said_without_an_accuracy() -> None:
    area = Score("main", "auroc", "macro", 0.55, None, 10, 0.45, 0.65, "delong")
    passed = Finding("C-02", "pass", 1.0, "r", "ref", "It is fine.")
    assert audits.verdict([area], [passed]) == (
        "No evidence that this classifier learned anything: scored, no better than chance (the "
        "interval of AUROC reaches 0.5)."
    )
