"""Each bound of the server, and that beyond it one sentence comes and nothing else is disturbed."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from unittest.mock import Mock

import httpx2 as httpx
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from films_to_send import encoded, grey, multipart
from serving import InThisProcess, Tiny, problem, running, wait_for
from starlette.testclient import TestClient
from uvicorn.server import ServerState

from hilum.serve import guard
from hilum.serve.limits import MEBI, ServerLimits
from hilum.serve.protocol import BoundedProtocol
from hilum.serve.server import Address, Server

FILM = encoded(".png", grey())
SMALL = encoded(".png", grey(0, 40, 40))
RAW = {"Content-Type": "image/png"}
PREDICT = "/v1/predict"
FORM_PART = b'--x\r\nContent-Disposition: form-data; name="f"; filename="one.png"\r\n\r\n'
Make = Callable[..., TestClient]


def test_a_body_beyond_the_bound(in_process: Make) -> None:
    client = in_process(ServerLimits(body=len(FILM) + 10))
    assert client.post(PREDICT, content=FILM, headers=RAW).status_code == 200
    problem(client.post(PREDICT, content=FILM * 2, headers=RAW), 413, "in a request; got more")

    def pieces() -> Iterator[bytes]:  # no Content-Length
        yield from (FILM, FILM)

    problem(client.post(PREDICT, content=pieces(), headers=RAW), 413, "in a request; got more")
    whole = client.post(PREDICT, content=iter([FILM[:99], FILM[99:]]), headers=RAW)
    assert whole.json()["predictions"][0]["label"]
    assert ServerLimits().body == 32 * MEBI


def test_more_films_than_the_bound(in_process: Make) -> None:
    client = in_process(ServerLimits(parts=3, queue=5))
    for count, status in ((3, 200), (4, 413), (1000, 413)):
        films = {f"{i}.png": SMALL for i in range(count)}
        response = client.post(PREDICT, files=multipart(films))
        assert response.status_code == status, response.text
    problem(response, 413, "at most 3 films in a request")


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"", "image/png", "at least one film; got none"),
        (b"no form", "multipart/form-data; boundary=x", "got a damaged one"),
        (b"no form", "multipart/form-data", "got a damaged one"),
        (b"--x--\r\n", "multipart/form-data; boundary=x", "at least one film; got none"),
        (
            b'--x\r\nContent-Disposition: form-data; name="heatmap"\r\n\r\ntrue\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            "into the query",
        ),
        (
            b'--x\r\nContent-Disposition: form-data; name="f"; filename=""\r\n\r\n\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            "at least one film; got none",
        ),
    ],
)
def test_a_body_without_films(in_process: Make, body: bytes, kind: str, words: str) -> None:
    problem(in_process().post(PREDICT, content=body, headers={"Content-Type": kind}), 400, words)


def test_another_content_type(in_process: Make) -> None:
    client = in_process()
    zipped = client.post(PREDICT, content=FILM, headers=RAW | {"Content-Encoding": "gzip"})
    problem(zipped, 415, "got one with a Content-Encoding")
    for headers in ({"Content-Type": "text/html"}, {"Content-Type": "application/json"}, {}):
        problem(
            client.post(PREDICT, content=FILM, headers=headers), 415, "got another Content-Type"
        )


def test_paths_methods_and_options_that_are_not_there(in_process: Make) -> None:
    client = in_process()
    for path in (
        "/v1/nothing",
        "/page/nothing.js",
        "/page/../../pyproject.toml",
        "/docs",
        "/page/%00.js",
    ):
        problem(client.get(path), 404, "got another path or method")
    problem(client.get(PREDICT), 405, "got another path or method")
    wrong = client.post(f"{PREDICT}?heatmap=perhaps&film=2", content=FILM, headers=RAW)
    problem(wrong, 400, "film, heatmap must be true or false")
    assert "perhaps" not in wrong.text
    misspelt = client.post(f"{PREDICT}?heatmaps=true", content=FILM, headers=RAW)
    problem(misspelt, 400, "only heatmap and film as options")
    assert "heatmaps" not in misspelt.text
    assert client.get("/v1/predict/").status_code == 404  # no redirect, which names http://


def test_head_is_answered_as_get_without_a_body(live: str) -> None:
    for path in ("/", "/health", "/ready", "/metrics", "/v1/model", "/page/page.js"):
        head, get = httpx.head(live + path), httpx.get(live + path)
        assert (head.status_code, head.content) == (200, b""), path
        assert head.headers["content-type"] == get.headers["content-type"]
    assert httpx.head(live + PREDICT).headers["allow"] == "POST"


@pytest.mark.parametrize("charset", ["undefined", "idna", "hex", "no such"])
def test_a_form_with_a_strange_charset(in_process: Make, charset: str) -> None:
    kind = f"multipart/form-data; boundary=x; charset={charset}"
    body = FORM_PART.replace(b"one.png", b"\xff.png") + FILM + b"\r\n--x--\r\n"
    answer = in_process().post(PREDICT, content=body, headers={"Content-Type": kind})
    assert answer.status_code in (200, 400), answer.text


@pytest.mark.parametrize("end", [b"", b"\r\n--x", b"\r\n--x\r\n"])
def test_a_form_that_ends_too_soon_loses_no_film_silently(in_process: Make, end: bytes) -> None:
    whole, cut = FORM_PART + FILM + b"\r\n", FORM_PART + FILM[:100] + end
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    problem(in_process().post(PREDICT, content=whole + cut, headers=kind), 400, "a damaged one")


def test_a_full_queue_says_when_to_come_back(in_process: Make) -> None:
    gate = threading.Event()
    client = in_process(ServerLimits(queue=3), gate=gate)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, PREDICT, files=multipart({"a": FILM, "b": FILM}))
        wait_for(lambda: "hilum_films_waiting 2.0" in client.get("/metrics").text)
        assert client.get("/ready").status_code == 200
        refused = client.post(PREDICT, files=multipart({"a": FILM, "b": FILM}))
        problem(refused, 503, "got a full queue")
        assert int(refused.headers["retry-after"]) >= 1
        second = pool.submit(client.post, PREDICT, content=FILM, headers=RAW)
        gate.set()
        assert [len(r.result().json()["predictions"]) for r in (first, second)] == [2, 1]
    assert "hilum_films_waiting 0.0" in client.get("/metrics").text


def test_ready_is_no_longer_said_when_nothing_more_is_taken(in_process: Make) -> None:
    gate = threading.Event()
    client = in_process(ServerLimits(queue=1), gate=gate)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, PREDICT, content=FILM, headers=RAW)
        wait_for(lambda: client.get("/ready").status_code == 503)
        problem(client.get("/ready"), 503, "got a full queue")
        assert client.get("/health").json()["status"] == "ok"
        problem(client.post(PREDICT, content=FILM, headers=RAW), 503, "got a full queue")
        gate.set()
        assert first.result().status_code == 200
    assert client.get("/ready").json()["status"] == "ready"


def test_bytes_of_all_requests_together_are_bounded(in_process: Make) -> None:
    gate = threading.Event()
    client = in_process(ServerLimits(held=len(FILM) + 10), gate=gate)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, PREDICT, content=FILM, headers=RAW)
        wait_for(lambda: "hilum_films_waiting 1.0" in client.get("/metrics").text)
        problem(client.post(PREDICT, content=FILM, headers=RAW), 503, "got a full queue")
        gate.set()
        assert first.result().status_code == 200
    assert client.post(PREDICT, content=FILM, headers=RAW).status_code == 200


def test_pixels_beyond_the_bound(in_process: Make) -> None:
    """A PNG whose header alone says 100,000 x 100,000 pixels."""
    bomb = bytearray(encoded(".png", np.zeros((8, 8), np.uint8)))
    bomb[16:24] = (100_000).to_bytes(4, "big") * 2
    response = in_process().post(PREDICT, content=bytes(bomb), headers=RAW)
    assert "pixels" in problem(response, 422, "expected").json()["detail"]


# ---- slow clients, on a real port


@pytest.fixture(scope="module")
def impatient(tiny: Tiny) -> Iterator[tuple[str, int]]:
    """A server that waits half a second, without processes of its own."""
    limits = ServerLimits(idle_seconds=0.5, upload_seconds=1.5, connections=5)
    server = Server.of(tiny.folder, Address(port=0), None, limits)
    server.service.decoders = InThisProcess(tiny.model.pipeline.as_list(), limits)
    with running(server) as url:
        yield url, server.address.port


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.settimeout(30)
    return connection


def everything(connection: socket.socket) -> bytes:
    """All bytes until the server closes; it resets where it has not read all that was sent."""
    parts = []
    with suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


HEAD = "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


def test_headers_that_never_end(impatient: tuple[str, int]) -> None:
    for start in (b"", b"GET /health HTTP/1.1\r\nHost: local"):
        with connect(impatient[1]) as connection:
            connection.sendall(start)
            began = time.monotonic()
            assert everything(connection) == b""
            assert time.monotonic() - began < 10
    assert httpx.get(f"{impatient[0]}/health").status_code == 200


def test_headers_that_trickle(impatient: tuple[str, int]) -> None:
    """One byte every tenth of a second holds no connection longer."""
    with connect(impatient[1]) as connection:
        began, open_still = time.monotonic(), True
        while open_still and time.monotonic() - began < 20:
            time.sleep(0.1)
            try:
                connection.sendall(b"X")
            except OSError:
                open_still = False
        assert not open_still


def test_a_body_that_stalls(impatient: tuple[str, int]) -> None:
    with connect(impatient[1]) as connection:
        connection.sendall(f"{HEAD}Content-Length: 1000\r\n\r\nabc".encode())
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in answer
    assert b"got a slower one" in answer


def test_a_body_that_trickles(impatient: tuple[str, int]) -> None:
    """Never a pause, never an end: the whole request has a bound as well."""
    with connect(impatient[1]) as connection, ThreadPoolExecutor(1) as pool:
        connection.sendall(f"{HEAD}Content-Length: 1000\r\n\r\n".encode())
        answer = pool.submit(everything, connection)
        began = time.monotonic()
        while not answer.done() and time.monotonic() - began < 20:
            try:
                connection.sendall(b"x")
            except OSError:
                break
            time.sleep(0.1)
        assert answer.result().startswith(b"HTTP/1.1 408 ")


def test_a_client_that_goes_in_the_middle(impatient: tuple[str, int]) -> None:
    with connect(impatient[1]) as connection:
        connection.sendall(f"{HEAD}Content-Length: 1000\r\n\r\nabc".encode())
    assert httpx.get(f"{impatient[0]}/health").status_code == 200


def test_what_is_no_http(impatient: tuple[str, int]) -> None:
    with connect(impatient[1]) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        head, _, body = everything(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in head
    assert json.loads(body)["detail"].startswith("expected a request in HTTP/1.1")


def test_headers_beyond_the_bound(impatient: tuple[str, int]) -> None:
    with connect(impatient[1]) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Jane: " + b"x" * 20_000)
        head, _, body = everything(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert "at most 16 KiB before" in json.loads(body)["detail"]
    assert b"Jane" not in body


def test_slow_clients_keep_no_other_waiting(live: str) -> None:
    slow = [connect(httpx.URL(live).port or 0) for _ in range(8)]
    for each in slow:
        each.sendall(f"{HEAD}Content-Length: 1000\r\n\r\nabc".encode())
    began = time.monotonic()
    assert httpx.post(live + PREDICT, content=FILM, headers=RAW, timeout=60).status_code == 200
    assert time.monotonic() - began < ServerLimits().idle_seconds
    for each in slow:
        each.close()


def test_more_connections_than_the_bound(impatient: tuple[str, int]) -> None:
    crowd = [connect(impatient[1]) for _ in range(5)]
    time.sleep(0.1)
    with connect(impatient[1]) as connection:
        head, _, body = everything(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert json.loads(body)["status"] == 503
    for each in crowd:
        each.close()
    wait_for(lambda: httpx.get(f"{impatient[0]}/health").status_code == 200)


def test_a_refused_client_gets_to_read_why(
    impatient: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of its body is read first: a closed connection would hide the answer."""
    body = b"x" * (3 * MEBI)
    head = HEAD.replace("image/png", "text/plain")
    with connect(impatient[1]) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert connection.recv(100).startswith(b"HTTP/1.1 415 ")
    assert guard.DRAIN_SECONDS <= 5


@pytest.mark.parametrize("catches_up", [False, True])
def test_an_answer_that_is_not_taken_is_given_up(catches_up: bool) -> None:
    class Quick(BoundedProtocol):
        limits = ServerLimits(upload_seconds=0.05)

    async def connection() -> bool:
        transport = Mock()
        transport.get_extra_info.return_value = None
        config = uvicorn.Config(FastAPI(), log_config=None)
        protocol = Quick(config=config, server_state=ServerState(), app_state={})
        protocol.connection_made(transport)
        protocol.pause_writing()
        if catches_up:
            protocol.resume_writing()
        await asyncio.sleep(0.3)
        protocol.connection_lost(None)
        return bool(transport.abort.called)

    assert asyncio.run(connection()) is not catches_up
