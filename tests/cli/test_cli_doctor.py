"""hilum doctor: each thing that it says, against the machine; it never fails."""

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import torch
from command_line import Run

from hilum import files
from hilum.cli import extras
from hilum.models import weights_check


class NotFound(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(407 if self.path == "/proxy" else 404)
        self.end_headers()

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    """A server that answers 404: it is there."""
    with HTTPServer(("127.0.0.1", 0), NotFound) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def test_servers_that_answer_that_are_closed_and_that_are_silent(server: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: nobody else takes the port
        mute, shut = (f"http://127.0.0.1:{s.getsockname()[1]}" for s in (silent, closed))
        start = time.monotonic()
        reasons = files.unreachable([server, mute, shut, f"{server}/proxy"], 0.3)
        assert time.monotonic() - start < 10
    assert reasons[server] == ""
    assert reasons[mute] in ("no answer within 0.3 s", "timed out")
    assert reasons[shut] == "Connection refused"
    assert reasons[f"{server}/proxy"].endswith("(HTTP 407)")


def test_proxies_are_named_without_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://me:se%40cret@proxy.example:3128")
    monkeypatch.setenv("http_proxy", "me:secret@proxy.example:80")
    monkeypatch.setenv("no_proxy", "localhost,.example.org")
    found = files.proxies()
    assert found["https"] == "http://proxy.example:3128"
    assert found["http"] == "proxy.example:80"
    assert found["no"] == "localhost,.example.org"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache of its own, no network, one extra that lacks a package."""
    monkeypatch.setenv("HILUM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    asked = lambda urls: dict.fromkeys(urls, "Name or service not known")  # noqa: E731
    monkeypatch.setattr(files, "unreachable", asked)
    lines = ["numpy>=2", 'h5py>=3.12; extra == "keras"', 'no-such-package; extra == "serve"',
             "ruff; extra == 'dev'"]  # fmt: skip
    monkeypatch.setattr(extras, "requires", lambda name: lines)
    return tmp_path / "cache"


def test_doctor_says_what_is_there_and_what_is_missing(hilum: Run, machine: Path) -> None:
    (machine / "pixels" / "a").mkdir(parents=True)
    for name, size in (("a/x", 1000), ("a/y", 234), ("z", 66)):
        (machine / "pixels" / name).write_bytes(b"0" * size)
    (machine / "weights").mkdir()
    (machine / "weights" / "resnet18.safetensors").write_bytes(b"no weights")
    done = hilum("doctor", "--json")
    assert (done.code, done.err) == (0, "")
    said = done.json
    assert said["cache_folder"] == str(machine)
    kinds = {one["kind"]: (one["files"], one["bytes"]) for one in said["cache_kinds"]}
    assert kinds["pixels"] == (3, 1300)
    # those of this process, in which other tests have run
    assert (said["cores"], said["threads"]) == (files.available_cpus(), torch.get_num_threads())
    assert 0 < said["memory_free_bytes"] < said["memory_bytes"]
    missing = {one["name"]: one["missing"] for one in said["extras"]}
    assert missing == {"keras": [], "serve": ["no-such-package"]}
    reached = {one["host"]: (one["reachable"], one["reason"]) for one in said["network"]}
    assert reached["huggingface.co"] == (False, "not tried: HF_HUB_OFFLINE is set")
    assert reached["github.com"] == (False, "Name or service not known")
    bad, good = sorted(said["weights"], key=lambda one: one["backbone"])
    assert (bad["backbone"], bad["intact"]) == ("resnet18", False)
    assert bad["state"].startswith("does not fit")
    assert (good["backbone"], good["intact"]) == ("tf_efficientnet_lite0", True)
    assert good["sha256"] == hashlib.sha256(Path(good["path"]).read_bytes()).hexdigest()
    assert good["sha256"].startswith("57934424")  # the publisher writes its start into the name


def test_doctor_in_words(hilum: Run, machine: Path) -> None:
    done = hilum("doctor")
    assert done.code == 0
    assert f"Cache folder: {machine}" in done.out
    assert "no: pip install 'hilum[serve]' (no-such-package)" in done.out
    assert "no: Name or service not known" in done.out
    assert "sha256 as published" in done.out
    assert "Your own images need no network" in done.out


def test_a_copy_that_is_not_what_was_published_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub's client keeps a file under its hash: one byte of it is changed."""
    content = b"weights of a network"
    right = hashlib.sha256(content).hexdigest()
    blob, link = tmp_path / right, tmp_path / "model.safetensors"
    link.symlink_to(blob)
    found = lambda card: [(link, "hub")] if card.name == "resnet50" else []  # noqa: E731
    monkeypatch.setattr(weights_check.weights, "at_hand", found)
    for written, intact in ((content, True), (content[:-1] + b"X", False)):
        blob.write_bytes(written)
        (one,) = weights_check.weights_at_hand()
        assert (one.intact, one.sha256 == right) == (intact, intact)
    assert one.state.startswith(f"damaged: sha256 must be {right}")
    blob.unlink()
    assert weights_check.weights_at_hand()[0].state.startswith("cannot be read")
