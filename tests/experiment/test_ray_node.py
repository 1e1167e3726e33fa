"""A whole machine of a Ray cluster is lost while its actors work. Needs the extra `ray`."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import kills
import pytest
from batches import drawn, save_model

from hilum import files
from hilum.experiment import predict, shards
from hilum.experiment.answering import BLOCK
from hilum.experiment.spread import Spread
from hilum.files.ray_executor import RayExecutor
from hilum.progress import silent

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

FILMS = 9 * BLOCK - 5  # nine shards
PATIENCE = 300  # seconds


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where each part that is made is named, by whichever process of the cluster."""
    path = tmp_path / "log"
    monkeypatch.setenv(kills.LOG, str(path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    monkeypatch.setattr(shards, "carry_out", kills.logged)
    return path


@pytest.fixture
def cluster(log: Path) -> "Iterator[Cluster]":
    """A head of one core, for one actor; further machines are added to it."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100_000_000}
    started = Cluster(initialize_head=True, head_node_args=head)
    yield started
    started.shutdown()


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_lost_machine_costs_the_shards_that_it_was_at(
    cluster: "Cluster", log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its raylet is killed with its actor at work; the other machine goes on alone."""
    films = tmp_path / "films"
    films.mkdir()
    for number in range(FILMS):
        cv2.imwrite(str(films / f"{number:03}.png"), drawn(number))
    save_model(tmp_path / "model", files.sha256(films / "005.png"))
    machine = cluster.add_node(num_cpus=1, object_store_memory=100_000_000)
    lost: list[int] = []  # tasks whose actors are gone
    count_loss = RayExecutor._lost

    def noted(executor: RayExecutor, task: Any, ending: str) -> None:
        lost.append(task.number)
        count_loss(executor, task, ending)

    monkeypatch.setattr(RayExecutor, "_lost", noted)
    out = tmp_path / "p.csv"
    killing = threading.Thread(
        target=kill_at_work, args=(cluster, machine, tmp_path / "p.csv.parts")
    )
    killing.start()
    spread = Spread(2, ray=cluster.address, size=BLOCK)
    predict.predict_files(tmp_path / "model", [films], out, silent, spread=spread)
    killing.join()
    assert len(lost) == 1
    made = log.read_text().splitlines()
    assert len(made) == len(set(made)) == 9
    predict.predict_files(tmp_path / "model", [films], tmp_path / "whole.csv", silent)
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def kill_at_work(cluster: "Cluster", machine: Any, parts: Path) -> None:
    """Kill the machine's raylet once both actors read films; its actor ends with it."""
    end = time.monotonic() + PATIENCE
    while len([*parts.glob("*.reading")]) < 2 and time.monotonic() < end:
        time.sleep(0.005)
    cluster.remove_node(machine, allow_graceful=False)
