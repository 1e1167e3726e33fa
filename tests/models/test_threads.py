"""Threads that wait asleep and keep to what a control group grants; the numbers stay the same."""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from hilum import files
from hilum.models.runtime import torch as torch_engine
from hilum.models.runtime.compiling import Target, compile_network
from hilum.training import loop

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
TRAINED = """
import hashlib, numpy as np, torch
from torch import nn
from hilum.training import loop
torch.manual_seed(0)
torch.set_num_threads(2)
layers = nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(2312, 2)
net = nn.Sequential(*layers)
x, y = torch.randn(24, 1, 19, 19), torch.arange(24) % 2
class Batches:
    def train(self, epoch):
        yield from zip(x.split(8), y.split(8))
    def validation(self):
        yield x, y
loop.train_network(net, Batches(), loop.LoopConfig("adam", (1e-3,) * 3))
print(hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in net.parameters())).hexdigest())
"""


def run(code: str, **extra: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in WAITING}
    return subprocess.run(
        [sys.executable, "-c", code], env=clean | extra, capture_output=True, text=True, check=True
    )


@pytest.mark.parametrize(
    "first",
    [
        "hilum.training.loop",
        pytest.param("hilum.models.runtime.compiling", marks=pytest.mark.slow),
        pytest.param("hilum.explain", marks=pytest.mark.slow),
    ],
)
def test_openmp_itself_says_that_its_threads_sleep(first: str) -> None:
    """OMP_DISPLAY_ENV: each OpenMP library prints its settings when it loads (OpenMP 5.2)."""
    said = run(f"import {first}, torch", OMP_DISPLAY_ENV="TRUE").stderr
    if "OMP_WAIT_POLICY" not in said:
        pytest.skip("this torch has no OpenMP library that says how it is set")
    policies = {
        line.split("=")[1].strip(" '") for line in said.splitlines() if "WAIT_POLICY" in line
    }
    assert policies == {"PASSIVE"}


@pytest.mark.parametrize("name", WAITING)
def test_what_the_user_has_set_stays(name: str) -> None:
    code = f"import hilum, os; print([os.environ.get(name) for name in {WAITING}])"
    kept = [("5" if other == name else None) for other in WAITING]
    assert run(code, **{name: "5"}).stdout.strip() == str(kept)
    assert run(code).stdout.strip() == str(["PASSIVE", None, None, None])


@pytest.mark.slow
def test_how_threads_wait_changes_no_bit_of_a_training() -> None:
    asleep, spinning = run(TRAINED).stdout, run(TRAINED, GOMP_SPINCOUNT="1000").stdout
    assert len(asleep.strip()) == 64
    assert asleep == spinning


class Batches:
    """Four rows, twice."""

    def train(self, epoch: int):  # type: ignore[no-untyped-def]
        yield torch.ones(4, 3), torch.arange(4) % 2

    def validation(self):  # type: ignore[no-untyped-def]
        yield torch.ones(4, 3), torch.arange(4) % 2


class Pooled(nn.Module):
    """Mean grey level: (image, 1)."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(image, 1, height, width) -> (image, 1)."""
        return pixels.float().mean((2, 3))


def test_torch_keeps_to_the_cores_that_a_control_group_grants(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(files, "available_cpus", lambda: 3)
    monkeypatch.setattr(torch_engine.files, "available_cpus", lambda: 3)
    works = (
        lambda: loop.train_network(nn.Linear(3, 2), Batches(), loop.LoopConfig("sgd", (0.1,))),
        lambda: compile_network(Pooled(), (8, 8), Target(device="cpu", engine="torch")),
    )
    try:
        for work in works:
            for before, after in ((5, 3), (2, 2)):
                torch.set_num_threads(before)
                work()
                assert torch.get_num_threads() == after
        monkeypatch.setenv("OMP_NUM_THREADS", "5")
        torch.set_num_threads(5)
        works[0]()
        assert torch.get_num_threads() == 5
    finally:
        torch.set_num_threads(usual)
