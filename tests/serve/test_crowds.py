"""Crowds of clients: slow ones, and ones that go, cost the others nothing and leave nothing."""

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import httpx2 as httpx
import numpy as np
import pytest
from films_to_send import encoded, grey
from server_process import Running, start
from serving import Tiny, wait_for

pytestmark = pytest.mark.hard

SLOW, GONE, HEALTHY = 200, 1000, 60
CROWDS = 3  # that the thousand come in
FILM = encoded(".png", grey())
HEAD = (
    "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
    f"Content-Length: {len(FILM)}\r\n\r\n"
).encode()
FDS = Path("/proc")


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def server(tiny: Tiny, temporary: Path) -> Iterator[Running]:
    made = start(tiny.folder, TMPDIR=str(temporary))
    for _ in range(10):  # every decoder has started
        assert _status(made) == 200
    yield made
    assert made.stop().code == 0


def _status(server: Running) -> int:
    headers = {"Content-Type": "image/png"}
    return httpx.post(
        f"{server.url}v1/predict", content=FILM, headers=headers, timeout=60
    ).status_code


def _answers_again(server: Running) -> float:
    """Seconds until a film is answered; before, while those of others wait, there is no room."""
    began = time.monotonic()

    def answered() -> bool:
        status = _status(server)
        assert status in (200, 503)
        return status == 200

    wait_for(answered)
    return time.monotonic() - began


def _seconds(server: Running) -> float:
    began = time.monotonic()
    assert _status(server) == 200
    return time.monotonic() - began


def _connected(server: Running) -> socket.socket:
    place = urlsplit(server.url)
    return socket.create_connection((place.hostname, place.port), timeout=30)


def test_slow_clients_do_not_slow_down_the_others(server: Running) -> None:
    """E-13: p99 of healthy clients below twice that without slow ones."""
    alone = [_seconds(server) for _ in range(HEALTHY)]
    with ExitStack() as stack:
        crowd = [stack.enter_context(_connected(server)) for _ in range(SLOW)]
        for one in crowd:
            one.sendall(HEAD)
        over = threading.Event()

        def trickle() -> None:
            for place in range(len(FILM) - 1):  # never whole, however long it takes
                for one in crowd:
                    one.sendall(FILM[place : place + 1])
                if over.wait(0.5):
                    return

        slow = threading.Thread(target=trickle)
        slow.start()
        beside = [_seconds(server) for _ in range(HEALTHY)]
        over.set()
        slow.join()
    ratio = np.percentile(beside, 99) / np.percentile(alone, 99)
    assert ratio < 2


@pytest.mark.skipif(not FDS.is_dir(), reason="/proc tells what a process holds")
def test_clients_that_go_leave_nothing(
    server: Running, temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """E-15: no handle, no process, no file and no film in flight stays; memory within 5%.

    What a crowd leaves for the next one depends on how many films were held at once: memory is the
    median of three crowds. The very first one fills it.
    """
    idle, memory, waited = _held(server), list[int](), list[float]()
    for _ in range(1 + 2 * CROWDS):
        for number in range(GONE // CROWDS):
            _go(server, number)
        waited.append(_answers_again(server))
        # connections are closed a little later
        wait_for(lambda: _held(server)[0] <= idle[0] and _held(server)[1] == idle[1])
        memory.append(_held(server)[2])
    grown = 100 * (median(memory[-CROWDS:]) / median(memory[1 : 1 + CROWDS]) - 1)
    assert grown < 5
    assert not [path for path in temporary.rglob("*") if path.is_file()]
    with capsys.disabled():
        sys.stderr.write(
            f"\nserve, {GONE} clients that went, twice: no handle, process or file stays; memory "
            f"{grown:+.1f}%; an answer again after {max(waited):.2f} s\n"
        )


def _go(server: Running, number: int) -> None:
    """Leave in the headers, in the body, or before the answer comes."""
    whole = HEAD + FILM
    sent = (20, len(HEAD), len(whole) // 2, len(whole) - 1, len(whole))[number % 5]
    with _connected(server) as one:
        one.sendall(whole[:sent])


def _held(server: Running) -> tuple[int, int, int]:
    """Open handles and processes of the server, and megabytes of its own memory."""
    family = [pid for pid in _pids() if _group(pid) == server.process.pid]
    handles = len(os.listdir(FDS / str(server.process.pid) / "fd"))  # noqa: PTH208 - no Path each
    pages = int((FDS / str(server.process.pid) / "statm").read_text().split()[1])
    return handles, len(family), pages * os.sysconf("SC_PAGE_SIZE") // 10**6


def _pids() -> list[int]:
    return [int(path.name) for path in FDS.iterdir() if path.name.isdecimal()]


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0
