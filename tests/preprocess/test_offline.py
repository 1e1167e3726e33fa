"""Copies made before training: how many, of what, from whom, and each made again from its row."""

import numpy as np
import pytest

from hilum.augment import offline, sample
from hilum.augment.offline import OfflineConfig
from hilum.augment.sample import AugmentationRanges
from hilum.types import HilumError

# study 004: randomly resized crop, rotation, mirrors; its paper gives no values
PUBLISHED = AugmentationRanges(
    crop_scale=(0.8, 1.0), crop_aspect=(0.75, 4 / 3), rotation=10, flip=0.5, vertical_flip=0.5
)
IDS = tuple(f"covid_xray_5k/{i}.jpg" for i in range(2084))
LABELS = np.repeat([0, 1], [84, 2000])


@pytest.fixture(scope="module")
def stack() -> np.ndarray:
    """(image, 16, 16): image i is even grey, of a level that tells i's class and neighbours."""
    levels = np.where(LABELS == 0, 40 + np.arange(2084) % 84, 200)
    return np.broadcast_to(levels[:, None, None], (2084, 16, 16)).astype(np.uint8)


@pytest.mark.parametrize(("plan", "new"), [({"times": 5}, 336), ({"target": 450}, 366)])
def test_study_004s_84_images_become_420_or_450(
    stack: np.ndarray, plan: dict[str, int], new: int
) -> None:
    rows = np.flatnonzero(LABELS == 0)
    made = offline.augmented(stack, IDS, rows, OfflineConfig(PUBLISHED, seed=3, **plan))
    assert made.stack.shape == (new, 16, 16)
    assert made.stack.dtype == np.uint8
    assert len(rows) + new == {336: 420, 366: 450}[new]
    times = np.bincount(made.parents, minlength=84)
    assert len(times) == 84  # no parent beyond the class
    assert times.max() - times.min() <= 1
    # even grey has no edges: a copy keeps its parent's level, so no other image was read
    np.testing.assert_array_equal(made.stack, stack[made.parents])


def test_lineage_makes_every_copy_again() -> None:
    films = np.random.default_rng(0).integers(0, 256, (12, 24, 24), np.uint8)
    ids, rows = IDS[:12], np.array([1, 4, 9])
    made = offline.augmented(films, ids, rows, OfflineConfig(PUBLISHED, 1, times=4))
    table = made.parameters
    assert table.index.is_unique
    assert made.sample_ids[0] == f"{ids[1]}#copy1"
    assert table["parent"].tolist() == [ids[row] for row in made.parents]
    assert table.groupby("parent")["copy"].apply(sorted).tolist() == [[1, 2, 3]] * 3
    np.testing.assert_array_equal(sample.apply(films[made.parents], table), made.stack)
    # copies differ from their parent and from each other
    assert len({image.tobytes() for image in (*made.stack, *films[rows])}) == 9 + 3


def test_a_copy_hangs_on_seed_and_name_only() -> None:
    films = np.random.default_rng(0).integers(0, 256, (12, 24, 24), np.uint8)
    all_ = offline.augmented(films, IDS[:12], np.arange(12), OfflineConfig(PUBLISHED, 1, times=3))
    some = offline.augmented(
        films, IDS[:12], np.array([9, 2]), OfflineConfig(PUBLISHED, 1, times=3)
    )
    found = [all_.sample_ids.index(name) for name in some.sample_ids]
    np.testing.assert_array_equal(some.stack, all_.stack[found])
    other = offline.augmented(films, IDS[:12], np.arange(12), OfflineConfig(PUBLISHED, 2, times=3))
    assert not np.array_equal(other.stack, all_.stack)


def test_rows_outside_training_are_never_read(stack: np.ndarray) -> None:
    films = np.random.default_rng(0).integers(0, 256, (40, 24, 24), np.uint8)
    train = np.arange(0, 40, 3)
    spoilt = films.copy()
    spoilt[np.setdiff1d(np.arange(40), train)] = 0
    plan = OfflineConfig(PUBLISHED, 0, times=3)
    made = offline.augmented(films, IDS[:40], train, plan)
    assert np.isin(made.parents, train).all()
    np.testing.assert_array_equal(
        made.stack, offline.augmented(spoilt, IDS[:40], train, plan).stack
    )


def test_many_chunks_equal_one(monkeypatch: pytest.MonkeyPatch) -> None:
    films = np.random.default_rng(0).integers(0, 256, (10, 24, 24), np.uint8)
    plan = OfflineConfig(PUBLISHED, 0, target=57)
    one = offline.augmented(films, IDS[:10], np.arange(10), plan)
    monkeypatch.setattr(offline, "CHUNK", 4)
    np.testing.assert_array_equal(
        offline.augmented(films, IDS[:10], np.arange(10), plan).stack, one.stack
    )
    assert len(one.stack) == 47


def test_one_sided_copying_shows(stack: np.ndarray) -> None:
    train = np.arange(2084)
    plan = OfflineConfig(AugmentationRanges(flip=0.5), 0, times=5)
    covid = offline.augmented(stack, IDS, np.flatnonzero(LABELS == 0), plan)
    assert set(LABELS[covid.parents]) == {0}
    assert len(covid.parents) == 4 * (LABELS == 0).sum()
    both = offline.augmented(
        stack, IDS, train, OfflineConfig(AugmentationRanges(flip=0.5), 0, times=2)
    )
    assert np.array_equal(np.bincount(LABELS[both.parents]), np.bincount(LABELS[train]))


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({}, "times = 0 and target = 0"),
        ({"times": 2, "target": 9}, "times = 2 and target = 9"),
        ({"times": -1}, "times = -1"),
        ({"times": 5, "target": -1}, "target = -1"),
    ],
)
def test_a_plan_says_exactly_one_size(plan: dict[str, int], words: str) -> None:
    with pytest.raises(HilumError, match=words):
        OfflineConfig(AugmentationRanges(), 0, **plan)


def test_no_images_and_too_small_a_target_are_refused() -> None:
    films = np.zeros((4, 8, 8), np.uint8)
    with pytest.raises(HilumError, match="got 0"):
        offline.augmented(
            films, IDS[:4], np.array([], np.int64), OfflineConfig(AugmentationRanges(), 0, times=2)
        )
    with pytest.raises(HilumError, match="target of 3 for the 4"):
        offline.augmented(
            films, IDS[:4], np.arange(4), OfflineConfig(AugmentationRanges(), 0, target=3)
        )
