"""E-25: minutes of service leave the server as it was after its warm-up.

HILUM_SOAK: minutes, 5 without it. The count is printed.
"""

import os
import sys
import time
from itertools import cycle

import httpx2 as httpx
import pytest
from films_to_send import formats
from server_process import Running

import held
from held import Growth

pytestmark = [
    pytest.mark.hard,
    pytest.mark.skipif(not held.PROC.is_dir(), reason="/proc tells what a process holds"),
]

MINUTES = float(os.environ.get("HILUM_SOAK", "5"))
PAUSE = 0.2  # seconds between two films
ROUTES = ("v1/predict", "v1/predict?heatmap=true")
HEADERS = {"Content-Type": "application/octet-stream"}
NO_FILM = b"no film"


def test_a_server_does_not_grow(server: Running, capsys: pytest.CaptureFixture[str]) -> None:
    films = cycle([*formats().values(), NO_FILM])
    begun, seconds, series, answers = time.monotonic(), [], [], 0
    with httpx.Client(timeout=60) as kept:
        for number, film in enumerate(films):
            client = kept if number % 2 else httpx.Client(timeout=60)
            route = ROUTES[number // 3 % 2]
            answer = client.post(server.url + route, content=film, headers=HEADERS)
            assert answer.status_code == (422 if film == NO_FILM else 200), answer.text
            answers += answer.status_code == 200
            if client is not kept:
                client.close()
            time.sleep(PAUSE)
            if number % 10 == 0:
                seconds.append(time.monotonic() - begun)
                series.append(held.by_family(server.process.pid))
                if seconds[-1] > 60 * MINUTES:
                    break
    growth = Growth.of(seconds, series)
    with capsys.disabled():
        sys.stderr.write(f"\nserve, {MINUTES:g} minutes, {answers} films answered: {growth}\n")
    assert growth.handles <= 0
    assert growth.threads <= 0
    assert growth.memory < 0.02
