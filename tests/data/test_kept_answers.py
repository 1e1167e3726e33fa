"""A network whose answers are kept gives the same bits, and computes them once."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hilum.data import feature_cache
from hilum.data.kept_answers import KeptAnswers
from hilum.models.runtime.base import Runtime, RuntimeInfo
from hilum.progress import Advance
from hilum.types import Floats, Grey8, HilumError

SIDE = 4


class Sums(Runtime):
    """Row and column sums of an image; counts the images that it meets."""

    def __init__(self) -> None:
        self.facts = RuntimeInfo("openvino", "cpu", "fp32", (SIDE, SIDE), 2 * SIDE)
        self.met = 0

    def _fill(self, images: Iterator[Grey8], out: Floats, progress: Advance) -> int:
        done = 0
        for done, image in enumerate(images, 1):
            out[done - 1] = np.concatenate([image.sum(0), image.sum(1)])
        self.met += done
        progress(done, len(out))
        return done


@pytest.fixture(autouse=True)
def cold_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HILUM_CACHE", str(tmp_path))
    monkeypatch.setattr(feature_cache, "CHUNK", 3)


def stack(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 255, (count, SIDE, SIDE), np.uint8)


def test_answers_are_those_of_the_network_and_computed_once() -> None:
    network, films = Sums(), stack(8)
    kept, true = KeptAnswers(network, "key"), Sums()(films)
    moves: list[tuple[int, int]] = []
    for _ in range(2):
        np.testing.assert_array_equal(kept(films, lambda *at: moves.append(at)), true)
        assert network.met == 8
    assert moves == 2 * [(3, 8), (6, 8), (8, 8)]
    mirrored = films[:, :, ::-1]  # a view: other pixels at the same addresses
    np.testing.assert_array_equal(kept(mirrored), Sums()(mirrored))
    assert network.met == 16


def test_another_network_order_or_pixel_is_another_question() -> None:
    network, films = Sums(), stack(3)
    KeptAnswers(network, "key")(films)
    for key, other in (("other", films), ("key", films[::-1]), ("key", films ^ 1)):
        before = network.met
        np.testing.assert_array_equal(KeptAnswers(network, key)(other), Sums()(other))
        assert network.met == before + 3


def test_images_of_another_shape_are_still_refused() -> None:
    with pytest.raises(HilumError, match="compiled for uint8 images of shape"):
        KeptAnswers(Sums(), "key")(np.zeros((2, SIDE, SIDE + 1), np.uint8))
