"""A full disk below --out is one sentence with the path and nothing half; one run writes."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors import SafetensorError

from hilum import files
from hilum.experiment import checkpoints, outputs
from hilum.files import cells
from hilum.report import run_folder
from hilum.types import HilumError, LeftOut

FULL = os.strerror(errno.ENOSPC)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, FULL),
        OSError(errno.ENOSPC, FULL, "/there/a.png"),
        SafetensorError(f"Error while serializing: I/O error: {FULL} (os error 28)"),
        RuntimeError(f"can't write: {FULL}"),
        OSError([("a", "b", f"[Errno 28] {FULL}: 'b'")]),  # as shutil.copytree says it
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        OSError(errno.EROFS, os.strerror(errno.EROFS)),
        OSError("102400 requested and 30688 written"),  # as numpy.save says it
    ],
    ids=str,
)
def test_whatever_was_writing_the_sentence_names_a_path(error: Exception, tmp_path: Path) -> None:
    wanted = "must be written; got: the disk"
    with pytest.raises(HilumError, match=wanted) as told, files.alone(tmp_path / "out"):
        raise error
    named = getattr(error, "filename", None) or str(tmp_path / "out")
    assert str(told.value).startswith(f"{named} must")
    assert told.value.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_another_error_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes"), files.alone(tmp_path):
        raise RuntimeError("shapes differ")


TABLE = pd.DataFrame({"a": [1]})
WRITES: dict[str, Callable[[Path], object]] = {
    "left_out.csv": lambda out: outputs.write_left_out(out, [LeftOut("a", "b")]),
    "findings.csv": lambda out: outputs.write_findings(out, []),
    "history.csv": lambda out: outputs.write_history(out, pd.DataFrame({"cell": ["x"]})),
}


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_each_step_of_a_write_leaves_the_old_file(
    name: str, call: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    WRITES[name](tmp_path)
    before = (tmp_path / name).read_bytes()

    def refuse(*args: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), refuse)
        with pytest.raises(HilumError, match=str(tmp_path / name)):
            WRITES[name](tmp_path)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [(name, before)]


def test_a_model_is_published_whole_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, work = tmp_path / "out", tmp_path / "out" / "work"
    kept = checkpoints._folder(work, checkpoints.FoldKey("cell", 0, 0)) / "model"
    for folder, text in ((kept, "new"), (out / "model", "old")):
        folder.mkdir(parents=True)
        for name in ("a", "b"):
            (folder / name).write_text(text)
    copy, done = checkpoints.shutil.copy2, []

    def second_refused(source: str, target: str, **more: bool) -> object:
        done.append(source)
        if len(done) == 2:
            raise OSError(errno.ENOSPC, FULL, target)
        return copy(source, target, **more)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.shutil.copytree, "__defaults__",
                      (False, None, second_refused, False, False))  # fmt: skip
        with pytest.raises(OSError, match=FULL):
            checkpoints.publish_best_model(out, work, "cell")
    assert [(out / "model" / name).read_text() for name in ("a", "b")] == ["old", "old"]
    checkpoints.publish_best_model(out, work, "cell")
    assert [(out / "model" / name).read_text() for name in ("a", "b")] == ["new", "new"]
    assert sorted(path.name for path in out.iterdir()) == ["model", "work"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit of file sizes")
def test_openvino_and_numpy_refused_by_the_disk_are_errors_of_the_disk(tmp_path: Path) -> None:
    """A real refusal: no file of this process may grow beyond 4 kB."""
    code = """
import resource, signal, sys
from pathlib import Path
import numpy as np, openvino as ov
from openvino import opset13 as ops
from hilum import files
from hilum.models.runtime import compile_cache, openvino_write
from hilum.types import HilumError
from types import SimpleNamespace
x = ops.parameter([1, 4096], np.float32)
model = ov.Model([ops.add(x, np.random.default_rng(0).random((1, 4096), np.float32))], [x])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
folder = Path(sys.argv[1]) / "converted"
for free in (1 << 40, 16383):  # a disk with room for all of it, and without
    openvino_write.shutil.disk_usage = lambda place: SimpleNamespace(free=free)
    try:
        compile_cache.save_conversion(
            folder, lambda file: openvino_write.write_network(model, file)
        )
    except HilumError as error:
        print(error)
try:
    with files.atomic_write(folder) as place, place.open("wb") as file:
        np.save(file, np.zeros(10000))
except HilumError as error:
    print(error)
assert not list(folder.parent.iterdir())
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    place = f"{tmp_path / 'converted'} must be written; got: the disk"
    assert done.stdout.splitlines() == [
        f"{place} reports an input/output error; choose another.",
        f"{place} is full; free some space.",
        f"{place} is full; free some space.",
    ]


def test_a_second_run_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from hilum import files\n"
        "with files.alone(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen([sys.executable, "-c", code, tmp_path / "out"], text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    wanted = rf"still running \(process {other.pid} on .*, since 20"
    with pytest.raises(HilumError, match=wanted), files.alone(tmp_path / "out"):
        raise AssertionError("two writers")
    other.communicate("")
    with files.alone(tmp_path / "out"):
        assert str(os.getpid()) in (tmp_path / "out" / ".hilum-lock").read_text()
    assert not list((tmp_path / "out").iterdir())


HOSTILE = ("=1+1", "+1", "-1", "@SUM(A1)", "\tx", "='a'!b", '=HYPERLINK("http://x")')


def test_no_cell_of_a_table_runs_as_a_formula(tmp_path: Path) -> None:
    table = pd.DataFrame({"what": [*HOSTILE, "plain"], "count": np.arange(len(HOSTILE) + 1) - 3})
    cells.write_csv(table, tmp_path / "a.csv")
    read = pd.read_csv(tmp_path / "a.csv", keep_default_na=False)
    assert not read["what"].str.startswith(cells.STARTS).any()
    assert read["count"].tolist() == table["count"].tolist()
    pd.testing.assert_frame_equal(cells.plain_table(read), table, check_dtype=False)


def test_left_out_and_predictions_are_read_back_as_they_were(tmp_path: Path) -> None:
    outputs.write_left_out(tmp_path, [LeftOut(name, "why") for name in HOSTILE])
    text = (tmp_path / "left_out.csv").read_text()
    risky = [row for row in text.splitlines() if row.lstrip('"').startswith(cells.STARTS)]
    assert not risky
    read = run_folder._csv(tmp_path / "left_out.csv", ("what", "reason"))
    assert read is not None
    assert read["what"].tolist() == [*HOSTILE]
    outputs.relist_tasks(tmp_path, [], [])
    assert (tmp_path / "left_out.csv").read_text() == text
