"""Checkpoints and the record of what a run depends on, without a run."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from hilum import files, recipes
from hilum.experiment import checkpoints, run_basis
from hilum.experiment.cell_context import FoldKey
from hilum.experiment.checkpoints import FoldResult
from hilum.experiment.fold import TrainedFold
from hilum.experiment.run_basis import COLUMN_CHANGES, LATER, STUDY, Basis, ChangedError
from hilum.files import disk
from hilum.inference import model_folder, model_json
from hilum.recipes import Recipe
from hilum.types import MANIFEST_COLUMNS, Split

NAMES = [f"s{i}" for i in range(5)]


def images(of: str = STUDY, **changed: list[str]) -> pd.DataFrame:
    """Rows of a basis, every column of every image with a value of its own."""
    columns = {name: [f"{name} of {image}" for image in NAMES] for name in COLUMN_CHANGES}
    return pd.DataFrame({"set": of, "sample_id": NAMES, **columns, **changed}, dtype="str")


FACTS = {"torch": "2.9", "the weights of x": "ab", "the split of seed 0": "cd"}


def said(before: Basis, now: Basis) -> list[str]:
    return list(run_basis.changes(before, now))


def test_nothing_is_said_where_all_is_the_same() -> None:
    assert said(Basis(images(), FACTS), Basis(images().iloc[::-1], dict(FACTS))) == []


@pytest.mark.parametrize("column", COLUMN_CHANGES)
def test_every_column_is_compared(column: str) -> None:
    value = images()[column].tolist()
    now = images(**{column: [*value[:3], "other", value[4]]})
    assert said(Basis(images(), FACTS), Basis(now, FACTS)) == [
        f"1 image (s3) with {COLUMN_CHANGES[column]}"
    ]
    many = images(**{column: ["other"] * 5})
    assert said(Basis(images(), FACTS), Basis(many, FACTS)) == [
        f"5 images (s0, s1, s2, ...) with {COLUMN_CHANGES[column]}"
    ]


def test_images_that_come_and_go_are_named_by_their_set() -> None:
    both = pd.concat([images(), images(LATER)], ignore_index=True)
    gone = both.drop(index=[1, 2, 3])
    assert said(Basis(both, FACTS), Basis(gone, FACTS)) == ["3 images (s1, s2, s3) no longer there"]
    assert said(Basis(gone, FACTS), Basis(both, FACTS)) == [
        "3 images (s1, s2, s3) not there before"
    ]
    without = both[both["set"] == STUDY]
    five = "5 images (s0, s1, s2, ...)"
    assert said(Basis(both, FACTS), Basis(without, FACTS)) == [
        f"{five} no longer there in the later films"
    ]
    assert said(Basis(without, FACTS), Basis(both, FACTS)) == [
        f"{five} not there before in the later films"
    ]


def test_facts_are_compared_and_a_split_is_not_blamed_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_basis, "VERSIONS", {"torch": "2.9"})
    now = {"torch": "3.0", "the weights of x": "ef", "the split of seed 0": "gh", "new": "1"}
    facts = [
        "torch 3.0 instead of 2.9",
        "different: the weights of x",
        "different: the split of seed 0",
        "different: new",
    ]
    assert said(Basis(images(), FACTS), Basis(images(), now)) == facts
    assert said(Basis(images(), {}), Basis(images(), {"torch": "3.0"})) == [
        "torch 3.0 instead of none"
    ]
    fewer = images().drop(index=0)
    assert said(Basis(images(), FACTS), Basis(fewer, now)) == [
        "1 image (s0) no longer there", *facts[:2], facts[3],
    ]  # fmt: skip


def test_a_record_is_read_back_or_is_none(tmp_path: Path) -> None:
    assert run_basis.read_basis(tmp_path) is None
    run_basis.write_basis(Basis(images(), FACTS), tmp_path)
    found = run_basis.read_basis(tmp_path)
    assert found is not None
    assert found.facts == FACTS
    assert said(found, Basis(images(), FACTS)) == []
    (tmp_path / run_basis.NAME).write_bytes(b"none")
    assert run_basis.read_basis(tmp_path) is None
    images().drop(columns="age").to_parquet(tmp_path / run_basis.NAME)
    assert run_basis.read_basis(tmp_path) is None


def test_rows_hold_what_a_manifest_says_and_the_bytes_of_masks(tmp_path: Path) -> None:
    (tmp_path / "m.png").write_bytes(b"mask")
    table = pd.DataFrame(pd.NA, range(3), [*MANIFEST_COLUMNS], dtype="str")
    table["sample_id"], table["label"] = ["a", "b", "c"], ["x", "y", pd.NA]
    masks = [str(tmp_path / "m.png"), pd.NA, str(tmp_path / "gone.png")]
    table["mask_path"] = pd.Series(masks, dtype="str")
    rows = run_basis.basis_rows(table.set_index(pd.Index([7, 8, 9])), "some")
    assert rows.columns.tolist() == ["set", "sample_id", *COLUMN_CHANGES]
    assert rows["set"].tolist() == ["some"] * 3
    assert rows["mask"].tolist() == [files.sha256(tmp_path / "m.png"), "", "unreadable"]
    assert rows["label"].tolist() == ["x", "y", ""]
    assert (rows["age"] == "").all()


def test_the_digest_of_a_split_knows_parts_and_not_the_order_of_rows() -> None:
    table = pd.DataFrame(
        {"sample_id": NAMES * 2, "fold": [0] * 5 + [1] * 5, "part": ["train", "test"] * 5}
    )
    digests = [
        run_basis.of_split(Split(one, "kfold", "patient", 0))
        for one in (
            table,
            table.iloc[::-1].reset_index(drop=True),
            table.assign(part=table["part"].where(table.index != 3, "train")),
            table.assign(fold=1 - table["fold"]),
        )
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_the_digest_of_a_folder_knows_names_and_bytes(tmp_path: Path) -> None:
    one = tmp_path / "one"
    (one / "sub").mkdir(parents=True)
    (one / "sub" / "a").write_bytes(b"1")
    (one / "b").write_bytes(b"2")
    digests = [run_basis.of_file(one)]
    (one / "b").write_bytes(b"3")
    digests.append(run_basis.of_file(one))
    (one / "b").rename(one / "sub" / "b")
    digests.append(run_basis.of_file(one))
    assert len(set(digests)) == 3
    assert run_basis.of_file(one / "sub" / "a") == files.sha256(one / "sub" / "a")
    copy = tmp_path / "copy"
    one.rename(copy)
    assert run_basis.of_file(copy) == digests[-1]


def recipe(*changes: str) -> Recipe:
    return recipes.load_recipe("demo", changes=list(changes))


def fold_of(number: int, loss: float, choice: dict[str, Any] | None = None) -> FoldResult:
    table = pd.DataFrame({"sample_id": NAMES, "p_a": [0.1 * number + i / 7 for i in range(5)]})
    history = pd.DataFrame({"epoch": [0, 1], "loss": [1.0, loss]})
    return FoldResult(FoldKey("main", 0, number), table, history, loss, choice)


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, FoldResult], FoldResult]:
    """Keep a fold whose model is one file."""

    def model(number: int, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.json").write_text(str(number))

    monkeypatch.setattr(model_folder, "save_trained_model", model)

    def save(work: Path, one: FoldResult) -> FoldResult:
        trained: Any = SimpleNamespace(
            key=one.key, model=one.key.fold, predictions=one.predictions,
            history=one.history, loss=one.loss, choice=one.choice,
        )  # fmt: skip
        assert {*vars(trained)} == {*TrainedFold.__slots__}
        return checkpoints.save_fold(work, trained)

    return save


def test_a_fold_is_on_the_disk_before_its_mark(
    tmp_path: Path, saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power failure there is no mark of a fold whose files are cut short."""
    order: list[str] = []
    real = disk.synchronise

    def noted(path: Path) -> None:
        order.append(path.name)
        real(path)

    monkeypatch.setattr(disk, "synchronise", noted)
    saved(tmp_path, fold_of(0, 0.25))
    mark = next(at for at, name in enumerate(order) if name.endswith("fold.json"))
    assert {"history.csv", "predictions.parquet", "model.json", "model"} <= set(order[:mark])


def test_what_a_killed_run_left_of_a_model_does_not_stay_in_it(tmp_path: Path, saved) -> None:
    saved(tmp_path / "work", fold_of(0, 0.25))
    (model,) = tmp_path.glob("work/*/*/model")
    (model / ".0123abcd-seen.csv").touch()  # half of a file, when the process was killed
    saved(tmp_path / "work", fold_of(0, 0.25))
    checkpoints.publish_best_model(tmp_path, tmp_path / "work", "main")
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["model.json"]


def test_a_fold_is_read_back_whole_or_not_at_all(tmp_path: Path, saved) -> None:
    for number, choice in ((0, None), (1, {"pool": "x"})):
        one = fold_of(number, 0.25, choice)
        assert checkpoints.load_fold(tmp_path, one.key) is None
        assert saved(tmp_path, one).choice == choice
        found = checkpoints.load_fold(tmp_path, one.key)
        assert found is not None
        assert (found.key, found.loss, found.choice) == (one.key, 0.25, choice)
        pd.testing.assert_frame_equal(found.predictions, one.predictions, check_dtype=False)
        pd.testing.assert_frame_equal(found.history, one.history)
    home = next(tmp_path.glob("*/seed0-fold1"))
    assert checkpoints.load_fold(tmp_path, FoldKey("main", 1, 1)) is None
    assert checkpoints.load_fold(tmp_path, FoldKey("other", 0, 1)) is None
    for name, content in (("history.csv", b""), ("predictions.parquet", b"x"), ("fold.json", b"{}"),
                          ("fold.json", b"{")):  # fmt: skip
        saved(tmp_path, fold_of(1, 0.25))
        (home / name).write_bytes(content)
        assert checkpoints.load_fold(tmp_path, FoldKey("main", 0, 1)) is None
    saved(tmp_path, fold_of(1, 0.25))
    (home / "fold.json").unlink()
    assert checkpoints.load_fold(tmp_path, FoldKey("main", 0, 1)) is None


@pytest.mark.parametrize(
    ("losses", "chosen"),
    [
        ([0.3, 0.2, 0.2, 0.4], 1),
        ([0.3], 0),
        ([float("nan")] * 3, 0),
        ([0.1, 0.2], 0),
    ],
)
def test_the_model_of_the_first_least_loss_is_left_and_published(
    tmp_path: Path, saved, losses: list[float], chosen: int
) -> None:
    out, work = tmp_path, tmp_path / "work"
    folds = [saved(work, fold_of(i, loss)) for i, loss in enumerate(losses)]
    assert checkpoints.best(folds) is folds[chosen]
    checkpoints.keep_best_model(work, folds)
    (left,) = work.glob("*/*/model/model.json")
    assert left.read_text() == str(chosen)
    assert all(checkpoints.load_fold(work, one.key) for one in folds)
    assert checkpoints.best_model_folder(work, "main") == left.parent
    (out / "model").mkdir()
    (out / "model" / "old").write_text("old")
    (out / ".model-0123").mkdir()
    checkpoints.publish_best_model(out, work, "main")
    assert {path.name for path in out.iterdir()} == {"model", "work"}
    assert {path.name for path in (out / "model").iterdir()} == {"model.json"}
    assert (out / "model" / "model.json").read_text() == str(chosen)


def test_folds_of_another_recipe_or_basis_are_refused_and_a_new_run_clears_them(
    tmp_path: Path, saved
) -> None:
    plan, basis = recipe(), Basis(images(), FACTS)
    work = checkpoints.begin_run(tmp_path, plan, basis, resume=True)
    assert work.parent == tmp_path
    saved(work, fold_of(0, 0.5))
    kept = FoldKey("main", 0, 0)
    assert checkpoints.begin_run(tmp_path, plan, basis, resume=True) == work
    assert checkpoints.load_fold(work, kept) is not None
    with pytest.raises(ChangedError, match="the recipe that"):
        checkpoints.begin_run(tmp_path, recipe("split.folds=7"), basis, resume=True)
    with pytest.raises(ChangedError, match=r"got 1 image \(s0\) no longer there; restore them"):
        checkpoints.begin_run(tmp_path, plan, Basis(images().drop(index=0), FACTS), resume=True)
    (work / model_json.MARK).write_text("of another version")
    with pytest.raises(ChangedError, match="the recipe that"):
        checkpoints.require_recipe(tmp_path, plan)
    assert checkpoints.load_fold(work, kept) is not None
    (tmp_path / f".{work.name}-0123").mkdir()
    checkpoints.begin_run(tmp_path, plan, basis, resume=False)
    assert checkpoints.load_fold(work, kept) is None
    assert {path.name for path in tmp_path.iterdir()} == {work.name}
    checkpoints.finish(work)
    assert {path.name for path in tmp_path.iterdir()} == {run_basis.NAME}
    found = run_basis.read_basis(tmp_path)
    assert found is not None
    assert said(found, basis) == []
    assert checkpoints.finished(tmp_path, plan, basis) is None


def test_a_finished_run_is_handed_back_by_its_own_recipe_and_basis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, basis, results = recipe(), Basis(images(), FACTS), object()
    monkeypatch.setattr(checkpoints.run_folder, "read_record", lambda out: results)
    run_basis.write_basis(basis, tmp_path)

    def found() -> object:
        return checkpoints.finished(tmp_path, plan, basis)

    assert found() is None
    (tmp_path / "results.json").write_text("{}")
    assert found() is None
    (tmp_path / "recipe.toml").write_text(recipes.as_toml(plan), encoding="utf-8")
    assert found() is results
    checkpoints.require_recipe(tmp_path, plan)
    with pytest.raises(ChangedError, match="the recipe that"):
        checkpoints.require_recipe(tmp_path, recipe("split.folds=7"))
    with pytest.raises(ChangedError, match="no longer there"):
        checkpoints.finished(tmp_path, plan, Basis(images().drop(index=0), FACTS))
    (tmp_path / "results.json").unlink()
    assert found() is None
    (tmp_path / "results.json").write_text("{}")
    (tmp_path / model_json.WORK).mkdir()  # it was begun again
    assert found() is None
    checkpoints.require_recipe(tmp_path, recipe("split.folds=7"))
    (tmp_path / model_json.WORK).rmdir()
    (tmp_path / "recipe.toml").write_text("of another version")
    assert found() is None
