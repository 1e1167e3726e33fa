"""A run as one run of MLflow, under the experiment "hilum".

https://mlflow.org/docs/latest/ml/tracking/
"""

from pathlib import Path
from typing import Any

from hilum import files
from hilum.interop import optional
from hilum.interop.run_facts import RunFacts

EXPERIMENT = "hilum"
AT_ONCE = 100  # parameters in a call, MLflow's own limit; it takes 1,000 figures
FIGURES_AT_ONCE = 1000
LONGEST = 500  # letters of a parameter, the least that any MLflow since 1.0 takes


def load() -> Any:
    """The library; HilumError where it is missing."""
    return optional.load("mlflow", "--log mlflow", "hilum[log]")


def write(facts: RunFacts, folder: Path) -> str:
    """Parameters, figures with their intervals, course, verdict and report; where to look."""
    mlflow = load()
    files.ensure_writable_folder(folder)
    client = mlflow.MlflowClient(tracking_uri=_store(folder))
    run = client.create_run(_experiment(client, folder), run_name=facts.name, tags=_tags(facts))
    run_id = run.info.run_id
    try:
        _write(mlflow, client, run_id, facts)
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)
    return f"MLflow run {run_id} in {folder}; mlflow ui --backend-store-uri {_store(folder)}"


def _store(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def _experiment(client: Any, folder: Path) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    artifacts = (folder / "artifacts").as_uri()
    return str(found.experiment_id if found else client.create_experiment(EXPERIMENT, artifacts))


def _tags(facts: RunFacts) -> dict[str, str]:
    return {"mlflow.note.content": "\n\n".join(facts.words.values()), **facts.words}


def _write(mlflow: Any, client: Any, run_id: str, facts: RunFacts) -> None:
    entities = mlflow.entities
    parameters = [
        entities.Param(name, value if len(value) <= LONGEST else f"{value[: LONGEST - 1]}…")
        for name, value in facts.parameters.items()
    ]
    for start in range(0, len(parameters), AT_ONCE):
        client.log_batch(run_id, params=parameters[start : start + AT_ONCE])
    figures = [entities.Metric(name, value, 0, 0) for name, value in facts.figures.items()]
    figures += [
        entities.Metric(row.name, float(row.value), 0, int(row.step))
        for row in facts.course.itertuples(index=False)
    ]
    for start in range(0, len(figures), FIGURES_AT_ONCE):
        client.log_batch(run_id, metrics=figures[start : start + FIGURES_AT_ONCE])
    for path in facts.files:
        client.log_artifact(run_id, str(path))
