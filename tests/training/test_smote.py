"""SMOTE: imbalanced-learn's rows, on the lines between training images, in little memory."""

import tracemalloc

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from hilum.training import smote
from hilum.types import HilumError

PIXELS = 150_528  # 224 x 224 x 3, as study 002 has it


def labels_of(*counts: int) -> np.ndarray:
    """(image,) class numbers in a fixed mixed order."""
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(7).permutation(labels)


def normal(images: int, features: int, dtype: type = np.float32) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(images, features)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", [0, 42])
def test_study_002s_counts_equal_imbalanced_learn(dtype: type, seed: int) -> None:
    reference = pytest.importorskip("imblearn.over_sampling")
    labels = labels_of(98, 657)
    features = normal(755, 300, dtype)
    made = smote.synthetic(features, labels, seed)
    theirs, their_labels = reference.SMOTE(random_state=seed, k_neighbors=5).fit_resample(
        features, labels
    )
    assert made.rows.shape == (559, 300)
    assert len(theirs) == 755 + 559 == 1314
    np.testing.assert_array_equal(theirs[755:], made.rows)
    np.testing.assert_array_equal(their_labels[755:], made.labels)
    assert np.bincount(np.concatenate([labels, made.labels])).tolist() == [657, 657]


@pytest.mark.parametrize("neighbours", [1, 3, 5])
def test_several_classes_reach_the_largest_as_in_imbalanced_learn(neighbours: int) -> None:
    reference = pytest.importorskip("imblearn.over_sampling")
    labels, features = labels_of(20, 61, 7, 61), normal(149, 40)
    made = smote.synthetic(features, labels, 5, neighbours)
    theirs, their_labels = reference.SMOTE(random_state=5, k_neighbors=neighbours).fit_resample(
        features, labels
    )
    np.testing.assert_array_equal(theirs[149:], made.rows)
    np.testing.assert_array_equal(their_labels[149:], made.labels)
    assert np.bincount(made.labels, minlength=4).tolist() == [41, 0, 54, 0]


def test_every_row_lies_on_the_segment_between_its_parents() -> None:
    labels, features = labels_of(15, 60), normal(75, 50, np.float64)
    made = smote.synthetic(features, labels, 1)
    first, second = features[made.parents[:, 0]], features[made.parents[:, 1]]
    whole = np.linalg.norm(second - first, axis=1)
    to_first = np.linalg.norm(made.rows - first, axis=1)
    to_second = np.linalg.norm(made.rows - second, axis=1)
    np.testing.assert_allclose(to_first + to_second, whole, rtol=1e-12)  # the triangle is flat
    np.testing.assert_allclose(to_first / whole, made.lambdas, rtol=1e-9)
    assert ((made.lambdas >= 0) & (made.lambdas < 1)).all()
    assert (made.parents[:, 0] != made.parents[:, 1]).all()
    assert (labels[made.parents] == made.labels[:, None]).all()


def test_parents_come_from_the_training_rows_only() -> None:
    labels, features = labels_of(30, 120), normal(150, 20)
    rows = np.random.default_rng(0).permutation(150)[:90]
    made = smote.synthetic(features, labels, 2, rows=rows)
    assert np.isin(made.parents, rows).all()
    counts = np.bincount(labels[rows])
    assert len(made.rows) == counts[1] - counts[0]
    # what the other rows hold makes no difference, were it even nonsense
    spoilt = features.copy()
    spoilt[np.setdiff1d(np.arange(150), rows)] = np.nan
    np.testing.assert_array_equal(
        smote.synthetic(spoilt, labels, 2, rows=rows).rows, made.rows, strict=True
    )
    # and the answer is that for the training rows by themselves
    alone = smote.synthetic(features[rows], labels[rows], 2)
    np.testing.assert_array_equal(alone.rows, made.rows)
    np.testing.assert_array_equal(rows[alone.parents], made.parents)


def test_same_seed_same_rows_other_seed_other_rows() -> None:
    labels, features = labels_of(10, 40), normal(50, 8)
    one, again = (smote.synthetic(features, labels, 1) for _ in range(2))
    np.testing.assert_array_equal(one.rows, again.rows)
    assert not np.array_equal(one.rows, smote.synthetic(features, labels, 2).rows)


def test_the_global_random_state_is_left_alone() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    smote.synthetic(normal(50, 8), labels_of(10, 40), 1)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_uint8_images_stay_images_and_round_once() -> None:
    stack = np.random.default_rng(0).integers(0, 256, (60, 12, 9), np.uint8)
    labels = labels_of(14, 46)
    made = smote.synthetic(stack, labels, 4)
    assert made.rows.shape == (32, 12, 9)
    assert made.rows.dtype == np.uint8
    # the same draws on plain floats, where nothing can wrap around
    exact = smote.synthetic(stack.reshape(60, -1).astype(np.float64), labels, 4)
    np.testing.assert_array_equal(made.parents, exact.parents)
    assert np.abs(made.rows.reshape(32, -1) - exact.rows).max() <= 0.5
    low, high = stack[made.parents].min(1), stack[made.parents].max(1)
    assert ((low <= made.rows) & (made.rows <= high)).all()


def test_one_grey_channel_gives_what_three_equal_ones_do() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (50, 16, 16), np.uint8)
    colour = np.repeat(grey[..., None], 3, axis=-1)
    labels = labels_of(12, 38)
    one, three = smote.synthetic(grey, labels, 9), smote.synthetic(colour, labels, 9)
    np.testing.assert_array_equal(one.parents, three.parents)
    np.testing.assert_array_equal(one.rows[..., None].repeat(3, -1), three.rows)


def test_neighbours_equal_scikit_learns_over_many_stripes_and_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(smote, "QUERIES", 17)
    monkeypatch.setattr(smote, "NUMBERS", 1)  # stripes of 64 columns
    features = normal(120, 333, np.float64)
    rows = np.random.default_rng(1).permutation(120)[:100]
    theirs = NearestNeighbors(n_neighbors=6).fit(features[rows]).kneighbors()[1]
    np.testing.assert_array_equal(smote.nearest_neighbours(features, rows, 6), theirs)


def test_two_copies_of_one_image_are_each_others_neighbours() -> None:
    features = np.concatenate([normal(6, 100), normal(6, 100)])
    assert smote.nearest_neighbours(features, np.arange(12), 1)[:, 0].tolist() == [
        *range(6, 12),
        *range(6),
    ]


@pytest.mark.slow
def test_published_size_needs_no_more_than_point_eight_gigabytes() -> None:
    labels = labels_of(98, 657)
    minority = np.flatnonzero(labels == 0)
    tracemalloc.start()
    features = np.zeros((755, PIXELS), np.float32)  # the majority's pages are never touched
    random = np.random.default_rng(0)
    for row in minority:
        features[row] = random.random(PIXELS, np.float32)
    tracemalloc.reset_peak()
    made = smote.synthetic(features, labels, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert features.nbytes + made.rows.nbytes == 1314 * PIXELS * 4  # 0.79 GB: what must be held
    assert peak <= 0.8e9


def test_the_neighbour_search_copies_only_stripes() -> None:
    features = np.random.default_rng(0).integers(0, 256, (98, PIXELS), np.uint8)
    tracemalloc.start()
    smote.nearest_neighbours(features, np.arange(98), 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6  # 118 MB as float64 at once


def test_a_small_class_uses_all_the_neighbours_it_has() -> None:
    labels, features = labels_of(2, 9), normal(11, 5)
    made = smote.synthetic(features, labels, 0)
    pair = np.flatnonzero(labels == 0)
    assert {tuple(sorted(p)) for p in made.parents.tolist()} == {tuple(pair.tolist())}
    assert len(made.rows) == 7


def test_balanced_classes_get_nothing() -> None:
    made = smote.synthetic(normal(20, 5), labels_of(10, 10), 0)
    assert made.rows.shape == (0, 5)
    assert made.parents.shape == (0, 2)
    assert len(smote.parents_table(made, [str(i) for i in range(20)])) == 0


def test_lineage_names_the_parents() -> None:
    labels, features = labels_of(8, 20), normal(28, 5)
    names = [f"cohen/{i}.png" for i in range(28)]
    made = smote.synthetic(features, labels, 0)
    table = smote.parents_table(made, names)
    assert list(table) == ["sample_id", "first", "second", "lambda", "label"]
    assert table["sample_id"].is_unique
    assert [name.split("#")[0] for name in table["sample_id"]] == table["first"].tolist()
    # the table alone makes every image again
    at = {name: i for i, name in enumerate(names)}
    first, second = (features[table[side].map(at)] for side in ("first", "second"))
    again = first + table["lambda"].to_numpy()[:, None] * (second - first)
    np.testing.assert_array_equal(again.astype(np.float32), made.rows)


@pytest.mark.parametrize(
    ("counts", "neighbours", "words"),
    [
        ((1, 20), 5, r"two training images per class; got one of class number \[0\]"),
        ((20, 3, 1), 5, r"class number \[2\]"),
        ((20,), 5, r"two classes or more; got training images of the classes \[0\]"),
        ((5, 20), 0, "neighbours = 0"),
    ],
)
def test_what_cannot_be_done_is_said(counts: tuple[int, ...], neighbours: int, words: str) -> None:
    labels = labels_of(*counts)
    with pytest.raises(HilumError, match=words):
        smote.synthetic(normal(len(labels), 4), labels, 0, neighbours)
