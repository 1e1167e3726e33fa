"""OpenVINO that dies, hangs or fails while it compiles: in a child, noticed, said once, kept."""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from hilum import files
from hilum.models.runtime import compiling, openvino_check
from hilum.models.runtime.compiling import (
    SavedNetwork,
    Target,
    compile_network,
    compile_quantised,
    compile_saved,
)
from hilum.types import HilumError, HilumWarning

SIDE = 16
FILMS = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE), dtype=np.uint8)
DIES = "import os, signal; os.kill(os.getpid(), signal.{})"
COUNTS = "open({log!r}, 'a').write('x')\n"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")


class Network(nn.Module):
    """Grey level by column: (image, width)."""

    def forward(self, pixels):  # type: ignore[no-untyped-def]
        """(image, 1, height, width) uint8 -> (image, width)."""
        return pixels.float().mean((1, 2))


class Machine:
    """A cache of its own, and a child that does what a test says; counts its starts."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch, self.log = folder, patch, folder / "log"
        patch.setenv("HILUM_CACHE", str(folder / "cache"))

    def child(self, code: str) -> None:
        """Replace the script; a new process begins."""
        script = self.folder / "child.py"
        script.write_text(COUNTS.format(log=str(self.log)) + code)
        self.patch.setattr(openvino_check, "CHILD", script)
        self.new_process()

    def new_process(self) -> None:
        """Forget what this process knows; the disk stays."""
        openvino_check._cached_outcome.cache_clear()

    @property
    def starts(self) -> int:
        return len(self.log.read_text()) if self.log.exists() else 0


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    yield Machine(tmp_path, monkeypatch)
    openvino_check._cached_outcome.cache_clear()


@pytest.mark.parametrize("name", ["SIGFPE", "SIGILL", "SIGSEGV", "SIGABRT", "SIGKILL"])
def test_a_child_that_dies_makes_torch_compute_and_is_said_once(
    name: str, machine: Machine
) -> None:
    machine.child(DIES.format(name))
    with pytest.warns(HilumWarning, match=rf"was ended by {name} .* Torch computes") as said:
        run = compile_network(Network(), (SIDE, SIDE))
    assert len(said) == 1
    for new in (False, True):  # no further word in this process, nor in the next
        if new:
            machine.new_process()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            saved = compile_saved(SavedNetwork(("kept",), Network), (SIDE, SIDE))
        assert saved.facts.engine == run.facts.engine == "torch"
    np.testing.assert_allclose(run(FILMS), FILMS.mean(1), rtol=1e-6)
    assert machine.starts == 1


def test_what_needs_openvino_is_refused_in_a_sentence(machine: Machine, tmp_path: Path) -> None:
    machine.child(DIES.format("SIGFPE"))
    with (
        pytest.warns(HilumWarning),
        pytest.raises(HilumError, match=r"SIGFPE; choose engine torch"),
    ):
        compile_network(Network(), (SIDE, SIDE), Target(engine="openvino"))
    with pytest.raises(HilumError, match="SIGFPE"):
        compile_quantised(tmp_path / "quantised.xml", (SIDE, SIDE))


def test_a_shell_between_hides_no_signal(machine: Machine) -> None:
    machine.child("raise SystemExit(136)")  # 128 + SIGFPE
    with pytest.warns(HilumWarning, match="SIGFPE"):
        assert not openvino_check.outcome().works


def test_a_child_that_hangs_is_given_up(machine: Machine) -> None:
    machine.patch.setattr(openvino_check, "SECONDS", 1)
    machine.child("import time; time.sleep(600)")
    with pytest.warns(HilumWarning, match="did not end within 1 s"):
        assert compile_network(Network(), (SIDE, SIDE)).facts.engine == "torch"


@pytest.mark.parametrize(
    "code", ["raise ImportError", "raise SystemExit(3)", DIES.format("SIGTERM")]
)
def test_what_says_nothing_of_openvino_changes_nothing_and_is_asked_again(
    code: str, machine: Machine
) -> None:
    machine.child(code)
    assert openvino_check.outcome().works
    assert openvino_check.outcome().works
    assert machine.starts == 1
    machine.new_process()
    assert openvino_check.outcome().works
    assert machine.starts == 2


def test_no_python_to_start_changes_nothing(machine: Machine) -> None:
    machine.child("")
    machine.patch.setattr(sys, "executable", str(machine.folder / "none"))
    assert openvino_check.outcome().works


def test_a_cache_that_cannot_be_written_costs_time_only(machine: Machine) -> None:
    (machine.folder / "cache").write_text("a file, where a folder should be")
    machine.child(DIES.format("SIGILL"))
    for starts, ask in enumerate((openvino_check.outcome, openvino_check.again), 1):
        with pytest.warns(HilumWarning, match="SIGILL"):
            assert not ask().works
        assert machine.starts == starts
        machine.new_process()


def test_a_damaged_note_is_found_out_anew(machine: Machine) -> None:
    machine.child("")
    assert openvino_check.outcome().works
    (note,) = (machine.folder / "cache" / "engines").iterdir()
    assert json.loads(note.read_text()) == {"works": True, "reason": ""}
    for damage in ("", "[]", '{"works": true}'):
        note.write_text(damage)
        machine.new_process()
        assert openvino_check.outcome().works
    assert machine.starts == 4


@pytest.mark.parametrize("what", ["processor", "version"])
def test_another_processor_or_version_is_tried_anew(what: str, machine: Machine) -> None:
    machine.child("")
    openvino_check.outcome()
    if what == "processor":
        machine.patch.setattr(openvino_check, "_processor", lambda: "another")
    else:
        machine.patch.setattr(openvino_check, "version", lambda _: "2099.1")
    openvino_check.outcome()
    assert machine.starts == 2


def test_the_processor_is_its_first_core_without_what_varies(
    machine: Machine, tmp_path: Path
) -> None:
    about = tmp_path / "cpuinfo"
    core = (
        "processor\t: {n}\nmodel name\t: A\ncpu MHz\t\t: {n}000.5\n"
        "core id : {n}\nflags\t: fpu avx\n\n"
    )
    about.write_text("".join(core.format(n=n) for n in range(3)))
    machine.patch.setattr(openvino_check, "_CPUINFO", about)
    openvino_check._processor.cache_clear()
    assert openvino_check._processor() == "model name\t: A\nflags\t: fpu avx"
    openvino_check._processor.cache_clear()
    machine.patch.setattr(openvino_check, "_CPUINFO", tmp_path / "none")
    assert openvino_check._processor()
    openvino_check._processor.cache_clear()


def test_the_child_itself_runs_here_and_torch_asks_nothing(machine: Machine) -> None:
    done = subprocess.run(
        [sys.executable, "-P", str(openvino_check.CHILD)], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    machine.child("")
    compile_network(Network(), (SIDE, SIDE), Target(engine="torch"))
    assert machine.starts == 0
    assert compiling.openvino_computes(Target(device="cpu"))
    assert machine.starts == 1
    assert files.cache_home() == machine.folder / "cache"


@pytest.mark.slow
def test_doctor_says_so_and_tries_again(machine: Machine) -> None:
    """In processes of their own: the sentence on standard error, no place in the code."""
    machine.child(DIES.format("SIGFPE"))
    code = (
        "import sys; from hilum.models.runtime import openvino_check; from pathlib import Path; "
        f"openvino_check.CHILD = Path({str(openvino_check.CHILD)!r}); "
        "sys.argv = ['hilum', 'doctor', '--json']; from hilum.cli.main import main; main()"
    )
    for starts in (1, 2):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert json.loads(done.stdout)["engine"] == "torch, since OpenVINO was ended by SIGFPE"
        assert done.stderr.startswith("note: OpenVINO ")
        assert done.stderr.count("\n") == 1
        assert machine.starts == starts
