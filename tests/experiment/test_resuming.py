"""A run that goes on stands on the same images, labels, weights and versions, or is refused."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.torch import save_file

from hilum import experiment, files, recipes
from hilum.experiment import checkpoints, clear_previous, fold, predict, run_basis, segmentation
from hilum.experiment.run_basis import ChangedError
from hilum.models import backbones, weights
from hilum.recipes import Recipe
from hilum.types import HilumError

pytestmark = pytest.mark.usefixtures("few_audits", "no_report")

COUNT, FOLDS = 36, 3
NETWORK = "test_efficientnet"


def silent(name: str):
    return lambda done, total: None


def grey(path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (64, 64), dtype=np.uint8)).save(path)


def table() -> pd.DataFrame:
    """Thirty-six images of as many patients, two classes, two hospitals, the later ones apart."""
    number = list(range(COUNT))
    return pd.DataFrame(
        {
            "image": [f"im/{i:02d}.png" for i in number],
            "label": ["sick" if i % 2 else "well" for i in number],
            "opinion": ["sick" if i % 3 else "well" for i in number],
            "patient_id": [f"p{i}" for i in number],
            "source": ["east" if i < COUNT // 2 else "west" for i in number],
            "age": [40 + i for i in number],
        }
    )


def learn_weights(path: Path, seed: int) -> None:
    save_file(weights.load_weights(backbones.backbone_card(NETWORK), "random", seed).state, path)


@dataclass(frozen=True)
class Run:
    """A recipe's data, a run that was killed after two folds, and the same one gone on with."""

    home: Path
    plan: Recipe
    killed: Path
    finished: Path
    done: list[int]


def plan_of(home: Path, *changes: str) -> Recipe:
    return recipes.load_recipe(
        "demo",
        changes=[
            'classes=["sick","well"]',
            f'data=[{{path="{home}/t.csv"}}]',
            f'later=[{{path="{home}/later.csv"}}]',
            f"model.backbone={NETWORK}",
            f"model.weights={home}/w.safetensors",
            "prepare.side=64",
            "augment.views=0",
            "figures=[]",
            f'split={{kind="kfold",folds={FOLDS}}}',
            *changes,
        ],
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    home = tmp_path_factory.mktemp("data")
    for i in range(COUNT):
        grey(home / f"im/{i:02d}.png", i)
    for i in range(4):
        grey(home / f"new/{i}.png", 100 + i)
    table().to_csv(home / "t.csv", index=False)
    rows = [f"new/{i}.png,{'sick' if i % 2 else 'well'},q{i}" for i in range(4)]
    (home / "later.csv").write_text("\n".join(["image,label,patient_id", *rows]) + "\n")
    learn_weights(home / "w.safetensors", 0)
    plan, done, train_fold = plan_of(home), [], fold.train_fold
    killed, finished = home.parent / "killed", home.parent / "finished"

    def dies(bench, split, key):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(key.fold)
        return train_fold(bench, split, key)

    def counts(bench, split, key):
        done.append(key.fold)
        return train_fold(bench, split, key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold, "train_fold", dies)
        with pytest.raises(KeyboardInterrupt):
            experiment.run_recipe(plan, None, killed, silent)
        shutil.copytree(killed, finished)
        patch.setattr(fold, "train_fold", counts)
        experiment.run_recipe(plan, None, finished, silent, resume=True)
    return Run(home, plan, killed, finished, done)


def test_unchanged_data_are_gone_on_with_and_a_finished_run_is_handed_back(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.done == [0, 1, 2]
    tested = pd.read_csv(run.finished / "predictions.csv")
    assert sorted(tested["sample_id"]) == sorted(set(tested["sample_id"]))
    assert len(tested) == COUNT
    monkeypatch.setattr(fold, "train_fold", None)  # calling it would fail
    again = experiment.run_recipe(run.plan, None, run.finished, silent, resume=True)
    assert again.n["images"] == COUNT


def rewritten(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    def write(home: Path) -> None:
        change(table()).to_csv(home / "t.csv", index=False)

    return write


def set_to(column: str, value: object, *rows: int) -> Callable[[Path], None]:
    def change(found: pd.DataFrame) -> pd.DataFrame:
        found.loc[list(rows), column] = value
        return found

    return rewritten(change)


def one_more(home: Path) -> None:
    grey(home / "im/99.png", 99)
    more = pd.DataFrame([["im/99.png", "sick", "sick", "p99", "east", 50]], columns=table().columns)
    pd.concat([table(), more]).to_csv(home / "t.csv", index=False)


def later_relabelled(home: Path) -> None:
    text = (home / "later.csv").read_text()
    (home / "later.csv").write_text(text.replace("0.png,well", "0.png,sick"))


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "withdrawn": (rewritten(lambda t: t[t.index % 4 != 3]), "9 images .* no longer there"),
    "deleted": (lambda home: (home / "im/05.png").unlink(), "1 image .*05.png.* no longer there"),
    "added": (one_more, "1 image .*99.png.* not there before"),
    "relabelled": (set_to("label", "sick", 0, 2, 4), "3 images .* with another label"),
    "other bytes": (lambda home: grey(home / "im/07.png", 777), r"07\.png\) with other bytes"),
    "unreadable": (lambda home: (home / "im/07.png").write_bytes(b"x"), "1 image .* no longer"),
    "patients": (set_to("patient_id", "p1", 3, 5), "2 images .* with another patient"),
    "sources": (set_to("source", "north", 3), "1 image .* with another source"),
    "ages": (set_to("age", 90, 3), "1 image .* with another age"),
    "given split": (
        rewritten(lambda t: t.assign(split="train")),
        "36 images .* another part of the given split",
    ),
    "weights": (
        lambda home: learn_weights(home / "w.safetensors", 1),
        "different: the weights of test_efficientnet",
    ),
    "later films": (later_relabelled, "another label in the later films"),
}


@pytest.fixture
def restored(run: Run) -> Iterator[Run]:
    """What a test changes of the data is put back."""
    kept = run.home.parent / "kept"
    shutil.copytree(run.home, kept)
    yield run
    shutil.rmtree(run.home)
    kept.rename(run.home)


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("state", ["killed", "finished"])
@pytest.mark.parametrize("change", CHANGES)
def test_changed_data_are_refused_by_name_and_nothing_is_touched(
    restored: Run, change: str, state: str
) -> None:
    out = getattr(restored, state)
    do, said = CHANGES[change]
    before = content(out)
    do(restored.home)
    with pytest.raises(ChangedError, match=said) as error:
        experiment.run_recipe(restored.plan, None, out, silent, resume=True)
    assert "choose another --out, or leave --resume out" in str(error.value)
    assert error.value.exit_code == 2
    assert content(out) == before


def test_another_version_is_refused_and_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_basis, "VERSIONS", {**run_basis.VERSIONS, "torch": "9.9"})
    with pytest.raises(ChangedError, match=r"torch 9\.9 instead of \d"):
        experiment.run_recipe(run.plan, None, run.killed, silent, resume=True)


def test_a_run_without_a_record_of_its_data_is_refused(run: Run, tmp_path: Path) -> None:
    for state, place in (("killed", "work/basis.parquet"), ("finished", "basis.parquet")):
        out = tmp_path / state
        shutil.copytree(getattr(run, state), out)
        (out / place).unlink()
        with pytest.raises(ChangedError, match="no record"):
            experiment.run_recipe(run.plan, None, out, silent, resume=True)


def test_without_resume_all_is_done_anew_and_nothing_old_is_left(
    restored: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(restored.finished, out)
    stale = ("source_predictions.csv", "findings.csv", "figures/old.csv", "figures/old.png")
    others = ("figures/mine.png", "notes.txt", "tasks/t/model/model.json")
    for name in (*stale, *others, "tasks/t/results.json", "tasks/t/predictions.csv"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("{}")
    CHANGES["relabelled"][0](restored.home)
    experiment.run_recipe(restored.plan, None, out, silent)
    tested = pd.read_csv(out / "predictions.csv")
    assert tested["label"].value_counts().to_dict() == {"sick": 21, "well": 15}
    assert [name for name in stale if (out / name).exists()] == []
    assert [name for name in others if not (out / name).exists()] == []
    assert not (out / "tasks/t/results.json").exists()
    assert not (out / "tasks/t/predictions.csv").exists()
    experiment.run_recipe(
        restored.plan, None, out, silent, resume=True
    )  # and the new record is the new data's


def test_a_run_that_is_killed_leaves_no_results_of_an_earlier_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    shutil.copytree(run.finished, out)

    def dies(*about: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fold, "train_fold", dies)
    with pytest.raises(KeyboardInterrupt):
        experiment.run_recipe(run.plan, None, out, silent)
    assert not (out / "results.json").exists()
    assert not (out / "predictions.csv").exists()
    films = [run.home / "new" / "0.png"]
    for named in (out, out / "model"):
        found = predict.predict_files(named, films, tmp_path / "p.csv", silent)
        assert any("may come from an earlier run" in note for note in found.cautions.notes)
    tested = experiment.evaluate_model(out, run.home / "later.csv", tmp_path / "test", silent)
    assert any("may come from an earlier run" in note for note in tested.limits)
    whole = predict.predict_files(run.finished, films, tmp_path / "p.csv", silent)
    assert not any("may come from an earlier run" in note for note in whole.cautions.notes)


@pytest.mark.parametrize("state", ["killed", "finished"])
def test_another_recipe_is_refused_and_nothing_is_touched(
    run: Run, tmp_path: Path, state: str
) -> None:
    """Also after the last fold: a finished run is not overwritten by mistake."""
    out = tmp_path / "out"
    shutil.copytree(getattr(run, state), out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(ChangedError, match="recipe"):
        experiment.run_recipe(plan_of(run.home, "split.folds=2"), None, out, silent, resume=True)
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_task_whose_recipe_changed_stops_the_run(restored: Run, tmp_path: Path) -> None:
    """It is no task that failed: its results are there, of what it was before."""
    home, out = restored.home, tmp_path / "out"
    for i in range(12):
        grey(home / f"task/{'sick' if i % 2 else 'well'}/{i}.png", 300 + i)
    shutil.copytree(restored.finished, out)
    parts = [
        f'tasks.other={{data=[{{path="{home}/task"}}], later=[], split={{kind="holdout",test={test},validation=0.3}}}}'  # noqa: E501
        for test in (0.3, 0.4)
    ]
    experiment.run_recipe(plan_of(home, parts[0]), None, out, silent, resume=True)
    before = (out / "results.json").read_bytes()
    with pytest.raises(ChangedError, match="recipe"):
        experiment.run_recipe(plan_of(home, parts[1]), None, out, silent, resume=True)
    assert (out / "results.json").read_bytes() == before


@pytest.mark.slow
def test_a_kill_after_the_last_table_leaves_a_run_that_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the record of its images and the removal of its folds."""
    out = tmp_path / "out"
    shutil.copytree(run.killed, out)

    def dies(*about: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", dies)  # by which folds are taken away
        with pytest.raises(KeyboardInterrupt):
            experiment.run_recipe(run.plan, None, out, silent, resume=True)
    assert (out / "work").is_dir()
    assert (out / "results.json").is_file()
    monkeypatch.setattr(fold, "train_fold", None)  # calling it would fail
    experiment.run_recipe(run.plan, None, out, silent, resume=True)
    assert not (out / "work").exists()


def test_a_task_whose_data_changed_stops_the_run(restored: Run, tmp_path: Path) -> None:
    home = restored.home
    for i in range(12):
        grey(home / f"task/{'sick' if i % 2 else 'well'}/{i}.png", 300 + i)
    task = f'tasks.other={{data=[{{path="{home}/task"}}], later=[], split={{kind="holdout",test=0.3,validation=0.3}}}}'  # noqa: E501
    plan = plan_of(home, task)
    out = tmp_path / "out"
    shutil.copytree(restored.finished, out)
    first = experiment.run_recipe(plan, None, out, silent, resume=True)
    assert first.tasks[0]["reason"] is None
    grey(home / "task/sick/1.png", 999)
    with pytest.raises(ChangedError, match=r"1 image .* with other bytes"):
        experiment.run_recipe(plan, None, out, silent, resume=True)


def test_a_fold_that_was_cut_short_is_done_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, done, train_fold = tmp_path / "out", [], fold.train_fold
    shutil.copytree(run.killed, out)
    (table_,) = out.glob("work/*/seed0-fold1/predictions.parquet")
    table_.write_bytes(b"")

    def counts(bench, split, key):
        done.append(key.fold)
        return train_fold(bench, split, key)

    monkeypatch.setattr(fold, "train_fold", counts)
    experiment.run_recipe(run.plan, None, out, silent, resume=True)
    assert done == [1, 2]
    whole = [pd.read_csv(folder / "predictions.csv") for folder in (out, run.finished)]
    pd.testing.assert_frame_equal(*whole)


def test_folds_are_cleared_away_at_once(run: Run, tmp_path: Path, monkeypatch) -> None:
    """A kill while they are removed leaves no part of them that a later run would take up."""
    work = tmp_path / "work"
    shutil.copytree(run.killed / "work", work)

    def dies(*about: object, **how: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", dies)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.finish(work)
    assert not work.exists()


def test_two_runs_do_not_write_to_one_folder(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    held, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with files.alone(out):
            held.set()
            leave.wait(20)

    other = threading.Thread(target=hold)
    other.start()
    held.wait(20)
    for job in (experiment.run_recipe, segmentation.run_segmentation):
        asked = run.plan if job is experiment.run_recipe else recipes.load_recipe("lungs")
        with pytest.raises(HilumError, match="one run at a time"):
            job(asked, None, out, silent)
    leave.set()
    other.join()
    assert list(out.iterdir()) == []
    with files.alone(out):
        pass


def test_nothing_is_cleared_where_no_run_was(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    for name in ("predictions.csv", "figures/a.csv", "figures/a.png"):
        (tmp_path / name).write_text("mine")
    clear_previous.clear(tmp_path)
    assert len(content(tmp_path)) == 3


def test_a_source_task_is_learnt_again_from_other_labels_or_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache of source tasks: labels, weights and versions are in its key."""
    from hilum import datasets
    from hilum.data import prepared_dataset
    from hilum.experiment import source_task, splits
    from hilum.preprocess import from_list

    for i in range(12):
        grey(tmp_path / f"im/{i}.png", i)
    learn_weights(tmp_path / "w.safetensors", 0)
    plan = plan_of(tmp_path, "later=[]")

    def place(labels: str) -> Path:
        rows = [f"im/{i}.png,{label}" for i, label in enumerate(labels)]
        (tmp_path / "t.csv").write_text("\n".join(["image,label", *rows]) + "\n")
        found = datasets.open_path(tmp_path / "t.csv")
        taken = prepared_dataset.prepare_dataset(found, from_list([{"step": "resize", "side": 64}]))
        split = splits.make_split(plan.split, taken.manifest, None, 0).table
        fixed = split.assign(part="train")  # the same parts, whatever the labels are
        return source_task._folder(plan, taken, fixed.sort_values(["fold", "sample_id"]), 0)

    first = place("xyxyxyxyxyxy")
    assert place("xyxyxyxyxyxy") == first
    assert place("yxyxyxyxyxyx") != first
    learn_weights(tmp_path / "w.safetensors", 1)
    second = place("xyxyxyxyxyxy")
    assert second != first
    monkeypatch.setattr(run_basis, "VERSIONS", {"torch": "9.9"})
    assert place("xyxyxyxyxyxy") != second


def test_results_name_what_they_stand_on(run: Run) -> None:
    found = run_basis.read_basis(run.finished)
    assert found is not None
    assert set(found.images["set"]) == {run_basis.STUDY, run_basis.LATER}
    digest = {name: found.facts[name] for name in found.facts if name.startswith("the weights")}
    wanted = files.sha256(run.home / "w.safetensors")
    assert list(digest.values()) == [wanted]
    assert found.facts["hilum"] == json.loads((run.finished / "results.json").read_text())["environment"]["hilum"]  # fmt: skip  # noqa: E501


def test_an_audit_leaves_out_images_whose_bytes_changed(restored: Run, tmp_path: Path) -> None:
    from hilum.experiment import audit

    grey(restored.home / "im/07.png", 777)
    (restored.home / "im/08.png").unlink()
    results = audit.run_audit(restored.finished, None, tmp_path / "audit", silent)
    told = {row["reason"]: row["what"] for row in results.data["left_out"]}
    (changed,) = [what for reason, what in told.items() if "not those" in reason]
    (gone,) = [what for reason, what in told.items() if "not there any more" in reason]
    assert "07.png" in changed
    assert "08.png" in gone


def test_a_test_says_that_a_given_split_is_not_used_and_overwrites_no_run(
    restored: Run, tmp_path: Path
) -> None:
    rows = ["image,label,patient_id,split"]
    for i in range(12):
        grey(restored.home / f"other/{i}.png", 500 + i)
        rows.append(
            f"other/{i}.png,{'sick' if i % 2 else 'well'},o{i},{'test' if i > 8 else 'train'}"
        )
    (restored.home / "s.csv").write_text("\n".join(rows) + "\n")
    model, data = restored.finished / "model", restored.home / "s.csv"
    before = content(restored.finished)
    with pytest.raises(HilumError, match="folder of its own"):
        experiment.evaluate_model(model, data, restored.finished, silent)
    assert content(restored.finished) == before
    out = tmp_path / "out"
    (out / "figures").mkdir(parents=True)
    for name in ("results.json", "history.csv", "figures/old.csv", "figures/old.png"):
        (out / name).write_text('{"recipe": "default"}')  # of an earlier test
    results = experiment.evaluate_model(model, data, out, silent)
    assert results.n["images"] == 12
    assert "(9 train, 3 test) is not used: every image" in results.split["notes"][0]
    assert not (out / "history.csv").exists()
    assert not (out / "figures/old.png").exists()
