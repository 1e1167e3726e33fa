"""The simulation of many workers against closed forms."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def simulation() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import scale_simulation

        return scale_simulation


@pytest.mark.parametrize("workers", [1, 2, 7, 64, 256])
@pytest.mark.parametrize("count", [1, 7, 100, 977])
def test_equal_shards_take_whole_rounds(simulation: Any, workers: int, count: int) -> None:
    """ceil(shards / workers) rounds, after the command's own start and that of the workers."""
    plan = simulation.Plan(workers, start=1.5, before=2.0, after=0.25, ahead=8 * workers)
    found = simulation.simulate(np.full(count, 3.0), plan)
    assert found.complete
    assert found.losses == 0
    assert found.seconds == pytest.approx(2.0 + 1.5 + math.ceil(count / workers) * 3.0 + 0.25)


@pytest.mark.parametrize("workers", [1, 2, 8, 128])
def test_what_the_command_does_alone_bounds_the_gain(simulation: Any, workers: int) -> None:
    """Amdahl 1967, doi:10.1145/1465482.1465560: of 1,000 s a tenth is not shared out."""
    shards = np.full(1280, 900 / 1280)
    one, many = (
        simulation.simulate(shards, simulation.Plan(count, before=60, after=40)).seconds
        for count in (1, workers)
    )
    assert one == pytest.approx(1000)
    assert one / many == pytest.approx(1 / (0.1 + 0.9 / workers))


def test_slow_workers_share_by_their_speed(simulation: Any) -> None:
    """Two of four take three times as long: together they are 2 + 2 / 3 workers."""
    plan = simulation.Plan(4, factors=[3.0, 3.0, 1.0, 1.0])
    found = simulation.simulate(np.full(8000, 1.0), plan)
    assert found.seconds == pytest.approx(8000 / (2 + 2 / 3), abs=3.0)  # the last ones end apart


def test_list_scheduling_keeps_its_bound(simulation: Any) -> None:
    """Graham 1969, doi:10.1137/0117039: at most 2 - 1 / m times the best of any order."""
    rng = np.random.default_rng(5)
    for _ in range(200):
        workers = int(rng.integers(1, 9))
        times = rng.pareto(1.5, int(rng.integers(1, 40))) + 0.1
        found = simulation.simulate(times, simulation.Plan(workers)).seconds
        least = max(times.sum() / workers, times.max())
        assert least <= found + 1e-9
        assert found <= times.sum() / workers + (1 - 1 / workers) * times.max() + 1e-9


def test_a_long_shard_holds_the_others_up_at_the_window(simulation: Any) -> None:
    """`ahead` shards further the other worker waits; then the two share the rest."""
    times = np.array([100.0, *[1.0] * 40])
    for ahead in (0, 4, 9):
        found = simulation.simulate(times, simulation.Plan(2, ahead=ahead)).seconds
        early = ahead + 1  # by the other worker, while the first is at the long one
        assert found == pytest.approx(100 + math.ceil((40 - early) / 2))


def test_losses_cost_what_the_mean_says(simulation: Any) -> None:
    """A shard of t seconds that begins anew at each loss, of mean time m apart, with a start of s:
    (m + s)(exp(t / m) - 1) on average (Ross, Introduction to Probability Models, section 3.4).
    """
    m, s, t, count = 50.0, 7.0, 30.0, 40_000
    plan = simulation.Plan(1, start=s, lasts=m)
    found = simulation.simulate(np.full(count, t), plan, np.random.default_rng(2))
    assert found.seconds / count == pytest.approx((m + s) * math.expm1(t / m), rel=0.02)
    assert found.losses / count == pytest.approx(math.expm1(t / m), rel=0.02)


def test_a_shard_that_is_lost_too_often_ends_the_command(simulation: Any) -> None:
    """Each of 2,000 shards is lost three times in a row with probability (1 - exp(-t / m))^3."""
    m, t, count = 100.0, 12.0, 2000
    expected = 1 - (1 - (1 - math.exp(-t / m)) ** 3) ** (count // 40)
    runs = [
        simulation.simulate(
            np.full(count // 40, t),
            simulation.Plan(4, lasts=m, tries=3),
            np.random.default_rng(seed),
        )
        for seed in range(1000)
    ]
    ended = np.mean([not run.complete for run in runs])
    assert ended == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 1000))


def test_rows_follow_what_was_measured(simulation: Any) -> None:
    """A command whose every film takes the same: hours by hand, for one worker and for many."""
    measured = simulation.Measured(np.array([0.02]), start=2.0, command=5.0, each=0.001)
    rows = {int(row["workers"]): row for row in simulation.table(measured, 10_000)}
    assert rows[1]["all well"] * 3600 == pytest.approx(5 + 2 + 200 + 10)
    size = 160  # of 8 workers: 10,000 / 64, in whole blocks of 16
    assert rows[8]["all well"] * 3600 == pytest.approx(5 + 2 + 8 * size * 0.02 + 10)
    assert rows[8]["gain"] == pytest.approx(217 / (5 + 2 + 25.6 + 10))
    assert rows[64]["slow"] > rows[64]["all well"]
    assert rows[1]["lost, ended"] == 0
