"""Lung masks that are kept are those of the network, and computed once."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from hilum import phantom
from hilum.data import feature_cache, kept_lungs
from hilum.preprocess import Pipeline
from hilum.preprocess.lungs import masks, segmenter
from hilum.preprocess.lungs.masks import LungMask
from hilum.preprocess.lungs.segmenter import LungSegmenter
from hilum.types import HilumWarning, Stack8
from known_lungs import two_boxes

SHAPE = (75, 67)  # 5,025 pixels: no whole number of bytes


@dataclass
class Counting:
    """Boxes moved by what the image shows; counts the images that it meets."""

    digest: str = "counting"
    pipeline: Pipeline = field(default_factory=lambda: segmenter.preparation(64))
    met: int = 0

    def quick_masks(self, stack: Stack8) -> list[LungMask]:
        self.met += len(stack)
        return [
            LungMask(
                np.roll(two_boxes(*SHAPE), image[0, 0], 1), status(image), image[0, 0] / 7, 0.1
            )
            for image in stack
        ]


def status(image: np.ndarray) -> str:
    return "ok" if image[0, 0] % 2 else "lungs of 4 % of the image, at least 6 %"


def films(count: int) -> Stack8:
    return np.random.default_rng(count).integers(0, 50, (count, *SHAPE), np.uint8)


def same(found: list[LungMask], true: list[LungMask]) -> bool:
    return len(found) == len(true) and all(
        np.array_equal(a.mask, b.mask)
        and a.mask.dtype == b.mask.dtype == bool
        and (a.status, a.fraction, a.confidence) == (b.status, b.fraction, b.confidence)
        for a, b in zip(found, true, strict=True)
    )


@pytest.fixture(autouse=True)
def cold_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HILUM_CACHE", str(tmp_path))
    monkeypatch.setattr(feature_cache, "CHUNK", 3)


def test_masks_are_those_of_the_network_and_computed_once() -> None:
    finder, stack = Counting(), films(8)
    for _ in range(2):
        assert same(kept_lungs.quick_masks(finder, stack), Counting().quick_masks(stack))
        assert finder.met == 8
    mirrored = stack[:, :, ::-1]  # a view: other pixels at the same addresses
    assert same(kept_lungs.quick_masks(finder, mirrored), Counting().quick_masks(mirrored))
    assert finder.met == 16
    assert kept_lungs.quick_masks(finder, stack[:0]) == []


@pytest.mark.parametrize("what", ["network", "preparation", "arithmetic", "order", "shape"])
def test_another_question_is_computed(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    finder, stack = Counting(), films(3)
    kept_lungs.quick_masks(finder, stack)
    if what == "network":
        finder.digest = "other"
    if what == "preparation":
        finder.pipeline = segmenter.preparation(65)
    if what == "arithmetic":
        monkeypatch.setattr(masks, "VERSION", masks.VERSION + 1)
    if what == "order":
        stack = stack[::-1]
    if what == "shape":
        stack = stack.reshape(3, *SHAPE[::-1])
        monkeypatch.setattr(f"{__name__}.SHAPE", SHAPE[::-1])
    assert same(kept_lungs.quick_masks(finder, stack), Counting().quick_masks(stack))
    assert finder.met == 6


def test_a_damaged_file_is_made_anew_and_told(tmp_path: Path) -> None:
    finder, stack = Counting(), films(3)
    kept_lungs.quick_masks(finder, stack)
    (file,) = tmp_path.rglob("*.npy")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)
    with pytest.warns(HilumWarning, match=str(file)):
        found = kept_lungs.quick_masks(finder, stack)
    assert same(found, Counting().quick_masks(stack))


def test_the_network_that_comes_with_hilum() -> None:
    finder: LungSegmenter = segmenter.load_segmenter()
    wanted = phantom.Request(images=4, size=224, images_per_patient=1)
    stack = np.stack(phantom.generate(wanted).images)
    true = finder.quick_masks(stack)
    assert all(one.mask.any() for one in true)
    assert same(kept_lungs.quick_masks(finder, stack), true)
    assert same(kept_lungs.quick_masks(finder, stack), true)
