"""Splits: properties that hold for all data, and the papers' exact counts."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold

from hilum.data import splits
from hilum.data.splits import SplitFractions
from hilum.data.stratify import fill_strata, targets
from hilum.types import MANIFEST_COLUMNS, SPLIT_COLUMNS, HilumError, Manifest, Split

Row = tuple[str, str | None]  # label, patient


def manifest_of(rows: list[Row], parts: list[str | None] | None = None) -> Manifest:
    table = pd.DataFrame(pd.NA, range(len(rows)), [*MANIFEST_COLUMNS], dtype="str")
    table["sample_id"] = [f"set/{i:05d}" for i in range(len(rows))]
    table["label"] = pd.Series([label for label, _ in rows], dtype="str")
    table["patient_id"] = pd.Series([patient for _, patient in rows], dtype="str")
    if parts:
        table["official_part"] = pd.Series(parts, dtype="str")
    return Manifest(table)


def singles(**counts: int) -> Manifest:
    return manifest_of([(name, None) for name, n in counts.items() for _ in range(n)])


def joined(split: Split, manifest: Manifest) -> pd.DataFrame:
    return split.table.merge(manifest.table, on="sample_id", validate="many_to_one")


def counts(split: Split, manifest: Manifest, fold: int = 0) -> dict[tuple[str, str], int]:
    table = joined(split, manifest)
    table = table[table["fold"] == fold]
    return {
        (str(p), str(c)): int(n) for (p, c), n in table.groupby(["part", "label"]).size().items()
    }


@st.composite
def manifests(draw: st.DrawFn, fewest: int = 5) -> Manifest:
    """Two or three classes; patients of one to six images, some with two labels, some unknown."""
    rows: list[Row] = []
    for label in "abc"[: draw(st.integers(2, 3))]:
        for number in range(draw(st.integers(fewest, 15))):
            size = draw(st.integers(1, 6))
            known = draw(st.booleans())
            rows += [(label, f"{label}{number}" if known else None) for _ in range(size)]
    rows += [(label, f"both{i}") for i in range(draw(st.integers(0, 3))) for label in "ab"]
    return manifest_of(draw(st.permutations(rows)))


def assert_whole_groups(split: Split, manifest: Manifest) -> None:
    known = joined(split, manifest).dropna(subset="patient_id")
    assert known.groupby(["fold", "patient_id"])["part"].nunique().eq(1).all()


def assert_complete(split: Split, manifest: Manifest, parts: set[str]) -> None:
    assert list(split.table.columns) == list(SPLIT_COLUMNS)
    for _, rows in split.table.groupby("fold"):
        assert sorted(rows["sample_id"]) == sorted(manifest.table["sample_id"])
        assert set(rows["part"]) == parts


@settings(max_examples=40, deadline=None)
@given(manifests(), st.floats(0.05, 0.6), st.floats(0.05, 0.6), st.integers(0, 2**31))
def test_holdout_properties(manifest: Manifest, test: float, validation: float, seed: int) -> None:
    split = splits.holdout(manifest, SplitFractions(test, validation), seed)
    assert_complete(split, manifest, {"train", "validation", "test"})
    assert_whole_groups(split, manifest)


@settings(max_examples=40, deadline=None)
@given(manifests(), st.integers(2, 5), st.sampled_from([0.0, 0.2]), st.integers(0, 2**31))
def test_kfold_properties(manifest: Manifest, folds: int, validation: float, seed: int) -> None:
    split = splits.kfold(manifest, folds, validation, seed)
    assert_complete(split, manifest, {"train", "test"} | ({"validation"} if validation else set()))
    assert_whole_groups(split, manifest)
    tested = split.table[split.table["part"] == "test"]
    assert Counter(tested["sample_id"]) == Counter(manifest.table["sample_id"])
    assert split.table["fold"].nunique() == folds


@settings(max_examples=40, deadline=None)
@given(manifests(), st.integers(0, 2**31), st.randoms(use_true_random=False))
def test_row_order_does_not_matter(manifest: Manifest, seed: int, random: Any) -> None:
    order = list(range(len(manifest.table)))
    random.shuffle(order)
    turned = Manifest(manifest.table.iloc[order])
    pairs = [
        (splits.holdout(m, SplitFractions(), seed).table, splits.kfold(m, 3, 0.2, seed).table)
        for m in (manifest, turned)
    ]
    for one, other in zip(*pairs, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_seed_changes_the_split_and_nothing_else_does() -> None:
    manifest = singles(covid19=30, normal=40)
    tables = [splits.holdout(manifest, SplitFractions(), seed).table for seed in (1, 1, 2)]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert (tables[0]["part"] != tables[2]["part"]).sum() > 10


def test_a_new_image_changes_no_other_seed_stream() -> None:
    """Folds draw their validation images independently of each other."""
    split = splits.kfold(singles(a=50, b=50), 5, 0.2, 3).table
    chosen = [set(t.loc[t["part"] == "validation", "sample_id"]) for _, t in split.groupby("fold")]
    assert len({frozenset(item) for item in chosen}) == 5


def test_study_002_counts() -> None:
    """Cuijpers et al., Table 2: 42 + 282 test images of 140 + 939; 755 are left to train."""
    manifest = singles(covid19=140, normal=939)
    split = splits.holdout(manifest, SplitFractions(0.3, 0), 0)
    assert counts(split, manifest) == {
        ("test", "covid19"): 42, ("test", "normal"): 282,
        ("train", "covid19"): 98, ("train", "normal"): 657,
    }  # fmt: skip


def test_study_000_counts() -> None:
    """El Azhari: 80/10/10 of 1,252 + 1,229 slices; validation is a ninth of what is not test."""
    manifest = singles(covid19=1252, non_covid=1229)
    split = splits.holdout(manifest, SplitFractions(0.1, 1 / 9), 0)
    assert counts(split, manifest) == {
        ("train", "covid19"): 1002, ("validation", "covid19"): 125, ("test", "covid19"): 125,
        ("train", "non_covid"): 983, ("validation", "non_covid"): 123, ("test", "non_covid"): 123,
    }  # fmt: skip


@given(st.lists(st.integers(5, 60), min_size=2, max_size=4), st.integers(2, 5))
def test_fold_sizes_equal_scikit_learn(sizes: list[int], folds: int) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    manifest = manifest_of([(f"c{label}", None) for label in labels])
    split = splits.kfold(manifest, folds, 0, 0).table
    ours = split[split["part"] == "test"].groupby("fold").size().to_list()
    theirs = StratifiedKFold(folds).split(labels[:, None], labels)
    assert sorted(ours) == sorted(len(test) for _, test in theirs)


@given(st.lists(st.integers(3, 500), min_size=1, max_size=4), st.floats(0.05, 0.95))
def test_targets_are_within_one_image_of_the_exact_share(totals: list[int], share: float) -> None:
    shares = np.array([1 - share, share])
    found = targets(np.array(totals), shares)
    assert found.sum(axis=0).tolist() == totals
    assert (found >= 1).all()
    assert (np.abs(found - np.outer(shares, totals)) <= 1).all()


@settings(max_examples=40, deadline=None)
@given(manifests(fewest=12), st.integers(0, 2**31))
def test_shares_are_near_where_patients_are_small(manifest: Manifest, seed: int) -> None:
    """No class strays further from its share than the images of two patients."""
    split = splits.holdout(manifest, SplitFractions(0.3, 0), seed)
    table = joined(split, manifest)
    for _, rows in table.groupby("label"):
        assert abs((rows["part"] == "test").sum() - 0.3 * len(rows)) <= 12


@pytest.mark.parametrize("group", ["patient", "image"])
def test_given_folds_are_tested_as_they_are(group: Any) -> None:
    """Those that `kfold` drew give its own split, validation images too; others are kept."""
    manifest = manifest_of([("ab"[i % 2], f"p{i // 2}") for i in range(60)])
    drawn = splits.kfold(manifest, 3, 0.25, 4, group)
    tested = drawn.table[drawn.table["part"] == "test"].set_index("sample_id")["fold"]
    again = splits.folds_given(manifest, tested, 0.25, 4, group)
    pd.testing.assert_frame_equal(again.table, drawn.table)
    assert (again.kind, again.grouped_by, again.seed, again.notes) == (
        drawn.kind, drawn.grouped_by, drawn.seed, drawn.notes,
    )  # fmt: skip
    other = splits.folds_given(manifest, (tested + 1) % 3, 0.0, 4, group).table
    found = other[other["part"] == "test"].set_index("sample_id")["fold"]
    assert found.to_dict() == ((tested + 1) % 3).to_dict()
    assert set(other["part"]) == {"train", "test"}


def test_large_patients_are_spread() -> None:
    """Three patients with 30 images each go to three folds, the small ones even the sizes out."""
    rows: list[Row] = [("a", f"big{i}") for i in range(3) for _ in range(30)]
    rows += [(label, None) for label in "ab" for _ in range(30)]
    manifest = manifest_of(rows)
    split = splits.kfold(manifest, 3, 0, 0)
    assert [counts(split, manifest, fold)["test", "a"] for fold in range(3)] == [40, 40, 40]
    assert [counts(split, manifest, fold)["test", "b"] for fold in range(3)] == [10, 10, 10]


def test_a_bin_that_is_still_empty_is_filled_only_when_groups_run_out() -> None:
    """Two large patients of a fifth's size and more train; six single images fill the fifth."""
    counts_ = np.array([[10], [9]] + [[1]] * 11)
    for seed in range(5):
        bins = fill_strata(counts_, np.array([0.8, 0.2]), np.random.default_rng(seed))
        assert bins[:2].tolist() == [0, 0]
        assert (bins == 1).sum() == 6


def test_the_last_group_of_a_class_goes_where_the_class_is_missing() -> None:
    """By its other images the second patient would train as the first does."""
    counts_ = np.array([[10, 1], [5, 1]] + [[1, 0]] * 15)
    for seed in range(5):
        bins = fill_strata(counts_, np.array([0.9, 0.1]), np.random.default_rng(seed))
        assert bins[:2].tolist() == [0, 1]


def test_where_two_classes_are_missing_in_different_bins_the_first_is_served() -> None:
    counts_ = np.array([[6, 0], [0, 4], [1, 1]])
    bins = fill_strata(counts_, np.array([0.5, 0.5]), np.random.default_rng(0))
    assert bins.tolist() == [0, 1, 1]


def test_by_image_patients_are_torn_apart_and_the_notes_say_so() -> None:
    manifest = manifest_of([(label, f"{label}{i // 10}") for label in "ab" for i in range(50)])
    split = splits.holdout(manifest, SplitFractions(), 0, "image")
    spread = joined(split, manifest).groupby("patient_id")["part"].nunique()
    assert spread.max() > 1
    assert split.grouped_by == "image"
    assert split.notes == ("split by image: images of one patient may be in several parts",)


def test_unknown_patients_are_counted_in_the_notes() -> None:
    manifest = manifest_of(
        [(label, f"{label}{i}" if i else None) for label in "ab" for i in range(9)]
    )
    assert splits.holdout(manifest, SplitFractions(), 0).notes == (
        "2 images without a patient identifier: leakage between patients cannot be excluded",
    )


def test_known_patients_leave_no_note() -> None:
    manifest = manifest_of([(label, f"{label}{i}") for label in "ab" for i in range(9)])
    assert splits.holdout(manifest, SplitFractions(), 0).notes == ()


@given(st.integers(0, 2**31))
def test_clusters_stay_together_and_tie_patients(seed: int) -> None:
    """Image 0 of patient a0 and image 10 of nobody are one cluster, 11 and 12 another."""
    rows: list[Row] = [("a", f"a{i // 2}") for i in range(10)] + [("a", None)] * 10
    manifest = manifest_of(rows + [("b", None)] * 10)
    names = manifest.table["sample_id"]
    clusters = pd.Series(names.to_list(), index=names)
    clusters.iloc[[0, 10]], clusters.iloc[[11, 12]] = "x", "y"
    for group in ("patient", "cluster"):
        split = splits.holdout(manifest, SplitFractions(0.4, 0.3), seed, group, clusters)  # type: ignore[arg-type]
        part = split.table.set_index("sample_id")["part"]
        assert part[names[[0, 1, 10]]].nunique() == 1
        assert part[names[[11, 12]]].nunique() == 1
        assert split.grouped_by == group
        assert "near-duplicate images were kept together instead of patients" in split.notes


def of_sites(rows: list[tuple[str, str, str, str | None]]) -> Manifest:
    """Rows of label, patient, source and site."""
    manifest = manifest_of([(label, patient) for label, patient, _, _ in rows])
    manifest.table["source"] = [source for _, _, source, _ in rows]
    manifest.table["site"] = pd.Series([site for *_, site in rows], dtype="str")
    return manifest


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 5))
def test_a_site_is_tested_by_models_that_never_saw_it(seed: int, folds: int) -> None:
    """Seven sites of one collection, and two sources without sites: each of them is one."""
    collected = [("ab"[i % 2], f"p{i // 4}", "atlas", f"site{i // 20}") for i in range(140)]
    whole = [("ab"[i % 2], f"q{i // 2}", f"clinic{i // 40}", None) for i in range(80)]
    manifest = of_sites([*collected, *whole])
    split = splits.kfold(manifest, folds, 0.2, seed, "site")
    table = joined(split, manifest)
    table["where"] = table["source"] + table["site"].fillna("")
    tested = table["part"] == "test"
    assert table.groupby(["fold", "where"])["part"].agg(lambda p: len(set(p == "test"))).eq(1).all()
    assert table[tested]["sample_id"].is_unique
    assert tested.sum() == len(manifest.table)
    assert_whole_groups(split, manifest)  # validation is carved by patient: sites may be shared
    assert split.grouped_by == "site"
    shared = table[~tested].groupby(["fold", "where"])["part"].nunique()
    assert shared.max() == 2


def test_patients_and_near_duplicates_tie_their_sites() -> None:
    rows = [("ab"[i % 2], f"p{i}", "atlas", f"site{i // 4}") for i in range(48)]
    rows[0] = ("a", "p4", "atlas", "site0")  # a patient of site1 too
    manifest = of_sites(rows)
    clusters = pd.Series(range(48), index=manifest.table["sample_id"]).astype(str)
    clusters.iloc[[1, 8]] = "twins"  # of site0 and site2
    for seed in range(5):
        split = splits.kfold(manifest, 4, 0.3, seed, "site", clusters)
        table = joined(split, manifest)
        tested = table[table["part"] == "test"].set_index("site")["fold"]
        assert tested[["site0", "site1", "site2"]].nunique() == 1


def test_official_keeps_the_test_images_and_carves_the_rest() -> None:
    parts = (["train"] * 40 + ["validation"] * 2 + ["test"] * 10) * 2
    manifest = manifest_of([(label, None) for label in "ab" for _ in range(52)], parts)
    split = splits.official(manifest, 0.25, 7)
    assert split.kind == "official"
    merged = joined(split, manifest)
    assert ((merged["part"] == "test") == (merged["official_part"] == "test")).all()
    assert (merged["part"] == "validation").sum() == 21  # a quarter of 84: 10.5 + 10.5
    kept = joined(splits.official(manifest, None, 7), manifest)
    assert (kept["part"] == kept["official_part"]).all()


def test_a_part_without_a_class_is_noted() -> None:
    parts = ["train"] * 20 + ["test"] * 5
    manifest = manifest_of([("ab"[i % 2] if i < 20 else "a", None) for i in range(25)], parts)
    assert "test of fold 0 has no image of b" in splits.official(manifest, 0.2, 0).notes


REFUSED: dict[str, tuple[Any, str]] = {
    "three images": (
        lambda: splits.holdout(singles(a=2, b=1), SplitFractions(), 0),
        r"patients per class as folds or parts \(2\); got 1 for 'b'",
    ),
    "one patient": (
        lambda: splits.kfold(manifest_of([("a", "p")] * 9 + [("b", None)] * 9), 5, 0.2, 0),
        r"expected at least as many patients per class as folds or parts \(5\); got 1 for 'a'",
    ),
    "nothing left to validate": (
        lambda: splits.holdout(singles(a=2, b=20), SplitFractions(0.5, 0.5), 0),
        r"parts \(2\); got 1 for 'a'",
    ),
    "one class": (
        lambda: splits.holdout(singles(a=9), SplitFractions(), 0),
        "two classes .* got a;",
    ),
    "no label": (
        lambda: splits.holdout(manifest_of([("a", None), (None, None)]), SplitFractions(), 0),  # type: ignore[list-item]
        "got 1 of 2 without one",
    ),
    "test share": (
        lambda: splits.holdout(singles(a=9, b=9), SplitFractions(0.0), 0),
        "test share must be above 0 and below 1; got 0.0",
    ),
    "validation share": (
        lambda: splits.kfold(singles(a=9, b=9), 3, 1.0, 0),
        "validation share must be at least 0 and below 1; got 1.0",
    ),
    "folds": (lambda: splits.kfold(singles(a=9, b=9), 1, 0, 0), "at least 2; got 1"),
    "seed": (lambda: splits.kfold(singles(a=9, b=9), 3, 0, -1), "negative; got -1"),
    "group": (
        lambda: splits.holdout(singles(a=9, b=9), SplitFractions(), 0, "person"),  # type: ignore[arg-type]
        "got 'person'",
    ),
    "cluster": (
        lambda: splits.holdout(singles(a=9, b=9), SplitFractions(), 0, "cluster"),
        "needs each image's cluster; got none",
    ),
    "site": (
        lambda: splits.holdout(singles(a=9, b=9), SplitFractions(), 0, "site"),
        "needs each image's source; got none for 18 of 18",
    ),
    "no official parts": (
        lambda: splits.official(singles(a=9, b=9), 0.2, 0),
        "got none for 18 of 18; choose holdout or kfold",
    ),
    "no official test": (
        lambda: splits.official(manifest_of([("a", None), ("b", None)] * 4, ["train"] * 8), 0.2, 0),
        "must be train, test; got train;",
    ),
    "no official validation": (
        lambda: splits.official(
            manifest_of([("a", None), ("b", None)] * 4, ["train", "train", "test", "test"] * 2),
            None,
            0,
        ),
        "must be train, validation, test; got test, train;",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    call, sentence = REFUSED[name]
    with pytest.raises(HilumError, match=sentence):
        call()


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (0, r"whose 6 images are near duplicates \(the patients of 12 of 12 images are unknown"),
        (4, "images are of one patient or near duplicates .the patients of 8 of 12 images are unk"),
        (12, "whose 6 images are of one patient or near duplicates; merge classes"),
    ],
)
def test_near_duplicates_are_named_where_they_leave_too_few_groups(known: int, said: str) -> None:
    rows: list[Row] = [("ab"[i % 2], f"p{i}" if i < known else None) for i in range(12)]
    manifest = manifest_of(rows)
    names = manifest.table["sample_id"]
    alike = ["one" if label == "a" else name for name, (label, _) in zip(names, rows, strict=True)]
    clusters = pd.Series(alike, index=list(names))
    with pytest.raises(HilumError, match=f"got 1 for 'a', .*{said}"):
        splits.holdout(manifest, SplitFractions(), 0, clusters=clusters)
