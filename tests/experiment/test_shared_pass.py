"""One pass of a network for cells that differ in their head: the bits of separate passes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pandas as pd
import pytest

from cold_cache import begin_cold
from hilum import files, recipes
from hilum.data import feature_cache
from hilum.experiment import cell_context, cell_features, cell_network, shared_pass, view_pass
from hilum.experiment.cell_context import CellContext, CellData
from hilum.experiment.cell_network import CompiledNetwork
from hilum.experiment.shared_pass import SharedPass
from hilum.experiment.view import View
from hilum.models.cards import Pool
from hilum.models.runtime.base import Progress, Runtime
from hilum.progress import Advance, silent
from hilum.types import MANIFEST_COLUMNS, Floats, Grey8, Manifest, Pixels

COUNT, SIDE = 6, 64


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few images are worth a shared pass here."""
    monkeypatch.setattr(view_pass, "WORTH", 1)
    cell_network.forget_network()


def data() -> CellData:
    rng = np.random.default_rng(3)
    stack = rng.integers(0, 256, (COUNT, SIDE, SIDE), np.uint8)
    names = tuple(f"film {i}" for i in range(COUNT))
    table = pd.DataFrame({name: [None] * COUNT for name in MANIFEST_COLUMNS})
    table = table.assign(sample_id=names, label=["covid19", "normal"] * 3, sha256=names)
    return CellData(["covid19", "normal"], Manifest(table), Pixels(stack, names, "six"))


def context(pool: Pool, others: tuple[Pool, ...] = ()) -> CellContext:
    changes = [
        'model.backbone="test_efficientnet"', 'model.weights="random"', "augment.views=1",
        f'model.pool="{pool}"', f"prepare.side={SIDE}",
    ]  # fmt: skip
    plan = recipes.load_recipe("demo", changes=changes)
    return cell_context.set_up(plan, data(), silent, pools=others)


def views(one: CellContext) -> list[Floats]:
    wanted = [cell_features.plain(one), cell_features.mirror(one)]
    wanted += cell_features.augmented(one, 0, np.array([1, 3, 4]))
    return [np.array(each) for each in cell_features.arrays(wanted)]


def test_stacked_views_are_the_arrays_with_synthetic_images_after_the_real_ones() -> None:
    whole = context("average")
    pixels = Pixels(whole.pixels.stack[:4], whole.pixels.sample_ids[:4], "four")
    real = replace(whole, labels=whole.labels[:4], pixels=pixels)
    enlarged = replace(whole, before=real)
    wanted = [cell_features.plain(enlarged), cell_features.mirror(enlarged)]
    assert len(wanted[0]) == 2
    stacked = cell_features.stacked(wanted)
    assert np.array_equal(stacked, np.stack(cell_features.arrays(wanted)))
    plain, mirrored = cell_features.features(whole), cell_features.mirrored_features(whole)
    assert np.array_equal(stacked, np.stack([plain, mirrored]))
    stacked += 1  # the caller's own: the store is as it was
    assert np.array_equal(cell_features.features(whole), plain)


class Counted:
    """Images that went through networks, by the width of their output."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.widths: list[int] = []
        before = View.run

        def run(view: View, runtime: Runtime, part: range, progress: Progress) -> Floats:
            self.widths.append(runtime.facts.outputs)
            return before(view, runtime, part, progress)

        monkeypatch.setattr(View, "run", run)


@pytest.mark.parametrize(
    "pools", [("average", "stages"), ("last", "stages"), ("average", "flatten")]
)
@pytest.mark.parametrize("first", [0, 1])
def test_pools_share_a_pass(
    pools: tuple[Pool, ...],
    first: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone = {}
    for pool in pools:  # each by itself, in a store of its own
        begin_cold(monkeypatch, tmp_path / str(pool))
        alone[pool] = views(context(pool))
    begin_cold(monkeypatch, tmp_path / "together")
    cell_network.forget_network()
    counted = Counted(monkeypatch)
    order = pools if not first else pools[::-1]
    for pool in order:
        for mine, before in zip(views(context(pool, pools)), alone[pool], strict=True):
            np.testing.assert_array_equal(mine, before)
    assert len(counted.widths) == len(alone[pools[0]])  # once a view, not once a view and pool


class Shifted(Runtime):
    """Another network's features, a little higher: the bits of another order of sums."""

    def __init__(self, runtime: Runtime) -> None:
        self.facts, self.runtime = runtime.facts, runtime

    def _fill(self, images: Iterator[Grey8], out: Floats, progress: Progress) -> int:
        done = self.runtime._fill(images, out, progress)
        out += 1e-6
        return done


def test_features_of_other_bits_are_computed_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_cold(monkeypatch, tmp_path / "cache")
    one = context("average", ("average", "stages"))
    assert one.shared is not None
    (other,) = (each for each in one.shared.members if each.runtime is not one.runtime)
    shifted = Shifted(one.runtime)
    own = CompiledNetwork(one.backbone, shifted)
    shared = SharedPass((own, other), one.normalise, one.pipeline)
    counted = Counted(monkeypatch)
    views(replace(one, runtime=shifted, shared=shared))
    assert set(counted.widths) == {one.runtime.facts.outputs}


def test_cells_share_a_pass_where_only_their_heads_differ() -> None:
    cells = recipes.cells(recipes.load_recipe("cuijpers2020", quick=True))
    asked = shared_pass.pools_of_cells(cells)
    assert {name: set(pools) for name, pools in asked.items()} == {
        name: {"flatten", "average"} for name in cells
    }
    fine = recipes.load_recipe(
        "demo", changes=['train.stages=[{trainable="all", optimiser="adam", epochs=1}]']
    )
    assert shared_pass.pools_of_cells(recipes.cells(fine)) == {}


def test_processes_share_out_the_views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another is at is waited for last."""
    begin_cold(monkeypatch, tmp_path / "cache")
    told: list[str] = []
    began = Event()

    def progress(step: str) -> Advance:
        told.append(step)
        began.set()
        return silent(step)

    one = replace(context("average"), progress=progress)
    wanted = [cell_features.plain(one), cell_features.mirror(one)]
    (busy,) = wanted[0]
    lock = feature_cache.store_path(files.stable_digest(busy.own_key)).with_suffix(".lock")
    with ThreadPoolExecutor(1) as pool:
        with files.holding(lock, wait=True):
            future = pool.submit(cell_features.arrays, wanted)
            assert began.wait(60)
            assert not future.done()
        assert len(future.result(60)) == len(wanted)
    assert told == ["features, mirrored", "features"]


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_pass, "PART", 2)


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize("pools", [(), ("average", "stages")])
def test_parts_make_the_features_of_the_whole(
    pools: tuple[Pool, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_cold(monkeypatch, tmp_path / "parts")
    counted = Counted(monkeypatch)
    moves: list[tuple[int, int]] = []
    one = replace(
        context("average", pools), progress=lambda _: lambda done, of: moves.append((done, of))
    )
    found = views(one)
    assert len(counted.widths) == 3 + 3 + 2  # six images twice, then three
    assert moves[-1] == (3, 3)
    assert moves == sorted(moves, key=lambda move: -move[1])  # each view forward to its end
    left = {path.stem for path in feature_cache.store_path("x").parent.iterdir()}
    assert len(left) == len(found) * max(1, len(pools))  # no part, no lock
    begin_cold(monkeypatch, tmp_path / "whole")
    monkeypatch.setattr(view_pass, "PART", 1000)
    cell_network.forget_network()
    for mine, before in zip(found, views(context("average")), strict=True):
        np.testing.assert_array_equal(mine, before)


@pytest.mark.usefixtures("in_parts")
def test_parts_of_a_killed_process_are_not_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_cold(monkeypatch, tmp_path / "cache")
    one = context("average")
    counted = Counted(monkeypatch)
    counting = View.run

    def until_killed(view: View, runtime: Runtime, part: range, progress: Progress) -> Floats:
        if part.start == 4:
            raise KeyboardInterrupt
        return counting(view, runtime, part, progress)

    with monkeypatch.context() as patched:
        patched.setattr(View, "run", until_killed)
        with pytest.raises(KeyboardInterrupt):
            cell_features.features(one)
    assert len(counted.widths) == 2
    again = cell_features.features(one)
    assert len(counted.widths) == 3
    np.testing.assert_array_equal(again, one.runtime(one.pixels.stack))


@pytest.mark.usefixtures("in_parts")
def test_processes_share_out_the_parts_of_a_view(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another is at is waited for last, and made here if the other died."""
    begin_cold(monkeypatch, tmp_path / "cache")
    one = context("average")
    (view,) = cell_features.plain(one)
    whole = files.stable_digest(view.own_key)
    first = feature_cache.store_path(files.stable_digest(whole, "part", 0, 2)).with_suffix(".lock")
    begun: list[int] = []
    running, before = Event(), View.run

    def run(view: View, runtime: Runtime, part: range, progress: Progress) -> Floats:
        begun.append(part.start)
        if part.start == 4:
            running.set()
        return before(view, runtime, part, progress)

    monkeypatch.setattr(View, "run", run)
    with ThreadPoolExecutor(1) as pool:
        with files.holding(first, wait=True):
            future = pool.submit(cell_features.features, one)
            assert running.wait(60)
            assert not future.done()
        np.testing.assert_array_equal(future.result(60), one.runtime(one.pixels.stack))
    assert begun == [2, 4, 0]
