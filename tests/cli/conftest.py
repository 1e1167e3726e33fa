"""Fixtures of the command line's tests: a way to run it, small films, one trained model."""

import io
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import BAD, Done, Run, Trained, class_folders, installed

from hilum.cli import main
from hilum.data import phantom
from hilum.data.phantom import Phantom


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
def trained(films: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """`hilum train FOLDER --json` by the installed program, with nothing but the folder given."""
    home = tmp_path_factory.mktemp("trained")
    data = class_folders(films, home / "films")
    good = next((data / "normal").iterdir()).read_bytes()
    for name, content in zip(BAD, (b"no image at all", b"", good[: len(good) // 2]), strict=True):
        (data / "normal" / f"patient900_{name}").write_bytes(content)
    (data / "covid19" / "notes.txt").write_text("not an image, and not meant to be one")
    cache = (
        tmp_path_factory.getbasetemp() / "hilum-cache"
    )  # as `private_cache` in tests/conftest.py
    done = installed("train", data, "--out", home / "run", "--json", HILUM_CACHE=str(cache))
    assert done.code == 0, done.err
    return Trained(home / "run", data, done)


@pytest.fixture
def model(trained: Trained, tmp_path: Path) -> Path:
    """A copy of the trained model's folder."""
    return Path(shutil.copytree(trained.folder / "model", tmp_path / "a-model"))
