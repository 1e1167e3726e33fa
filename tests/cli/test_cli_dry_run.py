"""--dry-run: the counts of the run that follows, and nothing written; --threads and --device."""

from pathlib import Path

import pandas as pd
import pytest
from command_line import Run, Trained, installed

from hilum import files, recipes
from hilum.experiment import forecast, work_count
from hilum.models.runtime import compiling
from hilum.progress import silent


def state(*folders: Path) -> set[tuple[str, int]]:
    return {
        (str(path), path.stat().st_size)
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_dry_run_foresees_the_run_and_writes_nothing(trained: Trained, tmp_path: Path) -> None:
    home = tmp_path / "cache"
    before = state(trained.data)
    done = installed(
        "train", trained.data, "--out", tmp_path / "out", "--dry-run", "--json",
        HILUM_CACHE=str(home),
    )  # fmt: skip
    assert done.code == 0, done.err
    assert state(trained.data) == before
    assert not home.exists()
    assert not (tmp_path / "out").exists()
    (foreseen,) = done.json["forecasts"]
    results = trained.done.json
    # three files cannot be read, as only decoding finds
    assert foreseen["images"] == results["n"]["images"] + 3
    assert foreseen["cached"] == 0
    assert foreseen["folds"] == pd.read_csv(trained.folder / "splits.csv")["fold"].nunique()
    assert foreseen["cells"] == [results["model"]["cell"]]
    assert foreseen["seconds"] > 1
    assert "trial on this machine" in foreseen["estimate"]
    once = [row for row in foreseen["split"] if row["fold"] == 0]
    assert sum(row["images"] for row in once) == foreseen["images"]


@pytest.mark.slow
def test_a_finished_model_is_asked_the_same(trained: Trained, tmp_path: Path) -> None:
    done = installed(
        "evaluate", trained.folder, trained.data, "--out", tmp_path / "t", "--dry-run", "--json"
    )
    assert done.code == 0, done.err
    foreseen = done.json["forecast"]
    seen = pd.read_csv(trained.folder / "model" / "seen.csv")
    assert 0 < foreseen["seen"] == len(seen)
    assert foreseen["cached"] == foreseen["images"] - 3
    assert not (tmp_path / "t").exists()


@pytest.mark.slow
def test_passes_are_those_of_the_recipe() -> None:
    """Closed form: 40 films, 2 folds, 2 seeds, 3 views, mirrored; then ten epochs of all layers."""
    changes = [
        'data=[{phantom={images=40, size=64}}]', 'classes=["covid19", "normal"]',
        "split.kind=kfold", "split.folds=2", "seeds=[0, 1]", "augment.views=3",
    ]  # fmt: skip
    frozen = forecast.forecast_run(recipes.load_recipe("demo", changes=changes), None, silent)[0]
    assert frozen.trainings == 4
    assert sum(frozen.work.frozen.values()) == 40 * 2 + 40 * 3 * 2  # views differ by seed
    assert sum(frozen.work.training.values()) == 0
    stage = 'train.stages=[{name="all", trainable="all", optimiser="adamw", epochs=10}]'
    tuned = recipes.load_recipe("demo", changes=[*changes, stage])
    assert work_count.trains_backbone(tuned)
    work = forecast.forecast_run(tuned, None, silent)[0]
    train = sum(row["images"] for row in work.split if row["part"] == "train")
    assert sum(work.work.training.values()) == pytest.approx(train * 10 * 2, rel=0.1)


def test_a_scratch_cache_leaves_the_cache_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HILUM_CACHE", str(tmp_path))
    (tmp_path / "compiled" / "a").mkdir(parents=True)
    (tmp_path / "compiled" / "a" / "model.xml").write_text("kept")
    before = state(tmp_path)
    with files.scratch_cache() as scratch:
        assert files.cache_home() == scratch
        assert (scratch / "compiled" / "a" / "model.xml").read_text() == "kept"
        with files.atomic_write(scratch / "compiled" / "a" / "model.xml") as path:
            path.write_text("changed")
    assert files.cache_home() == tmp_path
    assert state(tmp_path) == before
    assert not scratch.exists()


def test_predictions_do_not_depend_on_the_number_of_threads(
    trained: Trained, tmp_path: Path
) -> None:
    """Byte for byte: each image is computed by one thread, whatever else runs."""
    written = []
    for threads in ("1", "2"):
        out = tmp_path / f"{threads}.csv"
        done = installed(
            "predict", trained.folder, trained.data / "normal", "--out", out,
            "--threads", threads, "--device", "cpu", "-q",
        )  # fmt: skip
        assert done.code == 0, done.err
        written.append(out.read_bytes())
    assert written[0] == written[1]


def test_threads_limit_everything_that_computes() -> None:
    import subprocess
    import sys

    code = (
        "import cv2, torch; from hilum import files; files.limit_threads(1); import threadpoolctl;"
        "print(files.available_cpus(), cv2.getNumThreads(), torch.get_num_threads(),"
        "max(p['num_threads'] for p in threadpoolctl.threadpool_info() if p['user_api']=='blas'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"] * 4


def test_a_device_that_is_not_here_is_refused(
    hilum: Run, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("CUDA is here")
    monkeypatch.setenv(compiling.DEVICE, "auto")  # which the option changes for the whole process
    done = hilum(
        "predict", trained.folder, trained.data, "--out", tmp_path / "p.csv", "--device", "cuda"
    )
    assert done.code == 2
    assert "0 CUDA devices" in done.err
    wrong = installed("recipes", HILUM_THREADS="many")
    assert wrong.code == 0  # nothing computes


@pytest.mark.parametrize("group", ["image", "patient", "cluster"])
def test_groups_that_only_decoding_knows_stop_no_dry_run(group: str) -> None:
    changes = ["data=[{phantom={images=40, size=64}}]", f"split.group={group}"]
    network = ["model.backbone=test_efficientnet", "model.weights=random"]  # soon tried out
    recipe = recipes.load_recipe("demo", changes=[*changes, *network])
    (foreseen,) = forecast.forecast_run(recipe, None, silent)
    assert sum(row["images"] for row in foreseen.split) == 40
    assert any("split by image" in note for note in foreseen.notes) == (group == "image")


def test_masks_are_not_divided_by_what_their_films_show() -> None:
    """All films of one class, which no classifier could learn: lungs can be outlined on them."""
    data = 'data=[{phantom={images=40, size=64}, keep={label=["normal"]}}]'
    (foreseen,) = forecast.forecast_run(recipes.load_recipe("lungs", changes=[data]), None, silent)
    assert foreseen.images == sum(row["images"] for row in foreseen.split) > 5
    assert {row["part"] for row in foreseen.split} == {"train", "validation", "test"}
