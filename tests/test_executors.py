"""Tasks in processes of their own: in order, with their errors, and with nothing left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from hilum import files
from hilum.files.executors import Executor, ProcessExecutor
from hilum.progress import Advance, Progress, StepName, note, process_of, silent, unit_of
from hilum.types import HilumError, HilumWarning, MissingError
from process_tree import alive


class TwoPartsError(HilumError):
    """An error that pickle cannot build again from its sentence."""

    def __init__(self, wanted: str, got: str) -> None:
        super().__init__(f"wanted {wanted}; got {got}.")


def squared(number: int, progress: Progress) -> int:
    time.sleep(0.2 if number == 0 else 0)  # the first is the last to be ready
    os.write(1, b"what a library prints is no answer")
    return number**2


def process(number: int, progress: Progress) -> int:
    time.sleep(0.3)
    return os.getpid()


def refused(number: int, progress: Progress) -> int:
    if number == 1:
        raise MissingError("weights are wanted; got none; fetch them.")
    if number == 2:
        raise TwoPartsError("a", "b")
    if number == 3:
        raise ZeroDivisionError("a fault of ours")
    return number


def warned(number: int, progress: Progress) -> int:
    warnings.warn("something changes", HilumWarning, stacklevel=1)
    return number


def killed(number: int, progress: Progress) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def stepping(number: int, progress: Progress) -> int:
    first = progress(StepName(f"first of {number}", "epochs"))
    for done in range(1, 4):
        first(done, 3)
    second = progress(f"second of {number}")
    note(second, "nothing from the cache")
    second(1, 9)  # stopped early
    return number


def endless(path: str, progress: Progress) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(300)


@pytest.fixture(params=[1, 2])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    with files.executor_of(request.param) as made:
        yield made


def test_results_come_in_the_order_of_tasks(executor: Executor) -> None:
    assert list(executor.map(squared, range(7), silent)) == [n**2 for n in range(7)]
    assert list(executor.map(squared, [], silent)) == []


def test_serial_asks_for_a_task_when_the_one_before_is_done() -> None:
    asked: list[int] = []

    def tasks() -> Iterator[int]:
        for number in range(3):
            asked.append(number)
            yield number

    with files.executor_of(1) as executor:
        for done, _ in enumerate(executor.map(squared, tasks(), silent), 1):
            assert len(asked) == done


def test_two_processes_work_at_a_time_and_go_on() -> None:
    with files.executor_of(2) as executor:
        found = list(executor.map(process, range(6), silent))
        assert len(set(found)) == 2
        assert os.getpid() not in found
        assert set(executor.map(process, range(2), silent)) <= set(found)
    assert not any(alive(pid) for pid in found)


def test_errors_travel_as_they_are(executor: Executor) -> None:
    with pytest.raises(MissingError, match="weights are wanted; got none; fetch them"):
        list(executor.map(refused, [0, 1], silent))
    assert list(executor.map(refused, [0], silent)) == [0]  # it can be used again
    with pytest.raises(ZeroDivisionError, match="a fault of ours"):
        list(executor.map(refused, [3], silent))
    with pytest.raises(HilumError, match="wanted a; got b"):
        list(executor.map(refused, [2], silent))


def test_warnings_travel_too(executor: Executor) -> None:
    with pytest.warns(HilumWarning, match="something changes"):
        assert list(executor.map(warned, [5], silent)) == [5]


def test_steps_of_processes_are_shown_by_one_thread(executor: Executor) -> None:
    seen: dict[str, list[tuple[int, int]]] = {}
    steps: list[str] = []

    class Shown:
        def __init__(self, step: str) -> None:
            self.step = step

        def __call__(self, done: int, total: int) -> None:
            assert threading.current_thread() is threading.main_thread()
            seen.setdefault(self.step, []).append((done, total))

        def note(self, words: str) -> None:
            assert words == "nothing from the cache"

    def progress(step: str, /) -> Advance:
        assert threading.current_thread() is threading.main_thread()
        steps.append(step)
        return Shown(step)

    assert list(executor.map(stepping, range(5), progress)) == list(range(5))
    assert sorted(steps) == sorted(
        f"{which} of {n}" for which in ("first", "second") for n in range(5)
    )
    assert {unit_of(step) for step in steps} == {"epochs", "images"}
    for number in range(5):
        assert seen[f"first of {number}"][-1] == (3, 3)
        assert seen[f"second of {number}"][0] == (1, 9)
    if isinstance(executor, ProcessExecutor):
        assert {process_of(step) for step in steps} <= {1, 2}
        assert 0 not in {process_of(step) for step in steps}
        assert all(seen[f"second of {n}"][-1] == (1, 1) for n in range(5)), "its task is over"


def test_a_killed_process_is_one_sentence() -> None:
    with files.executor_of(2) as executor:
        with pytest.raises(
            HilumError, match="must live until its task is done; got signal SIGKILL"
        ):
            list(executor.map(killed, [0], silent))
        assert list(executor.map(squared, [3], silent)) == [9]


def test_fewer_than_one_worker_is_refused() -> None:
    with pytest.raises(HilumError, match="at least 1; got 0"), files.executor_of(0):
        pass


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_the_run(tmp_path: Path, how: signal.Signals) -> None:
    """Ctrl-C and a kill of the run end its workers in the middle of their tasks."""
    marks = [tmp_path / "0", tmp_path / "1"]
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from hilum import files; from test_executors import endless, silent\n"
        # a shell's background job, and what it starts, ignores Ctrl-C
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with files.executor_of(2) as executor:\n"
        f"    list(executor.map(endless, {[str(mark) for mark in marks]!r}, silent))\n"
    )
    run = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    soon(lambda: all(mark.is_file() and mark.read_text() for mark in marks))
    run.send_signal(how)
    assert run.wait(30) != 0
    soon(lambda: not any(alive(int(mark.read_text())) for mark in marks))


def test_who_comes_second_waits_for_the_lock(tmp_path: Path) -> None:
    path, code = tmp_path / "made" / "x.lock", "import sys, time; from hilum import files\n"
    code += f"with files.waiting(files.Path({str(tmp_path)!r}) / 'made' / 'x.lock'):\n"
    code = code.replace("files.Path", "__import__('pathlib').Path")
    code += "    print('held', flush=True); time.sleep(0.6)\n"
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert other.stdout is not None
    other.stdout.readline()
    with files.waiting(path):
        assert other.wait(5) == 0
    other.stdout.close()
    assert not path.exists()


def soon(holds: "object", seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)
