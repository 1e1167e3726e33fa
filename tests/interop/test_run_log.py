"""`--log`: a run in MLflow and in TensorBoard, read back with their own libraries."""

import json
from pathlib import Path

import pytest

import hilum
from hilum.cli import train
from hilum.interop import optional
from hilum.interop.run_facts import plain_name, read_facts
from hilum.interop.run_log import log_run


def accuracy(out: Path) -> dict:
    results = json.loads((out / "results.json").read_text())
    cell = results["model"]["cell"]
    (score,) = [
        row
        for row in results["scores"]
        if (row["cell"], row["name"], row["class"]) == (cell, "accuracy", "overall")
    ]
    return score


def test_tensorboard_reads_figures_course_and_words(out: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (where,) = log_run(out, [f"tensorboard:{tmp_path}"])
    (folder,) = tmp_path.iterdir()
    assert str(folder) in where
    events = EventAccumulator(str(folder)).Reload()
    score = accuracy(out)
    for end in ("value", "low", "high"):
        name = "test/main/accuracy" + ("" if end == "value" else f".{end}")
        (event,) = events.Scalars(name)
        assert event.value == pytest.approx(score[end], rel=1e-6)
    loss = [event.value for event in events.Scalars("main/fold 0 seed 0/head train loss")]
    history = read_facts(out).course.query("name == 'main/fold 0 seed 0/head train loss'")
    assert loss == pytest.approx(history["value"].tolist(), rel=1e-6)
    assert len(loss) > 2
    words = {
        tag: events.Tensors(tag)[0].tensor_proto.string_val[0] for tag in events.Tags()["tensors"]
    }
    verdict = json.loads((out / "results.json").read_text())["verdict"]
    assert words["verdict/text_summary"].decode() == verdict
    assert hilum.NOTICE in words["notice/text_summary"].decode()
    assert "model.backbone | tf_efficientnet_lite0" in words["parameters/text_summary"].decode()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of MLflow's own libraries
def test_mlflow_reads_parameters_figures_verdict_and_report(out: Path, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    log_run(out, [f"mlflow:{tmp_path}"])
    (where,) = log_run(out, [f"mlflow:{tmp_path}"])
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("hilum")
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 2
    run = next(run for run in runs if run.info.run_id in where)
    score = accuracy(out)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["main/accuracy"] == score["value"]
    assert run.data.metrics["main/accuracy.low"] == score["low"]
    assert run.data.params["model.backbone"] == "tf_efficientnet_lite0"
    results = json.loads((out / "results.json").read_text())
    assert run.data.tags["verdict"] == results["verdict"]
    course = client.get_metric_history(run.info.run_id, "main/fold 0 seed 0/head validation loss")
    assert [metric.step for metric in course] == list(range(len(course)))
    assert len(course) > 2
    report = mlflow.artifacts.download_artifacts(
        f"{run.info.artifact_uri}/report.html", dst_path=str(tmp_path / "read")
    )
    assert Path(report).read_bytes() == (out / "report.html").read_bytes()


def test_names_hold_what_trackers_take() -> None:
    assert plain_name("main/sensitivity covid19") == "main/sensitivity covid19"
    assert plain_name("a(b)·é") == "a_28_b_29__b7__e9_"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("wandb:runs", "a log is mlflow:DIR or tensorboard:DIR; got 'wandb:runs'"),
        ("tensorbord:runs", "did you mean 'tensorboard'"),
        ("mlflow", "add a colon and a folder"),
        ("mlflow:", "add a colon and a folder"),
    ],
)
def test_a_mistake_is_named_before_the_run(words: str, message: str) -> None:
    with pytest.raises(hilum.HilumError, match=message):
        train.After.of([words], None)


def test_a_library_that_is_missing_is_named() -> None:
    with pytest.raises(hilum.HilumError, match=r"needs the package no_such_thing.*'hilum\[log\]'"):
        optional.load("no_such_thing.part", "--log", "hilum[log]")
