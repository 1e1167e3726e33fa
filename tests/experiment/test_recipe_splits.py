"""A recipe's split is the one that hilum.data.splits draws with its shares, seed and groups."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hilum import recipes
from hilum.data import splits as drawn
from hilum.experiment import splits
from hilum.recipes import Recipe, SplitPlan
from hilum.types import MANIFEST_COLUMNS, Fingerprints, HilumError, Manifest, Split


def films(count: int, each: int = 1, dataset: str = "kermany") -> Manifest:
    """Films of classes a and b in turn, so many of a patient; every patient of one class."""
    table = pd.DataFrame(pd.NA, range(count), [*MANIFEST_COLUMNS], dtype="str")
    table["sample_id"] = [f"s{i:03d}" for i in range(count)]
    table["label"] = ["ab"[i % 2] for i in range(count)]
    table["patient_id"] = [f"p{i % 2}{i // (2 * each)}" for i in range(count)]
    table["dataset"] = dataset
    table["sha256"] = [f"{(i * 37) % 1000:03d}" for i in range(count)]
    return Manifest(table)


def prints(manifest: Manifest, twins: dict[int, int] | None = None) -> Fingerprints:
    """Films of noise, but for those that are the same file as an earlier one."""
    rng = np.random.default_rng(1)
    count = len(manifest.table)
    source = [(twins or {}).get(i, i) for i in range(count)]
    return Fingerprints(
        tuple(manifest.table["sample_id"]),
        tuple(f"b{i}" for i in source),
        tuple(f"x{i}" for i in source),
        rng.integers(0, 256, (count, 32), np.uint8)[source],
        rng.integers(0, 256, (count, 32, 32), np.uint8)[source],
    )


def same(one: Split, other: Split) -> None:
    pd.testing.assert_frame_equal(one.table, other.table)
    assert (one.kind, one.grouped_by, one.seed) == (other.kind, other.grouped_by, other.seed)


def test_kind_shares_groups_and_both_seeds_arrive() -> None:
    found = films(80, each=2)
    plan = SplitPlan(kind="holdout", test=0.3, validation=0.2, seed=2)
    expected = drawn.holdout(found, drawn.SplitFractions(0.3, 0.2), 5)
    same(splits.make_split(plan, found, None, 3), expected)
    plan = SplitPlan(kind="kfold", folds=4, validation=0.2, seed=2, group="image")
    same(splits.make_split(plan, found, None, 3), drawn.kfold(found, 4, 0.2, 5, "image"))
    parts = ["test" if i < 20 else "train" for i in range(80)]
    given = Manifest(found.table.assign(official_part=pd.Series(parts, dtype="str")))
    plan = SplitPlan(kind="official", validation=0.25)
    same(splits.make_split(plan, given, None, 1), drawn.official(given, 0.25, 1))


def test_two_patients_of_a_class_are_divided_once() -> None:
    """Too few images for one test part, and too few patients for three folds."""
    found = films(40, each=10, dataset="folder")
    split = splits.make_split(SplitPlan(kind="auto", validation=0.0), found, None, 0)
    same(split, drawn.holdout(found, drawn.SplitFractions(0.2, 0.0), 0))


@pytest.mark.parametrize(
    ("own", "share", "said"), [(0, 0.25, False), (9, 0.25, True), (9, 0.0, False)]
)
def test_validation_images_that_are_drawn_again_are_said(
    own: int, share: float, said: bool
) -> None:
    parts = ["validation"] * own + ["test"] * 20 + ["train"] * (60 - own)
    given = Manifest(films(80).table.assign(official_part=pd.Series(parts, dtype="str")))
    split = splits.make_split(SplitPlan(kind="official", validation=share), given, None, 0)
    notes = [note for note in split.notes if f"{own} validation images are drawn again" in note]
    assert len(notes) == said
    assert any("validation" in note for note in split.notes) == said
    unused = splits.make_split(SplitPlan(kind="holdout"), given, None, 0).notes
    assert any("holdout" in note for note in unused)


def test_twins_stay_together_unless_images_are_drawn_singly() -> None:
    found = films(80)
    known = prints(found, {i: i - 2 for i in range(2, 80, 4)})  # every second of a class
    names = found.table["sample_id"]
    for order in ("name", "content"):
        own = replace(found, table=found.table.assign(dataset="folder"))
        plan = SplitPlan(kind="holdout", test=0.4, order=order)
        part = splits.make_split(plan, own, known, 0).table.set_index("sample_id")["part"]
        assert all(part[names[i]] == part[names[i - 2]] for i in range(2, 80, 4))
    singly = SplitPlan(kind="holdout", test=0.4, group="image")
    expected = drawn.holdout(found, drawn.SplitFractions(0.4, 0.15), 0, "image")
    same(splits.make_split(singly, found, known, 0), expected)


def test_only_a_users_own_images_are_ordered_by_content() -> None:
    plan, published, own = SplitPlan(order="content"), films(8), films(8, dataset="folder")
    mixed = Manifest(pd.concat([published.table, own.table], ignore_index=True))
    assert [splits.order_of(plan, one) for one in (published, own, mixed)] == [
        "name", "content", "name",
    ]  # fmt: skip
    assert splits.order_of(SplitPlan(order="name"), own) == "name"


def test_by_content_names_decide_nothing() -> None:
    own = films(60, dataset="folder")
    named = [f"z{59 - i:02d}" for i in range(60)]
    renamed = Manifest(own.table.assign(sample_id=named))
    plan = SplitPlan(kind="holdout", order="content")
    one = splits.make_split(plan, own, None, 0).table.set_index("sample_id")["part"]
    other = splits.make_split(plan, renamed, None, 0).table.set_index("sample_id")["part"]
    assert one[own.table["sample_id"]].tolist() == other[named].tolist()


def rounds_of(
    found: Manifest, plan: SplitPlan, seed: int = 0
) -> tuple[pd.DataFrame, "pd.Series[int] | None"]:
    """A fold that tests the last quarter, and the rounds among its other films."""
    count = len(found.table)
    parts = ["train"] * (count // 2) + ["validation"] * (count // 4)
    fold = pd.DataFrame(
        {"sample_id": found.table["sample_id"], "part": parts + ["test"] * (count - len(parts))}
    )
    return fold, splits.inner_rounds(plan, found, prints(found), fold, seed)


def test_rounds_are_folds_of_what_a_fold_does_not_test() -> None:
    found = films(80, each=2)
    fold, rounds = rounds_of(found, SplitPlan(seed=1), 6)
    free = Manifest(found.table[fold["part"] != "test"].reset_index(drop=True))
    table = drawn.kfold(free, 5, 0.0, 7).table
    expected = table[table["part"] == "test"].set_index("sample_id")["fold"].sort_index()
    assert rounds is not None
    pd.testing.assert_series_equal(rounds, expected)


def test_rounds_are_as_many_as_the_groups_allow() -> None:
    found = films(80, each=10)  # three patients of a class in the sixty that are not tested
    _, rounds = rounds_of(found, SplitPlan())
    assert rounds is not None
    assert rounds.nunique() == 3
    _, rounds = rounds_of(films(80, each=15), SplitPlan())  # two patients
    assert rounds is not None
    assert rounds.nunique() == 2
    assert rounds_of(films(40, each=20), SplitPlan())[1] is None


@pytest.mark.parametrize(("sites", "alike"), [(6, True), (1, False)])
def test_rounds_are_by_patient_where_sites_are_too_few(sites: int, alike: bool) -> None:
    found = films(80, each=2)
    where = [f"site{i // 8 % sites}" for i in range(80)]
    found = Manifest(found.table.assign(source="atlas", site=pd.Series(where, dtype="str")))
    _, rounds = rounds_of(found, SplitPlan(group="site"))
    assert rounds is not None
    table = found.table.set_index("sample_id").loc[rounds.index]
    assert rounds.groupby(table["patient_id"]).nunique().eq(1).all()
    assert rounds.groupby(table["site"]).nunique().eq(1).all() == alike
    assert rounds.nunique() == 5


def recipe(**plan: Any) -> Recipe:
    changes = [f'split={{kind="{plan.pop("kind")}", order="content"}}', *plan.pop("changes", [])]
    return recipes.load_recipe("demo", plan.pop("mode", "corrected"), changes=changes)


def test_a_resolved_recipe_says_what_was_done() -> None:
    found = films(60, dataset="folder")
    auto = recipe(kind="auto")
    for split, kind, folds in (
        (drawn.kfold(found, 3, 0.2, 0), "kfold", 3),
        (drawn.holdout(found, drawn.SplitFractions(), 0), "holdout", 5),
    ):
        plan = splits.resolve_recipe(auto, found, {0: split}).split
        assert (plan.kind, plan.folds, plan.order) == (kind, folds, "content")
    asked = splits.resolve_recipe(recipe(kind="holdout"), films(60), {0: split}).split
    assert (asked.kind, asked.folds, asked.order) == ("holdout", 5, "name")


COPIES = "train.copies={times=3, before_split=%s, ranges={rotation=10, zoom=0.05}}"


@pytest.mark.parametrize("before", [True, False])
def test_copies_made_before_the_split_leak_what_is_tested_or_validates(before: bool) -> None:
    split = drawn.kfold(films(40), 2, 0.2, 0)
    plan = recipe(kind="kfold", mode="published", changes=[COPIES % str(before).lower()])
    leaks = splits.leaks_of_copies(split, plan)
    apart = split.table[split.table["part"] != "train"]
    assert len(leaks) == (len(apart) if before else 0)
    assert {(one.fold, one.second, one.second_part) for one in leaks} == {
        row for row in zip(apart["fold"], apart["sample_id"], apart["part"], strict=True) if before
    }
    assert {(one.kind, one.first_part) for one in leaks} <= {("augmented copy", "train")}
    assert all(one.first == f"{one.second}#copy1" for one in leaks)


@pytest.mark.parametrize(
    ("kind", "grouped_by", "mode", "said"),
    [
        ("holdout", "patient", "corrected", r"got 1 pairs, such as s000 and s002; correct the pat"),
        ("holdout", "site", "corrected", "correct the patient identifiers"),
        ("official", "patient", "corrected", "correct the parts or the patient identifiers, or"),
        ("holdout", "patient", "published", ""),
        ("holdout", "image", "corrected", ""),
    ],
)
def test_a_patient_on_both_sides_stops_a_corrected_run(
    kind: Any, grouped_by: Any, mode: str, said: str
) -> None:
    found = films(8, each=2)
    table = pd.DataFrame(
        {"sample_id": found.table["sample_id"], "fold": 0, "part": ["test"] + ["train"] * 7}
    )
    split, known = Split(table, kind, grouped_by, 0), prints(found)
    if said:
        with pytest.raises(HilumError, match=said):
            splits.check_leakage(split, found, known, mode)
    else:
        (leak,) = splits.check_leakage(split, found, known, mode)
        assert (leak.kind, leak.first, leak.second) == ("same patient", "s000", "s002")
    whole = Split(table.assign(part="train"), kind, grouped_by, 0)
    assert splits.check_leakage(whole, found, known, mode) == []
