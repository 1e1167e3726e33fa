"""The store of features."""

from pathlib import Path

import numpy as np
import pytest

from hilum import files
from hilum.data import feature_cache


def test_store_computes_once_and_survives_a_failure() -> None:
    key = files.stable_digest("a test of the store")
    calls: list[int] = []

    def compute() -> np.ndarray:
        calls.append(1)
        return np.arange(6, dtype=np.float32).reshape(2, 3)

    def broken() -> np.ndarray:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        feature_cache.cached(key, broken)
    first, second = feature_cache.cached(key, compute), feature_cache.cached(key, compute)
    assert len(calls) == 1
    assert np.array_equal(first, second)
    assert first.dtype == np.float32
    assert not second.flags.writeable
    folder = Path(feature_cache.store_path(key)).parent
    assert [it.name for it in folder.iterdir() if key in it.name] == [f"{key}.npy"]
