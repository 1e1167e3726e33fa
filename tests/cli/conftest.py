"""Fixtures of the command line's tests: a way to run it, small films, one trained model."""

import io
import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from command_line import BAD, Done, Run, Trained, class_folders, installed

import brevity
from hilum import files, phantom
from hilum.cli import main
from hilum.phantom import Phantom

PATIENCE = 600  # seconds


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables as wide as in a pipe, whatever terminal the tests run in."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def hilum(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the entry point in this process, with streams as a pipe has them."""

    def run(*words: str | Path) -> Done:
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["hilum", *map(str, words)])
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            with pytest.raises(SystemExit) as ended:
                main()
        texts = [stream.buffer.getvalue().decode() for stream in _flushed(out, err)]
        return Done(int(ended.value.code or 0), *texts)

    return run


def _flushed(*streams: io.TextIOWrapper) -> Iterator[Any]:
    for stream in streams:
        stream.flush()
        yield stream


@pytest.fixture(scope="session")
def films() -> Phantom:
    """40 small films of two classes, of some 27 patients."""
    return phantom.generate(phantom.Request(images=40, size=96, seed=5))


@pytest.fixture(scope="session")
def trained(films: Phantom, common: Path) -> Trained:
    """`hilum train FOLDER --json` by the installed program, with nothing but the folder given.

    The first worker that asks trains, the others wait for it. Do not change its folders.
    """
    home = common / "trained"
    try:
        home.mkdir()
    except FileExistsError:
        return _awaited(home)
    data = class_folders(films, home / "films")
    good = next((data / "normal").iterdir()).read_bytes()
    for name, content in zip(BAD, (b"no image at all", b"", good[: len(good) // 2]), strict=True):
        (data / "normal" / f"patient900_{name}").write_bytes(content)
    (data / "covid19" / "notes.txt").write_text("not an image, and not meant to be one")
    done = installed("train", data, "--out", home / "run", "--json")
    with files.atomic_write(home / "done.json") as ended:
        ended.write_text(json.dumps(asdict(done)))
    assert done.code == 0, done.err
    return Trained(home / "run", data, done)


def _awaited(home: Path) -> Trained:
    """What another worker trains."""
    late = time.monotonic() + PATIENCE
    while not (home / "done.json").is_file():
        assert time.monotonic() < late, f"no other worker has trained within {PATIENCE} s"
        time.sleep(0.2)
    done = Done(**json.loads((home / "done.json").read_text()))
    assert done.code == 0, done.err
    return Trained(home / "run", home / "films", done)


@pytest.fixture
def brief() -> Iterator[None]:
    """Runs in this process with the audits that read tables; `trained` has all, and figures."""
    with brevity.small_samples(), brevity.audits_of_tables(), brevity.no_figures():
        yield


@pytest.fixture
def model(trained: Trained, tmp_path: Path) -> Path:
    """A copy of the trained model's folder."""
    return Path(shutil.copytree(trained.folder / "model", tmp_path / "a-model"))
