"""A set's own split, order by content, folds for small sets: what divides a user's images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hilum import datasets, files, recipes
from hilum.experiment import splits
from hilum.recipes import SplitPlan
from hilum.types import HilumError, Manifest, Split

AUTO = SplitPlan(kind="auto", order="content")


def drawn(folder: Path, count: int) -> list[Path]:
    """So many grey images of noise, no two alike."""
    rng = np.random.default_rng(5)
    folder.mkdir(parents=True)
    paths = [folder / f"{i:03d}.png" for i in range(count)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(path)
    return paths


def listed(folder: Path, parts: list[str], name: str = "split", patients: list[str] | None = None):
    """A table of as many images as there are parts, of two classes in turn."""
    paths = drawn(folder / "im", len(parts))
    rows = [f"image,label,patient_id,{name}"]
    for i, (path, part) in enumerate(zip(paths, parts, strict=True)):
        person = patients[i] if patients else f"p{i}"
        rows.append(f"im/{path.name},{'ab'[i % 2]},{person},{part}")
    (folder / "t.csv").write_text("\n".join(rows) + "\n")
    return folder


def opened(folder: Path) -> Manifest:
    manifest = datasets.open_path(folder)
    hashes = [files.sha256(path) for path in manifest.table["path"]]
    return replace(manifest, table=manifest.table.assign(sha256=hashes))


def split_of(folder: Path, plan: SplitPlan = AUTO) -> tuple[Manifest, Split]:
    found = opened(folder)
    return found, splits.make_split(plan, found, None, 0)


def parts_of(found: Manifest, split: Split) -> pd.DataFrame:
    """One row per image: number in its file's name, given part, part in the first fold."""
    table = found.table.merge(split.table[split.table["fold"] == 0], on="sample_id")
    number = [int(Path(path).stem) for path in table["path"]]
    return table.assign(number=number).set_index("number").sort_index()


SPELLINGS = [
    ("train", "val", "test"),
    ("Train", "Validation", "TEST"),
    ("training", "valid", "testing"),
    (" TRAIN ", "dev", "Test"),
    ("Training set", "validation_set", "test_images"),
]


@pytest.mark.parametrize("words", SPELLINGS)
def test_a_column_of_splits_is_used_as_given(tmp_path: Path, words: tuple[str, str, str]) -> None:
    train, validation, test = words
    given = [train] * 20 + [validation] * 8 + [test] * 12
    found, split = split_of(listed(tmp_path, given))
    table = parts_of(found, split)
    assert split.kind == "official"
    assert table["part"].tolist() == ["train"] * 20 + ["validation"] * 8 + ["test"] * 12
    assert "used as given (20 train, 8 validation, 12 test)" in split.notes[0]


@pytest.mark.parametrize("name", ["split", "Partition", "subset", "data_split", "phase", "usage"])
def test_the_column_is_known_by_its_name_or_by_its_words(tmp_path: Path, name: str) -> None:
    _, split = split_of(listed(tmp_path, ["train"] * 20 + ["val"] * 8 + ["test"] * 12, name))
    assert split.table["part"].value_counts().to_dict() == {
        "train": 20,
        "test": 12,
        "validation": 8,
    }


@pytest.mark.parametrize("shape", ["{part}/{label}", "{label}/{part}", "{part}/{label}/images"])
def test_folders_of_parts_are_used_as_given(tmp_path: Path, shape: str) -> None:
    given = ["train"] * 20 + ["val"] * 8 + ["test"] * 12
    for i, (path, part) in enumerate(zip(drawn(tmp_path / "x", 40), given, strict=True)):
        home = tmp_path / "set" / shape.format(part=part, label="ab"[i % 2])
        home.mkdir(parents=True, exist_ok=True)
        path.rename(home / path.name)
    found, split = split_of(tmp_path / "set")
    assert parts_of(found, split)["part"].tolist() == [
        {"val": "validation"}.get(part, part) for part in given
    ]
    assert set(found.table["label"]) == {"a", "b"}


def sorted_into(home: Path, shape: str, given: list[str]) -> Path:
    """Images of classes a and b in turn, in folders of these parts."""
    for i, (path, part) in enumerate(zip(drawn(home / "x", len(given)), given, strict=True)):
        folder = home / "set" / shape.format(part=part, label="ab"[i % 2])
        folder.mkdir(parents=True, exist_ok=True)
        path.rename(folder / path.name)
    return home / "set"


@pytest.mark.parametrize("shape", ["{part}/{label}", "{label}/{part}"])
def test_numbered_folders_of_parts_are_no_classes(tmp_path: Path, shape: str) -> None:
    given = ["1_train"] * 20 + ["2_val"] * 8 + ["3_test"] * 12
    found, split = split_of(sorted_into(tmp_path, shape, given))
    assert set(found.table["label"]) == {"a", "b"}
    assert split.table["part"].value_counts().to_dict() == {
        "train": 20,
        "test": 12,
        "validation": 8,
    }


@pytest.mark.parametrize("shape", ["{part}/{label}", "{label}/{part}"])
@pytest.mark.parametrize("spelt", ["fold_{}", "Fold{}", "fold 0{}"])
def test_folders_of_folds_are_no_classes(tmp_path: Path, shape: str, spelt: str) -> None:
    given = [spelt.format(i // 2 % 3) for i in range(36)]
    found, split = split_of(sorted_into(tmp_path, shape, given))
    assert set(found.table["label"]) == {"a", "b"}
    table = split.table.merge(found.table[["sample_id", "path"]], on="sample_id")
    tested = table[table["part"] == "test"]
    numbers = tested["path"].map(lambda path: int(Path(path).stem) // 2 % 3)
    assert numbers.tolist() == tested["fold"].tolist()
    assert len(tested) == 36
    assert any("own folds are used as given" in note for note in split.notes)


def test_one_folder_of_a_fold_among_others_is_a_class(tmp_path: Path) -> None:
    given = ["fold 1", "skin"] * 12
    for path, name in zip(drawn(tmp_path / "x", 24), given, strict=True):
        (tmp_path / "set" / name).mkdir(parents=True, exist_ok=True)
        path.rename(tmp_path / "set" / name / path.name)
    assert set(opened(tmp_path / "set").table["label"]) == {"fold_1", "skin"}


def test_class_folders_that_hold_the_same_folders_are_said(tmp_path: Path) -> None:
    """Two hospitals, each with both classes: what the folders mean cannot be known."""
    places = ["east"] * 12 + ["west"] * 12
    found = opened(sorted_into(tmp_path / "alike", "{part}/{label}", places))
    (note,) = (note for note in found.notes if "uppermost folders are the classes" in note)
    assert "(east, west)" in note
    assert "(a, b)" in note
    plain = opened(sorted_into(tmp_path / "plain", "{label}", places))
    assert not any("uppermost" in note for note in plain.notes)


@pytest.mark.parametrize("inside", [True, False])
def test_folders_of_parts_below_a_table_are_its_split(tmp_path: Path, inside: bool) -> None:
    """Where its paths go through them; whole paths as well as those from the table's folder."""
    given = ["train"] * 20 + ["valid"] * 8 + ["Test"] * 12
    rows = ["path,label"]
    for i, (path, part) in enumerate(zip(drawn(tmp_path / "x", 40), given, strict=True)):
        home = tmp_path / "set" / part / "images"
        home.mkdir(parents=True, exist_ok=True)
        target = path.rename(home / path.name)
        rows.append(f"{target.relative_to(tmp_path / 'set') if inside else target},{'ab'[i % 2]}")
    table = (tmp_path / "set" if inside else tmp_path) / "t.csv"
    table.write_text("\n".join(rows) + "\n")
    found, split = split_of(table)
    assert split.table["part"].value_counts().to_dict() == {
        "train": 20,
        "test": 12,
        "validation": 8,
    }
    assert any("are their split" in note for note in found.notes)


def test_validation_is_drawn_from_training_patients_where_none_is_given(tmp_path: Path) -> None:
    people = [f"p{i // 4}" for i in range(40)]  # four images each, of both classes
    folder = listed(tmp_path, ["train"] * 28 + ["test"] * 12, patients=people)
    found, split = split_of(folder)
    table = parts_of(found, split)
    assert (table["part"] == "test").tolist() == [False] * 28 + [True] * 12
    drawn_ = table[table["part"] == "validation"]
    assert len(drawn_) == 4  # 15 % of 28, whole patients
    assert table.groupby("patient_id")["part"].nunique().max() == 1
    assert "4 validation images are drawn from its training images" in split.notes[0]


def test_validation_images_are_tested_where_no_test_is_given(tmp_path: Path) -> None:
    found, split = split_of(listed(tmp_path, ["train"] * 28 + ["val"] * 12))
    table = parts_of(found, split)
    assert (table["part"] == "test").tolist() == [False] * 28 + [True] * 12
    assert (table["part"] == "validation").sum() == 4
    assert "no test image that can be used: its validation images are tested" in split.notes[0]


@pytest.mark.parametrize("by_folder", [True, False])
def test_test_images_without_labels_are_said_to_be_so(tmp_path: Path, by_folder: bool) -> None:
    """The set has a test part: to say that it has none would be false."""
    given = ["train"] * 28 + ["val"] * 8 + ["test"] * 12
    rows = ["path,label" + ("" if by_folder else ",split")]
    for i, (path, part) in enumerate(zip(drawn(tmp_path / "x", 48), given, strict=True)):
        home = tmp_path / "set" / (part if by_folder else "images")
        home.mkdir(parents=True, exist_ok=True)
        target = path.rename(home / path.name).relative_to(tmp_path / "set")
        label = "" if part == "test" else "ab"[i % 2]
        rows.append(f"{target},{label}" + ("" if by_folder else f",{part}"))
    (tmp_path / "set" / "t.csv").write_text("\n".join(rows) + "\n")
    found, split = split_of(tmp_path / "set")
    assert "None of the 12 test images can be used: they have no label." in found.notes
    assert "no test part" not in split.notes[0]
    assert "no test image that can be used" in split.notes[0]


def test_test_folders_without_class_folders_are_said(tmp_path: Path) -> None:
    given = ["train"] * 28 + ["val"] * 12
    home = sorted_into(tmp_path / "set", "{part}/{label}", given)
    drawn(home / "test", 6)
    assert "None of the 6 test images can be used: no class folder in it." in opened(home).notes


@pytest.mark.parametrize("name", ["holdout", "Hold-out", "held_out", "holdout_set"])
def test_what_is_held_out_is_tested(tmp_path: Path, name: str) -> None:
    given = ["train"] * 20 + ["val"] * 8 + [name] * 12
    wanted = {"train": 20, "test": 12, "validation": 8}
    for folder in (
        sorted_into(tmp_path / "folders", "{part}/{label}", given),
        listed(tmp_path / "table", given),
    ):
        _, split = split_of(folder)
        assert split.table["part"].value_counts().to_dict() == wanted


def test_a_folder_beside_the_parts_that_is_none_is_said(tmp_path: Path) -> None:
    given = ["train"] * 20 + ["test"] * 12 + ["spare"] * 8
    notes = opened(sorted_into(tmp_path, "{part}/{label}", given)).notes
    said = "Folder 'spare' is neither train, validation nor test: its 8 images are left out."
    assert said in notes


@pytest.mark.parametrize("inside", ["{fold}/im", "im/{fold}"])
def test_numbered_folders_below_a_table_are_its_folds(tmp_path: Path, inside: str) -> None:
    rows = ["path,label"]
    for i, path in enumerate(drawn(tmp_path / "x", 40)):
        home = tmp_path / "set" / inside.format(fold=f"fold_{i // 2 % 4 + 1}")
        home.mkdir(parents=True, exist_ok=True)
        target = path.rename(home / path.name).relative_to(tmp_path / "set")
        rows.append(f"{target},{'ab'[i % 2]}")
    (tmp_path / "set" / "t.csv").write_text("\n".join(rows) + "\n")
    found, split = split_of(tmp_path / "set")
    assert any("(fold 1, fold 2, fold 3, fold 4) are their split" in note for note in found.notes)
    tested = split.table[split.table["part"] == "test"].merge(found.table, on="sample_id")
    assert len(tested) == 40
    assert (tested["fold"] + 1).tolist() == [
        int(word.removeprefix("fold ")) for word in tested["official_part"]
    ]


FLAGS = {
    "is_test": ("is_test", ["0"] * 28 + ["1"] * 12, 28),
    "is_train": ("Is_Train", ["True"] * 28 + ["False"] * 12, 28),
    "is_val and is_test": ("is_val,is_test", ["0,0"] * 20 + ["1,0"] * 8 + ["0,1"] * 12, 20),
    "all three": ("isTrain,isVal,isTest", ["y,n,n"] * 20 + ["n,y,n"] * 8 + ["n,n,y"] * 12, 20),
    "train and test": ("train,test", ["1,0"] * 28 + ["0,1"] * 12, 28),
}


@pytest.mark.parametrize("case", FLAGS)
def test_columns_of_flags_are_a_split(tmp_path: Path, case: str) -> None:
    name, given, trained = FLAGS[case]
    found, split = split_of(listed(tmp_path, given, name))
    said = found.table["official_part"].value_counts().to_dict()
    assert (said["train"], said["test"]) == (trained, 12)
    assert said.get("validation", 0) == 28 - trained
    assert "is used as given" in split.notes[0]
    assert any("The split is read from" in note for note in found.notes)


def test_a_lone_column_called_test_is_not_read_and_said(tmp_path: Path) -> None:
    """It may be the result of a laboratory's test."""
    found, _ = split_of(listed(tmp_path, ["0"] * 28 + ["1"] * 12, "test"))
    assert found.table["official_part"].isna().all()
    assert any("'test' is not read as a split" in note for note in found.notes)


def test_flags_that_claim_a_row_twice_or_never_are_refused(tmp_path: Path) -> None:
    twice = listed(tmp_path / "twice", ["1,0"] * 28 + ["1,1"] * 12, "is_train,is_test")
    with pytest.raises(HilumError, match="12 rows that several of the columns"):
        opened(twice)
    never = listed(tmp_path / "never", ["0"] * 20 + ["1"] * 12 + [""] * 8, "is_test")
    with pytest.raises(HilumError, match="8 images without one"):
        split_of(never)


@pytest.mark.parametrize("name", ["data_split", "Split_Name", "usage"])
def test_a_column_of_splits_with_another_word_is_refused(tmp_path: Path, name: str) -> None:
    folder = listed(tmp_path, ["train"] * 24 + ["test"] * 10 + ["spare"] * 6, name)
    with pytest.raises(HilumError, match=r"'spare' \(6 images\)"):
        split_of(folder)


def test_a_test_part_without_a_class_is_used_and_said(tmp_path: Path) -> None:
    given = ["test" if i >= 24 and i % 2 else "train" for i in range(40)]
    _, split = split_of(listed(tmp_path, given))
    assert "test of fold 0 has no image of a" in split.notes


REFUSED = {
    "a word that means no part": (["train"] * 30 + ["put aside"] * 10, "'put aside' (10 images)"),
    "numbers": (["0", "1"] * 20, "'0' (20 images), '1' (20 images)"),
    "blank in places": (["train"] * 20 + ["test"] * 12 + [""] * 8, "8 images without one"),
    "nothing to train on": (["val"] * 20 + ["test"] * 20, "20 validation, 20 test"),
    "a class that trains nowhere": (["train", "test"] * 20, "'b' in test alone"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_split_that_cannot_be_used_is_refused_with_a_way_out(tmp_path: Path, case: str) -> None:
    given, said = REFUSED[case]
    folder = listed(tmp_path, given)
    with pytest.raises(HilumError) as error:
        split_of(folder)
    assert said in str(error.value)
    assert "split.kind=holdout" in str(error.value)
    _, split = split_of(folder, SplitPlan(kind="holdout"))
    assert "is not used: the recipe says split.kind" in split.notes[0]


def test_a_column_of_folds_tests_each_fold_once(tmp_path: Path) -> None:
    given = [str(i // 2 % 4 + 1) for i in range(40)]
    found, split = split_of(listed(tmp_path, given, "fold"))
    tested = split.table[split.table["part"] == "test"].merge(found.table, on="sample_id")
    assert split.kind == "kfold"
    assert len(tested) == 40
    assert (tested["fold"] + 1).astype(str).tolist() == [
        word.removeprefix("fold ") for word in tested["official_part"]
    ]
    rest = split.table[split.table["part"] == "validation"].groupby("fold").size()
    assert rest.tolist() == [4, 4, 4, 4]  # 15 % of 30


def test_a_column_of_bodies_is_no_split(tmp_path: Path) -> None:
    found, split = split_of(listed(tmp_path, ["CHEST"] * 40, "part"))
    assert found.table["official_part"].isna().all()
    assert split.kind == "kfold"


def test_a_patient_in_two_given_parts_is_refused(tmp_path: Path) -> None:
    people = [f"p{i}" for i in range(39)] + ["p0"]
    found, split = split_of(listed(tmp_path, ["train"] * 28 + ["test"] * 12, patients=people))
    prints = fingerprints(found)
    with pytest.raises(HilumError, match="correct the parts"):
        splits.check_leakage(split, found, prints, "corrected")


def fingerprints(found: Manifest):
    from hilum.data import prepared_dataset

    return prepared_dataset.prepare_dataset(found, prepared_dataset.ThumbnailOnly()).fingerprints


def test_the_same_images_handed_in_two_ways_give_the_same_split(tmp_path: Path) -> None:
    """Class folders; a table elsewhere, upside down, with whole paths; other file names."""
    paths = drawn(tmp_path / "x", 60)
    number = {path.read_bytes(): i for i, path in enumerate(paths)}
    rows, renamed = ["path,label"], np.random.default_rng(1).permutation(60)
    for i, path in enumerate(paths):
        for home, name in (("one", path.name), ("other", f"{renamed[i]}.png")):
            target = tmp_path / home / "ab"[i % 2] / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        rows.insert(1, f"{path},{'ab'[i % 2]}")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "t.csv").write_text("\n".join(rows) + "\n")
    found = []
    for home in ("one", "other", "elsewhere"):
        images, split = split_of(tmp_path / home)
        table = split.table.merge(images.table, on="sample_id")
        which = [number[Path(path).read_bytes()] for path in table["path"]]
        found.append(set(zip(which, table["fold"], table["part"], strict=True)))
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 5 * 60


@pytest.mark.parametrize(("count", "kind", "folds"), [(40, "kfold", 5), (146, "kfold", 5), (150, "holdout", 1)])  # fmt: skip  # noqa: E501
def test_small_sets_are_divided_in_folds(tmp_path: Path, count: int, kind: str, folds: int) -> None:
    _, split = split_of(listed(tmp_path, [""] * count))
    assert (split.kind, split.table["fold"].nunique()) == (kind, folds)
    tested = split.table[split.table["part"] == "test"]
    assert tested["sample_id"].is_unique
    assert len(tested) == (count if folds > 1 else 30)
    assert any("fewer than 30" in note for note in split.notes) == (folds > 1)


def test_a_class_of_few_patients_lowers_the_number_of_folds(tmp_path: Path) -> None:
    people = [f"p{i % 8}" if i % 2 else f"q{i}" for i in range(40)]  # class b: four patients
    _, split = split_of(listed(tmp_path, [""] * 40, patients=people))
    assert split.table["fold"].nunique() == 4


def test_published_sets_go_by_name_so_that_their_figures_stay(tmp_path: Path) -> None:
    found = opened(listed(tmp_path, [""] * 200))
    published = Manifest(found.table.assign(dataset="kermany"))
    by_name = splits.make_split(SplitPlan(kind="holdout"), published, None, 0)
    again = splits.make_split(AUTO, published, None, 0)
    pd.testing.assert_frame_equal(by_name.table, again.table)
    own = splits.make_split(AUTO, found, None, 0).table.sort_values("sample_id")
    assert (own["part"].to_numpy() != by_name.table.sort_values("sample_id")["part"]).any()


def test_the_default_recipe_takes_a_users_own_split_and_others_say_how_they_divide() -> None:
    assert recipes.load_recipe("default").split == AUTO
    assert (
        recipes.load_recipe("zhang2022").split.order == "name"
    )  # published figures stay as they were
