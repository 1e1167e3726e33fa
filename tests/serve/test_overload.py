"""E-14: a minute of more requests than can be answered: refusals in order, nothing lost.

HILUM_SOAK: minutes of it, 1 without it. The count is printed.
"""

import http.client
import os
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np
import pytest
from films_to_send import encoded, grey
from server_process import Running

import held

pytestmark = [
    pytest.mark.hard,
    pytest.mark.skipif(not held.PROC.is_dir(), reason="/proc tells what a process holds"),
]

MINUTES = float(os.environ.get("HILUM_SOAK", "1"))
ROUTE = "/v1/predict?heatmap=true&film=true"  # as the page asks
CLIENTS = 200  # more than the 128 films that may wait; they do not heed Retry-After
LEAST = 10  # requests for one that is answered; clients and server share the machine
FINER = 8  # 2,400 x 2,080 pixels of few shades: much to decode and draw, and little to send
FILM = encoded(".png", (grey() & 0xC0).repeat(FINER, axis=0).repeat(FINER, axis=1))


@dataclass(slots=True)
class Crowd:
    """Clients that ask again as soon as they have an answer."""

    place: tuple[str, int]
    until: float
    statuses: Counter[int] = field(default_factory=Counter)
    unfinished: int = 0  # of accepted requests: an answer that broke off
    refused_connections: int = 0
    without_retry_after: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self) -> None:
        """All of them, until the time is over."""
        threads = [threading.Thread(target=self._one) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _one(self) -> None:
        while time.monotonic() < self.until:
            connection = http.client.HTTPConnection(*self.place, timeout=120)
            try:
                connection.request("POST", ROUTE, FILM, {"Content-Type": "image/png"})
                answer = connection.getresponse()
                answer.read()
            except OSError:
                with self._lock:
                    self.refused_connections += 1
                continue
            except http.client.HTTPException:
                with self._lock:
                    self.unfinished += 1
                continue
            finally:
                connection.close()
            with self._lock:
                self.statuses[answer.status] += 1
                self.without_retry_after += answer.status == 503 and not answer.headers.get(
                    "Retry-After", ""
                )


def test_a_minute_of_overload(server: Running, capsys: pytest.CaptureFixture[str]) -> None:
    found = urlsplit(server.url)
    place = (str(found.hostname), int(found.port or 0))
    Crowd(place, time.monotonic() + 10).ask()  # fills the queue, and what is kept for it
    before = held.by_family(server.process.pid)
    crowd = Crowd(place, time.monotonic() + 60 * MINUTES)
    samples: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(1):
            samples.append(held.by_family(server.process.pid).memory)

    watching = threading.Thread(target=watch)
    watching.start()
    crowd.ask()
    ended = time.monotonic()
    over.set()
    watching.join()
    last = Crowd(place, 0)
    while last.statuses[200] == 0:
        last.until = time.monotonic() + 0.01
        last._one()
        assert time.monotonic() - ended < 5
    healthy = time.monotonic() - ended
    grown = float(np.median(samples[-10:])) / before.memory - 1
    with capsys.disabled():
        sys.stderr.write(
            f"\nserve, {60 * MINUTES:g} s of {CLIENTS} clients: {crowd.statuses.total()} requests, "
            f"{crowd.statuses[200]} answered, {crowd.statuses[503]} refused with 503, "
            f"{crowd.unfinished} broken off, {crowd.refused_connections} not connected; memory "
            f"{grown:+.1%}; healthy after {healthy:.2f} s\n"
        )
    assert set(crowd.statuses) == {200, 503}
    assert (crowd.unfinished, crowd.refused_connections, crowd.without_retry_after) == (0, 0, 0)
    assert abs(grown) < 0.05
    assert crowd.statuses.total() >= LEAST * crowd.statuses[200]
