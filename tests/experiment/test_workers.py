"""Folds in processes of their own leave the same bytes as folds one after another."""

import io
import pickle
from importlib.util import find_spec
from pathlib import Path

import dying
import ending
import pandas as pd
import pytest
from kept_files import kept
from pickling import PicklingExecutor

from cold_cache import begin_cold
from hilum import recipes
from hilum.experiment import checkpoints, run, spread, tasks, validate
from hilum.experiment.cell_context import FoldKey
from hilum.experiment.checkpoints import FoldResult
from hilum.experiment.spread import executor_of_folds
from hilum.models.runtime import compiling
from hilum.progress import silent
from hilum.recipes import Recipe
from hilum.training import ray_train
from hilum.types import HilumError

pytestmark = pytest.mark.usefixtures("few_audits", "no_report")

DATA = 'data=[{phantom={images=32, size=64, seed=3, classes=["covid19","normal"]}}]'
TUNED = '{name="all", trainable="all", optimiser="adamw", epochs=2, lr=1e-3, batch=8}'
FAILS = '{optimiser="sgd", lr=1e38, epochs=3}'  # no finite loss: its cell is listed as failed
STAGES = f'grid={{"train.stages"=[[{{}}],[{FAILS}],[{{}}, {TUNED}]]}}'
TWO = f'grid={{"train.stages"=[[{{}}],[{FAILS}]]}}'
SOURCE = (
    'source={classes=["normal","bacterial_pneumonia"], least_auroc=0.0, '
    'data=[{phantom={images=24, size=64, seed=9, classes=["normal","bacterial_pneumonia"]}}], '
    f'train={{balance="none", stages=[{{}}, {TUNED}]}}}}'
)
REPLICAS = f"train={{replicas=2, balance='none', stages=[{{}}, {TUNED}]}}"
KFOLD = "split={kind='kfold',folds=2}"


def plan(*changes: str) -> Recipe:
    network = ["model.backbone=test_efficientnet", "model.weights=random", "prepare.side=64"]
    base = ['classes=["covid19","normal"]', DATA, *network, "augment.views=1", "figures=[]"]
    return recipes.load_recipe("demo", changes=[*base, "seeds=[0, 1]", *changes])


@pytest.mark.parametrize(
    "changes",
    [
        (TWO, "seeds=[0]"),
        pytest.param((STAGES,), marks=pytest.mark.slow),
        pytest.param((SOURCE, "seeds=[0]", KFOLD), marks=pytest.mark.slow),
    ],
)
def test_the_same_bytes_as_in_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: tuple[str, ...]
) -> None:
    first, second = (written(tmp_path, monkeypatch, changes, workers) for workers in (1, 2))
    assert {"predictions.csv", "model/backbone.safetensors", "results.json"} <= set(first)
    assert list(first) == list(second)
    assert (b"finite loss" in first["left_out.csv"]) == (not {STAGES, TWO}.isdisjoint(changes))
    assert [name for name in first if first[name] != second[name]] == []


def written(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: tuple[str, ...],
    workers: int,
    ray: str = "",
) -> dict[str, bytes]:
    """The files of a run that finds no pixels and no features in its cache."""
    begin_cold(monkeypatch, folder / f"cache{workers}{ray}")
    out, name = folder / "out", f"out{workers}{ray}"
    tasks.run_into(plan(*changes), None, out, silent, workers=workers, ray=ray)
    return kept(out.rename(folder / name))


@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
def test_folds_by_actors_of_ray_leave_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = written(tmp_path, monkeypatch, (TWO, KFOLD), 1)
    assert written(tmp_path, monkeypatch, (TWO, KFOLD), 2, "local") == alone


def test_a_task_holds_no_pixels_and_its_result_no_network(tmp_path: Path) -> None:
    executor = PicklingExecutor()
    options = run.RunOptions(executor=executor)
    run.run_task(plan(KFOLD), None, tmp_path, silent, options)
    results = [pickle.loads(result) for result in executor.results]  # noqa: S301
    folds = [result.key for result in results if isinstance(result, FoldResult)]
    assert folds == [FoldKey("main", seed, fold) for seed in (0, 1) for fold in (0, 1)]
    assert len(executor.tasks) == len(results) > len(folds)  # audits are tasks too
    assert max(map(len, executor.tasks)) < 32 * 64 * 64
    assert (
        max(map(len, executor.results))
        < (tmp_path / "model" / "backbone.safetensors").stat().st_size
    )


def test_the_best_fold_keeps_its_model_and_the_first_of_equals(tmp_path: Path) -> None:
    empty = pd.DataFrame()
    losses = {0: 0.7, 1: 0.5, 2: 0.5, 3: float("nan")}
    folds = [FoldResult(FoldKey("a", 0, n), empty, empty, loss) for n, loss in losses.items()]
    for fold in folds:
        (checkpoints._folder(tmp_path, fold.key) / "model").mkdir(parents=True)
    for count, best in ((1, 0), (2, 1), (4, 1)):
        checkpoints.keep_best_model(tmp_path, folds[:count])
        assert checkpoints.best(folds[:count]) is folds[best]
    found = checkpoints.best_model_folder(tmp_path, "a")
    assert found == checkpoints._folder(tmp_path, folds[1].key) / "model"
    assert checkpoints.best([folds[3], folds[0]]) is folds[3]  # nothing validates: the first


def test_a_network_that_outlines_lungs_takes_no_workers(tmp_path: Path) -> None:
    with pytest.raises(HilumError, match="one after another; got workers = 2"):
        tasks.run_into(recipes.load_recipe("lungs"), None, tmp_path / "out", silent, workers=2)


def test_a_lost_process_costs_its_fold_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spread, "TASKS", "hilum")  # what trains takes seconds to load
    with executor_of_folds(2, "") as executor:
        assert [*executor.map(ending.end_at_first, [tmp_path / "mark"], silent)] == ["done"]


@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_replicas_by_workers_of_ray_train_leave_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = (REPLICAS, "seeds=[0]")
    monkeypatch.setenv("HILUM_THREADS", "1")
    alone = written(tmp_path, monkeypatch, changes, 1)
    assert written(tmp_path, monkeypatch, changes, 1, "local") == alone
    history = pd.read_csv(io.BytesIO(alone["history.csv"]))
    assert history["stage"].unique().tolist() == ["head", "all"]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_lost_replica_costs_its_stage_and_an_error_arrives_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HILUM_THREADS", "1")
    changes = (REPLICAS, "seeds=[0]")
    alone = written(tmp_path, monkeypatch, changes, 1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ray_train, "_work", dying.train_and_end_once)
    assert written(tmp_path, monkeypatch, changes, 1, "local") == alone
    assert (tmp_path / "died").exists()
    diverging = REPLICAS.replace("lr=1e-3", "lr=1e38").replace("adamw", "sgd")
    with pytest.raises(HilumError, match="finite"):
        written(tmp_path, monkeypatch, (diverging, "seeds=[0]"), 1, "local")


def test_what_training_needs_is_for_the_device_that_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights of the classes on the processor would not meet labels on a card."""
    seen: list[tuple[str, str]] = []

    def note(job: ray_train.TrainingJob, *rest: object) -> None:
        assert job.plan.weights is not None
        seen.append((job.batches.device, job.plan.weights.device.type))
        raise HilumError("noted")

    monkeypatch.setattr(compiling, "training_device", lambda: "meta")
    monkeypatch.setattr(ray_train, "train_job", note)
    changes = (f"train={{stages=[{{}}, {TUNED}]}}", "seeds=[0]")
    with pytest.raises(HilumError, match="noted"):
        written(tmp_path, monkeypatch, changes, 1)
    assert seen == [("meta", "meta")]


def test_replicas_that_cannot_be_are_refused(tmp_path: Path) -> None:
    for change, said in (
        ("train.replicas=2", "stages that train the backbone"),
        (REPLICAS.replace("replicas=2", "replicas=5"), "batches of at least 10 images; got 8"),
    ):
        with pytest.raises(HilumError, match=said):
            tasks.run_into(plan(change), None, tmp_path / "out", silent)
    # an arm whose head is trained alone has nothing to share out, and is no fault
    several = f'grid={{"train.stages"=[[{{}}],[{{}}, {TUNED}]]}}'
    assert validate.check_recipe(plan(several, "train.replicas=2")) == {}
    lungs = recipes.load_recipe("lungs", changes=["train.replicas=2"])
    with pytest.raises(HilumError, match=r"one replica.*train\.replicas"):
        tasks.run_into(lungs, tmp_path, tmp_path / "out", silent)
