"""Each audit complains of what is planted and of nothing else: one seed here, twenty when slow."""

import controls
import pandas as pd
import pytest
from controls import CONTROLS, FULL, PARTIAL, Control, Studio

from hilum.audits import AUDITS

SEEDS, POWER, FALSE_ALARMS = 20, 0.95, 0.05
QUICK = [control for control in CONTROLS if not control.slow]


def named(control: Control) -> str:
    return f"{control.audit} {control.fault}"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """A few films of either kind."""
    return Studio(0, tmp_path_factory.mktemp("studio"), images=24)


def test_every_audit_has_a_control() -> None:
    assert {control.audit for control in QUICK} == set(AUDITS)


@pytest.mark.parametrize("control", QUICK, ids=named)
def test_a_planted_fault_is_found_and_a_clean_study_passes(
    control: Control, studio: Studio
) -> None:
    planted, clean = control.ask(studio, FULL), control.ask(studio, 0)
    assert planted.id == control.audit
    assert planted.status in control.complaints, planted.sentence
    assert clean.status not in (*control.complaints, "unknown"), clean.sentence
    for found in (planted, clean):
        assert found.rule
        assert found.reference
        assert found.title
        assert found.sentence.endswith(".")
        if found.low is not None:
            assert found.low <= (found.value or 0) <= (found.high or 0)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.DataFrame(list(controls.asked(CONTROLS, SEEDS)), columns=controls.COLUMNS)


@pytest.mark.slow
@pytest.mark.parametrize("control", QUICK, ids=named)
def test_power_and_false_alarms_over_twenty_seeds(control: Control, table: pd.DataFrame) -> None:
    mine = table[table["control"] == CONTROLS.index(control)].groupby("strength")["complained"]
    assert mine.size().to_list() == [SEEDS] * 3
    assert mine.mean()[FULL] >= POWER
    assert mine.mean()[PARTIAL] >= POWER
    assert mine.mean()[0.0] <= FALSE_ALARMS
