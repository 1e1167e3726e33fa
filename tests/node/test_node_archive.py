"""Results on their way: an archive that is away, silent, busy, warns, refuses; a node that dies."""

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from dicom_peers import (
    LOOPBACK,
    PlainAnswers,
    archive,
    film,
    node,
    result_uid,
    send,
    settled,
    wait_for,
)
from pydicom import uid

from hilum.node.deliver import FIRST_PAUSE, LONGEST_PAUSE, pause_after
from hilum.node.outcome import by_status
from hilum.node.spool import TRIES, Spool
from hilum.node.status import read_status
from hilum.node.stow import StowSender, outcome_of


def answering(*statuses: int) -> Callable[[], int]:
    """These statuses one after the other, the last of them again and again."""
    left = list(statuses)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def test_results_wait_for_an_archive_that_is_away(tmp_path: Path) -> None:
    with archive() as first:
        port = first.port
    with node(tmp_path, port) as started:
        assert send(started.port, [film(1), film(2)]) == [0, 0]
        wait_for(lambda: read_status(tmp_path).archive != "")
        status = read_status(tmp_path)
        assert "the archive cannot be reached" in status.archive
        assert status.oldest_result_seconds is not None
        with archive(port) as back:
            assert settled(tmp_path).films["sent"] == 2
            wait_for(lambda: read_status(tmp_path).archive == "")
    assert back.stored == {result_uid(film(i).SOPInstanceUID): 1 for i in (1, 2)}


@pytest.mark.hard
def test_results_wait_for_an_archive_that_is_away_for_minutes(tmp_path: Path) -> None:
    """With the pauses of a node in use: some associations are refused by nobody being there."""
    films = [film(i) for i in range(20)]
    with archive() as first:
        port = first.port
    with node(tmp_path, port) as started:
        started.delivery.first_pause = FIRST_PAUSE
        assert send(started.port, films) == [0] * len(films)
        time.sleep(100)
        status = read_status(tmp_path)
        assert status.films["done"] == status.results_waiting == len(films)
        with archive(port) as back:
            assert settled(tmp_path).films["sent"] == len(films)
    assert back.stored == {result_uid(one.SOPInstanceUID): 1 for one in films}


def test_an_archive_that_is_busy_or_warns(tmp_path: Path) -> None:
    with archive() as peer:
        peer.status = answering(0xA700, 0xC000, 0xB000)
        with node(tmp_path, peer) as started:
            assert send(started.port, [film(1)]) == [0]
            status = settled(tmp_path)
    assert status.films["sent"] == 1
    assert status.counts == {"results stored with a warning": 1}
    assert status.notes == {"the archive stored it with the warning 0xB000": 1}
    assert list(peer.stored.values()) == [1]


def test_an_archive_that_refuses_has_a_named_failure_and_a_second_chance(tmp_path: Path) -> None:
    with archive() as peer:
        peer.status = answering(0xA900)
        with node(tmp_path, peer) as started:
            assert send(started.port, [film(1)]) == [0]
            (failed,) = settled(tmp_path).failed
            assert failed.reason == "the archive answered 0xA900, 5 times"
            peer.status = answering(0)
            assert send(started.port, [film(1)]) == [0]
            assert settled(tmp_path).films == {
                "received": 0, "working": 0, "done": 0, "sent": 1, "failed": 0, "left": 0,
            }  # fmt: skip


def test_an_archive_that_takes_no_such_object(tmp_path: Path) -> None:
    class Answers(PlainAnswers):
        def objects(self, header: Any) -> Any:
            (made,) = PlainAnswers.objects(self, header)
            made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = uid.CTImageStorage
            return [made]

    with archive() as peer, node(tmp_path, peer, Answers()) as started:
        assert send(started.port, [film(1)]) == [0]
        (failed,) = settled(tmp_path).failed
    assert failed.reason == "the archive takes no object of this kind, 5 times"


def test_an_archive_that_takes_the_association_and_never_answers(tmp_path: Path) -> None:
    silent = threading.Event()
    with archive() as peer:
        peer.status = lambda: int(silent.wait(20)) * 0
        with node(tmp_path, peer) as started:
            assert send(started.port, [film(1)]) == [0]
            wait_for(lambda: bool(read_status(tmp_path).notes))
            assert read_status(tmp_path).notes == {"the archive gave no answer within 2 s": 1}
            silent.set()
            assert settled(tmp_path).films["sent"] == 1
    assert len(peer.stored) == 1


def test_status_codes_and_pauses() -> None:
    kinds = {0: "sent", 0x0111: "sent", 0xB007: "sent", 0xA700: "later", 0xA7FF: "later",
             0xA900: "refused", 0xC123: "refused", 0x0122: "refused"}  # fmt: skip
    assert {status: by_status(status).kind for status in kinds} == kinds
    pauses = [pause_after(tries) for tries in range(10)]
    assert pauses[:3] == [2, 4, 8]
    assert pauses[-1] == pause_after(10**6) == LONGEST_PAUSE


class Web(BaseHTTPRequestHandler):
    """A STOW-RS archive that answers what the test says, and keeps what it gets."""

    answers: list[tuple[int, dict[str, Any]]]
    bodies: list[bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        code, answer = self.answers.pop(0)
        assert self.headers["Content-Type"].startswith('multipart/related; type="application/dicom')
        self.bodies.append(body)
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


STORED = {"00081199": {"vr": "SQ", "Value": [{}]}}
BUSY = {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xA700]}}]}}


@contextmanager
def web(*answers: tuple[int, dict[str, Any]]) -> Iterator[tuple[str, type[Web]]]:
    handler = type("Handler", (Web,), {"answers": list(answers), "bodies": []})
    server = ThreadingHTTPServer((LOOPBACK, 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://{LOOPBACK}:{server.server_port}/studies", handler
    server.shutdown()
    server.server_close()


def test_stow_tries_again_until_it_is_stored(tmp_path: Path) -> None:
    answers = ((503, {}), (409, BUSY), (202, BUSY), (200, STORED))
    with web(*answers) as (url, got), node(tmp_path, StowSender(url)) as started:
        assert send(started.port, [film(1)]) == [0]
        assert settled(tmp_path).films["sent"] == 1
    assert not got.answers
    assert len(set(map(len, got.bodies))) == 1
    assert b"\0" * 128 + b"DICM" in got.bodies[0]
    assert outcome_of(b"<html>").kind == "refused"
    assert outcome_of(b"{}").kind == "refused"


def test_a_film_that_ends_the_process_again_and_again_fails_at_last(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "digest")
    spool.receive("1.2.3", b"film", "MODALITY")
    for _ in range(TRIES):
        assert spool.take() is not None
        spool.close()
        spool = Spool(tmp_path, "digest")
    assert spool.take() is None
    spool.close()
    (failed,) = read_status(tmp_path).failed
    assert failed.reason == "the node ended 5 times while it read this film"


@pytest.mark.slow
def test_another_model_answers_a_film_anew(tmp_path: Path) -> None:
    with archive() as peer:
        for digest in ("one", "one", "two"):
            with node(tmp_path, peer, digest=digest) as started:
                assert send(started.port, [film(1)]) == [0]
                settled(tmp_path)
    assert list(peer.stored.values()) == [2]


def kill_again_and_again(folder: Path, kills: int, films: int) -> None:
    """Send films to a node that is killed at random moments; each has its result exactly once."""
    chance = random.Random(kills)
    waiting = [film(i) for i in range(films)]
    lock = threading.Lock()
    wanted = {result_uid(one.SOPInstanceUID) for one in waiting}

    def send_all(port: int) -> None:
        while waiting:
            with lock:
                part = waiting[:4]
            try:
                answers = send(port, part)
            except (OSError, RuntimeError):  # the node was killed while it answered
                return
            if None in answers:
                return
            for one in part:
                waiting.remove(one)

    with archive() as peer:
        for _ in range(kills):
            with subprocess.Popen(
                [sys.executable, Path(__file__).parent / "node_process.py", folder, str(peer.port)],
                stdout=subprocess.PIPE, text=True,
            ) as process:  # fmt: skip
                assert process.stdout is not None
                port = int(process.stdout.readline())
                sender = threading.Thread(target=send_all, args=(port,))
                sender.start()
                time.sleep(chance.uniform(0.0, 0.4))
                process.kill()
            sender.join()
        with node(folder, peer) as started:
            send_all(started.port)
            status = settled(folder)
    assert not waiting
    assert status.films["sent"] == films
    assert not status.failed
    assert set(peer.stored) == wanted  # one instance of each; a result sent twice is the same one


@pytest.mark.slow
def test_a_node_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 2, 16)


@pytest.mark.hard
def test_a_node_that_is_killed_fifty_times_loses_nothing(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 50, 400)
