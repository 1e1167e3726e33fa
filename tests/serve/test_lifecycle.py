"""The command: how it starts, what it refuses, and that SIGTERM finishes what was accepted."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2 as httpx
import pytest
from films_to_send import encoded, grey, multipart
from server_process import ENTRY, start
from serving import Tiny

import hilum
from hilum.serve.server import Address, Server
from hilum.types import HilumError
from process_tree import alive, children

FILM = encoded(".png", grey())


def refused(*words: str | Path, code: int = 2, before: str = "") -> str:
    """The sentence that `hilum serve` ends with."""
    done = subprocess.run(
        [sys.executable, "-c", before + ENTRY, "serve", *map(str, words)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_sigterm_to_all_its_processes_finishes_what_was_accepted(tiny: Tiny) -> None:
    server = start(tiny.folder)
    predict = f"{server.url}v1/predict?film=true"
    httpx.post(predict, files=multipart({"warm.png": FILM}), timeout=120)
    films = {f"{i}.png": encoded(".png", grey(i, 1500, 1500)) for i in range(4)}
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(httpx.post, predict, files=multipart(films), timeout=120)
        late = time.monotonic() + 60
        while "hilum_films_waiting 4.0" not in httpx.get(f"{server.url}metrics").text:
            assert time.monotonic() < late
        ended = pool.submit(server.stop, group=True)
        rows = asked.result().json()["predictions"]
        done = ended.result()
    assert [row["path"] for row in rows] == list(films)
    assert all(row["label"] for row in rows)
    assert (done.code, done.err) == (0, "")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}health")


def test_json_says_where_it_listens_and_ctrl_c_ends_it(tiny: Tiny) -> None:
    server = start(tiny.folder)
    record = json.loads(server.start)
    assert set(record) == {"url", "digest", "verdict", "notice"}
    assert record["notice"] == hilum.NOTICE
    assert "not reading the lungs" in record["verdict"]
    assert httpx.get(f"{server.url}v1/model", timeout=60).json()["digest"] == record["digest"]
    started = children(server.process.pid)
    done = server.stop(signal.SIGINT)
    assert (done.code, done.err) == (0, "")
    assert started
    wait_for_end(started)


def test_decoders_end_with_a_server_that_is_killed(tiny: Tiny) -> None:
    server = start(tiny.folder)
    httpx.post(f"{server.url}v1/predict", files=multipart({"a.png": FILM}), timeout=120)
    started = children(server.process.pid)
    assert started
    server.stop(signal.SIGKILL)
    wait_for_end(started)


def test_a_server_and_its_decoders_load_nothing_heavy() -> None:
    code = (
        "import sys, hilum.serve.server, hilum.serve.decoding; "
        "print({'torch', 'pandas', 'matplotlib', 'sklearn', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_port_in_use(tiny: Tiny) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        sentence = refused(tiny.folder, "--port", str(port))
    assert f"needs a free port; got 127.0.0.1:{port}" in sentence
    assert "choose another --port" in sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--host", "0.0.0.0"), "needs a token; got none; give --token-file FILE"),  # noqa: S104
        (("--port", "70000"), "needs a free port; got 127.0.0.1:70000"),
        (("--host", "no such host"), "needs a"),
    ],
)
def test_addresses_that_cannot_be(tiny: Tiny, words: tuple[str, ...], sentence: str) -> None:
    assert sentence in refused(tiny.folder, *words)


def test_a_token_file_that_is_not_there(tiny: Tiny) -> None:
    assert "which does not exist" in refused(tiny.folder, "--token-file", "nowhere", code=3)


def test_an_installation_without_the_extra(tiny: Tiny) -> None:
    hide = (
        "import importlib.util as u; whole = u.find_spec; gone = ('uvicorn', 'pebble'); "
        "u.find_spec = lambda name, *rest: None if name in gone else whole(name, *rest); "
    )
    sentence = refused(tiny.folder, before=hide)
    assert "not installed: pebble, uvicorn; run pip install 'hilum[serve]'" in sentence


def test_a_folder_that_is_half_there(tiny: Tiny, tmp_path: Path) -> None:
    assert "a model folder contains model.json" in refused(tmp_path, "--port", "0", code=3)
    for name, damage in (
        ("backbone.safetensors", None), ("head.safetensors", None), ("head.safetensors", b"x"),
        ("backbone.safetensors", b"x"), ("model.json", b"{"),
    ):  # fmt: skip
        folder = tmp_path / f"{name}{damage is None}"
        shutil.copytree(tiny.folder, folder)
        if damage is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(damage)
        with pytest.raises(HilumError, match="restore the folder"):
            Server.of(folder, Address(port=0), None)


def wait_for_end(processes: list[int]) -> None:
    late = time.monotonic() + 30
    while any(alive(pid) for pid in processes):
        assert time.monotonic() < late
        time.sleep(0.05)
