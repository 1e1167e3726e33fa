"""Codecs in processes of their own: one that ends, hangs or takes too much costs its frame."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jpeg_ls
import numpy as np
import pytest
from pydicom import uid

from hilum.images import codec_process
from hilum.images.codec_process import Frame
from hilum.images.dicom_header import Layout
from hilum.types import HilumError

linux = pytest.mark.skipif(sys.platform != "linux", reason="bounds are set on Linux alone")
# The real worker, whose codec is one of ours.
SCRIPT = """
import os, signal, sys, time
sys.path.insert(0, {folder!r})
import codec_worker
def codec(layout, frame):
    {body}
codec_worker.CODECS["JPEG-LS"] = codec
codec_worker.main()
"""


@pytest.fixture(autouse=True)
def processes() -> Iterator[None]:
    """None from before, none left behind."""
    codec_process.close()
    yield
    codec_process.close()


@pytest.fixture
def codec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Codec":
    return Codec(tmp_path / "worker.py", monkeypatch)


class Codec:
    """Replaces what decodes JPEG-LS by a body of Python."""

    def __init__(self, path: Path, patch: pytest.MonkeyPatch) -> None:
        self.path, self.patch = path, patch

    def does(self, body: str) -> None:
        folder = str(codec_process.SCRIPT.parent)
        self.path.write_text(SCRIPT.format(folder=folder, body=body))
        self.patch.setattr(codec_process, "SCRIPT", self.path)


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4096, (40, 30), dtype=np.uint16)


def frame(values: np.ndarray) -> Frame:
    rows, columns = values.shape
    layout = Layout(rows, columns, 1, 16, 12, 11, False, False, "MONOCHROME2", uid.JPEGLSLossless)
    return Frame("JPEG-LS", layout, bytes(jpeg_ls.encode_array(values)))


def decoded(values: np.ndarray) -> np.ndarray:
    return np.frombuffer(codec_process.decode(frame(values))[1], "<u2").reshape(values.shape)


def test_threads_share_processes_and_each_has_its_own_frame() -> None:
    with ThreadPoolExecutor(3) as pool:
        for seed, back in enumerate(pool.map(decoded, map(pixels, range(24)))):
            np.testing.assert_array_equal(back, pixels(seed))
    started = [one._process for one in codec_process._PROCESSES._all]
    assert 1 <= len(started) <= 3
    assert all(process.poll() is None for process in started)
    codec_process.close()
    assert all(process.poll() is not None for process in started)
    np.testing.assert_array_equal(decoded(pixels(1)), pixels(1))  # and starts again


def test_an_idle_process_that_was_ended_from_outside_costs_no_frame() -> None:
    decoded(pixels(0))
    (idle,) = codec_process._PROCESSES._idle
    idle._process.kill()
    idle._process.wait()
    np.testing.assert_array_equal(decoded(pixels(1)), pixels(1))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "data that end the decoder (signal SIGSEGV)"),
        ("os._exit(7)", "data that end the decoder (exit code 7)"),
        ("raise RuntimeError('John Doe')", "data that cannot be decoded (RuntimeError)"),
        ("sys.stdout.write('noise'); sys.stdout.flush(); return {'words': 1}, b'p'", None),
    ],
)
def test_what_a_codec_does_is_one_sentence(codec: Codec, body: str, said: str | None) -> None:
    codec.does(body)
    if said is None:  # what it prints is not taken for its answer
        assert codec_process.decode(frame(pixels(0))) == ({"words": 1, "bytes": 1}, b"p")
        return
    with pytest.raises(HilumError) as caught:
        decoded(pixels(0))
    assert said in str(caught.value)
    assert "John" not in str(caught.value)


def test_one_that_sleeps_is_killed(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec_process, "SECONDS", 0.03)
    codec.does("time.sleep(100)")
    with pytest.raises(HilumError, match="decoded within 0 s of computing, got data that take"):
        decoded(pixels(0))
    assert codec_process._PROCESSES._all == set()


@linux
def test_one_that_computes_too_long_is_ended_by_the_system(
    codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec_process, "SECONDS", 0.1)
    monkeypatch.setattr(codec_process, "WAITING", 1000)
    codec.does("while True: pass")
    with pytest.raises(HilumError, match="got data that take longer"):
        decoded(pixels(0))


@linux
def test_one_that_takes_too_much_memory_is_refused(codec: Codec) -> None:
    codec.does("return {}, bytearray(3 << 30)")
    with pytest.raises(MemoryError):
        decoded(pixels(0))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_has_its_own() -> None:
    """As under a DataLoader of torch: two processes on one pipe would read each other's pixels."""
    code = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_codec_process import codec_process, decoded, np, pixels
decoded(pixels(0))
child = os.fork()
for seed in range(30):
    np.testing.assert_array_equal(decoded(pixels(seed + (child == 0))), pixels(seed + (child == 0)))
if child == 0:
    codec_process.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_time_grows_with_the_frame() -> None:
    small, large = frame(pixels(0)), frame(np.zeros((2000, 2000), np.uint16))
    assert 2 <= small.seconds < 2.01
    assert large.seconds == 14
