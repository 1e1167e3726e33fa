"""The executor: the same image gives the same bits in any company, and torch agrees."""

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hilum import files
from hilum.models.normalise import InputNormalisation
from hilum.models.runtime import base, conversion
from hilum.models.runtime.compiling import SavedNetwork, Target, compile_network, compile_saved
from hilum.types import HilumError

SIDE = 40
STACK = np.random.default_rng(0).integers(0, 256, (23, SIDE, SIDE), dtype=np.uint8)
TARGETS = {
    "openvino bf16 or fp32": Target(),
    "openvino fp32": Target("fp32", "cpu", "openvino"),
    "torch fp32": Target("fp32", "cpu", "torch"),
    "torch bf16": Target("bf16", "cpu", "torch"),
}


class Small(nn.Module):
    """Door, two convolutions with BatchNorm, average pooling: (image, 11)."""

    def __init__(self, seed: int = 3) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.door = InputNormalisation("imagenet")
            self.first = nn.Conv2d(3, 8, 3, stride=2)
            self.norm = nn.BatchNorm2d(8)
            self.second = nn.Conv2d(8, 11, 3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(image, 1, height, width) uint8 -> (image, 11)."""
        return self.second(self.norm(self.first(self.door(pixels))).relu()).mean((2, 3))


def plain(module: nn.Module, stack: np.ndarray = STACK) -> np.ndarray:
    with torch.inference_mode(), base.evaluating(module):
        return module(torch.from_numpy(stack)[:, None]).numpy()


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_same_bits_in_any_company(name: str) -> None:
    run = compile_network(Small(), (SIDE, SIDE), TARGETS[name])
    whole = run(STACK)
    order = np.random.default_rng(1).permutation(len(STACK))
    assert whole.dtype == np.float32
    assert whole.shape == (23, 11)
    assert np.array_equal(run(STACK[order]), whole[order])
    assert np.array_equal(np.concatenate([run(STACK[i : i + 1]) for i in range(23)]), whole)
    assert np.array_equal(run.stream(iter(STACK), 23), whole)
    again = compile_network(Small(), (SIDE, SIDE), TARGETS[name])
    assert np.array_equal(again(STACK), whole)
    alone = compile_network(Small(), (SIDE, SIDE), replace(TARGETS[name], alone=True))
    np.testing.assert_allclose(alone(STACK), whole, rtol=1e-5, atol=1e-5)
    assert np.array_equal(
        np.concatenate([alone(STACK[i : i + 1]) for i in range(23)]), alone(STACK)
    )


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_agrees_with_plain_torch(name: str) -> None:
    want = plain(Small())
    run = compile_network(Small(), (SIDE, SIDE), TARGETS[name])
    error = np.abs(run(STACK) - want).max() / np.abs(want).max()
    assert error < (1e-5 if run.facts.precision == "fp32" else 3e-2)
    assert run.describe()["precision"] == run.facts.precision


def test_rectangles_and_read_only_memory_maps(tmp_path: Path) -> None:
    stack = np.random.default_rng(2).integers(0, 256, (5, 30, 50), dtype=np.uint8)
    np.save(tmp_path / "stack.npy", stack)
    mapped = np.load(tmp_path / "stack.npy", mmap_mode="r")
    run = compile_network(Small(), (30, 50), Target("fp32"))
    np.testing.assert_allclose(run(mapped), plain(Small(), stack), rtol=1e-4, atol=1e-5)
    assert run(mapped[:0]).shape == (0, 11)


@pytest.mark.parametrize("name", ["openvino fp32", "torch fp32"])
def test_progress_ends_at_the_total(name: str) -> None:
    seen: list[tuple[int, int]] = []
    compile_network(Small(), (SIDE, SIDE), TARGETS[name])(STACK, lambda *it: seen.append(it))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (23, 23)


@pytest.mark.parametrize("name", ["openvino fp32", "torch fp32"])
def test_wrong_images_are_refused(name: str) -> None:
    run = compile_network(Small(), (SIDE, SIDE), TARGETS[name])
    with pytest.raises(HilumError, match=r"\(40, 40\); got uint8 of shape \(40, 39\)"):
        run(STACK[:, :, :-1])
    with pytest.raises(HilumError, match="got float64"):
        run(STACK.astype(float))
    with pytest.raises(HilumError, match="24 images were announced; got 23"):
        run.stream(iter(STACK), 24)
    with pytest.raises(HilumError, match="22 images were announced; got more"):
        run.stream(iter(STACK), 22)
    assert np.array_equal(run(STACK[:2]), run(STACK)[:2])  # still usable


def test_a_failing_source_of_images_is_not_swallowed() -> None:
    def broken() -> Iterator[np.ndarray]:
        yield STACK[0]
        raise ZeroDivisionError

    run = compile_network(Small(), (SIDE, SIDE))
    with pytest.raises(ZeroDivisionError):
        run.stream(broken(), 2)


def test_converted_network_is_kept_and_keyed_by_what_it_computes() -> None:
    module = Small(seed=8)
    first = conversion.converted(module, (SIDE, SIDE))
    stamp = first.stat().st_mtime_ns
    assert conversion.converted(Small(seed=8), (SIDE, SIDE)) == first
    assert first.stat().st_mtime_ns == stamp
    assert first.is_relative_to(files.cache_home() / "compiled")
    keys = {conversion.key(module, (SIDE, SIDE)), conversion.key(module, (SIDE, 41))}
    keys.add(conversion.key(Small(seed=9), (SIDE, SIDE)))
    module.first.stride = (1, 1)
    keys.add(conversion.key(module, (SIDE, SIDE)))
    module.door = InputNormalisation("signed")  # its numbers are no part of the state dictionary
    keys.add(conversion.key(module, (SIDE, SIDE)))
    assert len(keys) == 5


class SingularValues(nn.Module):
    """A layer that OpenVINO has no operation for."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(image, 1, height, width) uint8 -> (image, height)."""
        return torch.linalg.svdvals(pixels.float())[:, 0]


class AsksForItsSize(nn.Module):
    """A layer whose choice cannot be traced."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(image, 1, height, width) uint8 -> (image, width)."""
        return {SIDE: pixels.float().mean((1, 2))}[pixels.shape[2]]


@pytest.mark.parametrize("kind", [SingularValues, AsksForItsSize])
def test_what_openvino_cannot_convert_is_computed_by_torch(kind: type[nn.Module]) -> None:
    module = kind()
    for run in (
        compile_network(module, (SIDE, SIDE)),
        compile_saved(SavedNetwork(("unconverted",), lambda: module), (SIDE, SIDE)),
    ):
        assert run.describe()["engine"] == "torch"
        np.testing.assert_allclose(run(STACK), plain(module), rtol=1e-4)
    with pytest.raises(HilumError, match=r"cannot convert this network .* choose engine torch"):
        compile_network(module, (SIDE, SIDE), Target(engine="openvino"))


def test_compiling_leaves_the_module_as_it_was() -> None:
    module = Small()
    module.norm.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for target in TARGETS.values():
            compile_network(module, (SIDE, SIDE), target)
    assert module.training
    assert module.first.training
    assert not module.norm.training


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (Target(engine="tpu"), "an engine is one of .* got 'tpu'"),
        (Target(precision="int8"), "a precision is one of .* got 'int8'"),
        (Target(device="banana"), "got 'banana'"),
        (Target(device="meta"), "got 'meta'"),
        (Target(device="cuda:99"), "'cuda:99' is not on this machine"),
    ],
)
def test_bad_targets_are_refused(target: Target, sentence: str) -> None:
    with pytest.raises(HilumError, match=sentence):
        compile_network(Small(), (SIDE, SIDE), target)


@pytest.mark.parametrize("engine_name", ["openvino", "torch"])
def test_a_spatial_output_is_refused(engine_name: str) -> None:
    target = Target("fp32", "cpu", engine_name)
    with pytest.raises(HilumError, match=r"must give \((1|image), output\)"):
        compile_network(InputNormalisation("unit"), (8, 8), target)


@pytest.mark.gpu
def test_cuda_gives_the_same_bits_in_any_company() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    run = compile_network(Small(), (SIDE, SIDE), Target("fp32", "cuda"))
    stack = np.concatenate([STACK] * 4)
    whole = run(stack)
    assert np.array_equal(whole[:23], whole[69:])
    assert np.array_equal(run(stack[::-1].copy()), whole[::-1])
    np.testing.assert_allclose(whole[:23], plain(Small()), rtol=1e-3, atol=1e-4)


def test_nothing_is_sent_to_anyone(tmp_path: Path) -> None:
    """No identifier appears in the home folder, and what would send is not loaded."""
    code = "import hilum.models, openvino, sys; print([m for m in sys.modules if 'telem' in m])"
    here = {**os.environ, "HOME": str(tmp_path), "HILUM_CACHE": str(files.cache_home())}
    here = {key: value for key, value in here.items() if key != "CI"}
    found = subprocess.run(
        [sys.executable, "-c", code], env=here, capture_output=True, text=True, check=True
    )
    loaded = found.stdout.strip().splitlines()[-1]
    assert "openvino_telemetry." not in loaded
    assert "openvino.tools.ovc.telemetry_stub" in loaded
    assert not (tmp_path / "intel").exists()


BOUND = """
import os
os.sched_setaffinity(0, range(os.cpu_count()))  # the process of this test may be kept to one core
everywhere, seen = os.sched_getaffinity(0), []
from contextlib import suppress
from pathlib import Path
from threading import Thread
from test_runtime import SIDE, STACK, TARGETS, Small, compile_network
run = compile_network(Small(), (SIDE, SIDE), TARGETS["openvino fp32"])
worker = Thread(target=run.stream, args=(iter([STACK[0]] * 4_000), 4_000))
worker.start()
while worker.is_alive():  # a bound thread is set free again when its request is over
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it has ended
            seen.append(os.sched_getaffinity(int(task.name)))
print(len(everywhere), len(seen) > 100, all(cores == everywhere for cores in seen))
"""


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or (os.cpu_count() or 1) < 2,
    reason="needs two cores, and a system that binds threads to them",
)
def test_openvino_binds_no_thread_to_a_core() -> None:
    """Two processes of one thread each would both begin at the first core, and share it."""
    here = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    found = subprocess.run(
        [sys.executable, "-c", BOUND], env=here, capture_output=True, text=True, check=True
    )
    cores, enough, free = found.stdout.split()[-3:]
    assert (enough, free) == ("True", "True"), f"on {cores} cores"
