"""A saved network's conversion is found unbuilt, and only while nothing about it has changed."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hilum import files
from hilum.models import runtime, shelf
from hilum.models.engine import Target
from hilum.models.normalise import Door
from hilum.models.shelf import Saved

SIDE = 24
SHAPE = (SIDE, SIDE)
STACK = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE), dtype=np.uint8)
CPU = Target("fp32", "cpu", "openvino")


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        layers = (Door("unit"), nn.Conv2d(3, 7, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return nn.Sequential(*layers).eval()


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Saved, list[str]]:
    """A network, and one entry for each time that it was built."""
    monkeypatch.setenv("HILUM_CACHE", str(tmp_path / "cache"))
    built: list[str] = []

    def build() -> nn.Module:
        built.append("again")
        return network()

    return Saved(("digest of a file", {"name": "small"}), build), built


def test_it_is_built_once_and_computes_the_same_bits(saved: tuple[Saved, list[str]]) -> None:
    what, built = saved
    found = [runtime.compile_saved(what, SHAPE, CPU)(STACK) for _ in range(3)]
    assert len(built) == 1
    want = runtime.compile_network(network(), SHAPE, CPU)(STACK)
    assert all(np.array_equal(one, want) for one in found)


def test_another_file_shape_or_engine_builds_it_again(saved: tuple[Saved, list[str]]) -> None:
    what, built = saved
    runtime.compile_saved(what, SHAPE, CPU)
    runtime.compile_saved(replace(what, decides=("another digest",)), SHAPE, CPU)
    runtime.compile_saved(what, (SIDE, SIDE + 1), CPU)
    runtime.compile_saved(what, SHAPE, replace(CPU, engine="torch"))
    assert len(built) == 4


def test_changed_sources_and_versions_build_it_again(
    saved: tuple[Saved, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    what, built = saved
    runtime.compile_saved(what, SHAPE, CPU)
    (note,) = (files.cache_home() / "compiled").glob("*.json")
    told = json.loads(note.read_text())
    names = {Path(path).name for path in told["sources"]}
    assert {"conv.py", "normalise.py"} <= names
    told["sources"][next(iter(told["sources"]))] = "0" * 64
    note.write_text(json.dumps(told))
    runtime.compile_saved(what, SHAPE, CPU)
    assert len(built) == 2
    assert shelf.find(what, SHAPE) is not None  # noted anew
    monkeypatch.setattr(shelf, "version", lambda name: "another")
    assert shelf.find(what, SHAPE) is None


def test_a_damaged_note_costs_time_only(saved: tuple[Saved, list[str]]) -> None:
    what, built = saved
    want = runtime.compile_saved(what, SHAPE, CPU)(STACK)
    (note,) = (files.cache_home() / "compiled").glob("*.json")
    for damage in ("", "{", "[]", '{"key": 3, "sources": {}}', '{"sources": 1}'):
        note.write_text(damage)
        assert shelf.find(what, SHAPE) is None
    assert np.array_equal(runtime.compile_saved(what, SHAPE, CPU)(STACK), want)
    assert len(built) == 2


def test_a_conversion_that_was_deleted_is_made_again(saved: tuple[Saved, list[str]]) -> None:
    what, built = saved
    runtime.compile_saved(what, SHAPE, CPU)
    found = shelf.find(what, SHAPE)
    assert found is not None
    found.unlink()
    assert shelf.find(what, SHAPE) is None
    found.with_suffix(".bin").unlink()
    found.parent.rmdir()
    runtime.compile_saved(what, SHAPE, CPU)
    assert len(built) == 2
