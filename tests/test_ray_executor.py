"""Tasks by Ray's actors: in order, with their errors, again after a loss. Needs the extra `ray`."""

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from hilum.experiment.spread import Spread
from hilum.files import ray_executor as ray_executors
from hilum.files.ray_executor import OF_A_CLUSTER, RayExecutor, ray_executor
from hilum.files.worker import WorkerLostError
from hilum.progress import Progress, silent
from hilum.types import HilumError
from process_tree import children
from test_executors import TwoPartsError, refused

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")


def test_a_ray_that_is_not_here_or_old_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OF_A_CLUSTER, "")

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    # by the package's own record: an ordinary folder of that name can be imported too
    monkeypatch.setattr(ray_executors, "version", missing)
    with pytest.raises(HilumError, match=r"pip install 'hilum\[ray\]'"), start():
        pass
    with pytest.raises(HilumError, match=r"pip install 'hilum\[ray\]'"):
        Spread(ray="local").check()
    monkeypatch.setattr(ray_executors, "version", lambda name: "2.9.3")
    with pytest.raises(HilumError, match=r"ray 2\.54 or newer, .* got 2\.9\.3"), start():
        pass


def test_a_ray_of_our_own_that_others_reach_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OF_A_CLUSTER, "")
    stopped: list[bool] = []
    ray = SimpleNamespace(
        init=lambda *words, **more: None,
        nodes=lambda: [{"NodeManagerAddress": "192.0.2.7"}],
        shutdown=lambda: stopped.append(True),
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(ray_executors, "version", lambda name: "2.60.0")
    said = r"must listen on 127\.0\.0\.1 alone; got 192\.0\.2\.7; set"
    with pytest.raises(HilumError, match=said), start():
        pass
    assert stopped


def start() -> AbstractContextManager[RayExecutor]:
    return ray_executor("local", 2, 1, 2, 4)


@pytest.fixture
def actors() -> Iterator[RayExecutor]:
    with start() as executor:
        yield executor


def waited(number: int, progress: Progress) -> tuple[int, int]:
    time.sleep(0.5 if number == 0 else 0)  # the first is the last to be ready
    return number, int(os.environ["OMP_NUM_THREADS"])


def dying_once(mark: str, progress: Progress) -> str:
    if mark and not Path(mark).exists():
        Path(mark).write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return mark


def leaving(code: int, progress: Progress) -> int:
    sys.exit(code)


@pytest.mark.slow
@needs_ray
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_ray_carries_tasks_out_like_any_executor(actors: RayExecutor, tmp_path: Path) -> None:
    import ray

    assert [node["NodeManagerAddress"] for node in ray.nodes()] == ["127.0.0.1"]
    assert list(actors.map(waited, range(7), silent)) == [(n, 1) for n in range(7)]
    assert list(actors.map(waited, [], silent)) == []
    marks = ["", str(tmp_path / "died"), ""]
    assert list(actors.map(dying_once, marks, silent)) == marks
    with pytest.raises(TwoPartsError, match="wanted a; got b"):
        list(actors.map(refused, [2], silent))
    with pytest.raises(WorkerLostError):
        list(actors.map(leaving, [3], silent))
    assert list(actors.map(waited, [5], silent)) == [(5, 1)]


def long(number: int, progress: Progress) -> int:
    time.sleep(60)
    return number


@pytest.mark.slow
@needs_ray
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_the_end_of_ray_itself_is_said_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_executors, "WATCHED", 1)
    started = time.monotonic()
    with ray_executor("local", 2, 1, 3, 4) as executor:
        threading.Timer(3, kill_raylets).start()
        with pytest.raises(HilumError, match="the end of its last machine"):
            list(executor.map(long, range(3), silent))
    assert time.monotonic() - started < 60


def kill_raylets() -> None:
    """Those that this process has started."""
    for pid in children(os.getpid()):
        if "raylet" in Path(f"/proc/{pid}/comm").read_text():
            os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
@needs_ray
@pytest.mark.parametrize("address", ["127.0.0.1:1", "[::1]:1", "nowhere.invalid:6379"])
def test_an_address_without_a_ray_is_one_sentence(address: str) -> None:
    """Soon: Ray itself asks again for minutes, and says so on the terminal."""
    started = time.monotonic()
    said = rf"address of a Ray that runs; got '{re.escape(address)}'"
    with pytest.raises(HilumError, match=said), ray_executor(address, 1, 1, 1, 1):
        pass
    assert time.monotonic() - started < 2 * ray_executors.ANSWER
