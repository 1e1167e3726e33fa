"""Feature extraction by views, and its store."""

from pathlib import Path

import numpy as np
import pytest
from torch import nn

from hilum import files
from hilum.models import features
from hilum.models.normalise import Door
from hilum.models.runtime import Runtime, Target, compile_network

STACK = np.random.default_rng(0).integers(0, 256, (7, 6, 5), dtype=np.uint8)


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    """Mean grey in [0, 1], three times over: features that can be computed by hand."""
    return compile_network(
        nn.Sequential(Door("unit"), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        (6, 5),
        Target("fp32", "cpu", "torch"),
    )


def means(stack: np.ndarray) -> np.ndarray:
    return np.repeat(stack.mean((1, 2))[:, None] / 255, 3, axis=1)


def test_extract_is_what_the_network_says(runtime: Runtime) -> None:
    np.testing.assert_allclose(features.extract(runtime, STACK), means(STACK), rtol=1e-5)


@pytest.mark.parametrize("chunk", [1, 3, 256])
def test_views_know_their_rows_whatever_the_chunk(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(features, "CHUNK", chunk)
    level = np.arange(7, dtype=np.uint8) * 10

    def by_row(stack: np.ndarray, rows: slice) -> np.ndarray:
        return np.broadcast_to(level[rows, None, None], stack.shape).copy()

    def same(stack: np.ndarray, rows: slice) -> np.ndarray:
        return stack

    seen: list[tuple[int, int]] = []
    got = features.extract_views(runtime, STACK, [same, by_row], lambda *it: seen.append(it))
    assert got.shape == (2, 7, 3)
    np.testing.assert_allclose(got[0], means(STACK), rtol=1e-5)
    np.testing.assert_allclose(got[1, :, 0], level / 255, rtol=1e-5)
    assert np.array_equal(got[0], features.extract(runtime, STACK))
    assert seen[-1] == (14, 14)


def test_store_computes_once_and_survives_a_failure() -> None:
    key = files.digest("a test of the store")
    calls: list[int] = []

    def compute() -> np.ndarray:
        calls.append(1)
        return np.arange(6, dtype=np.float32).reshape(2, 3)

    def broken() -> np.ndarray:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        features.cached(key, broken)
    first, second = features.cached(key, compute), features.cached(key, compute)
    assert len(calls) == 1
    assert np.array_equal(first, second)
    assert first.dtype == np.float32
    assert not second.flags.writeable
    folder = Path(features.store_path(key)).parent
    assert [it.name for it in folder.iterdir() if key in it.name] == [f"{key}.npy"]
