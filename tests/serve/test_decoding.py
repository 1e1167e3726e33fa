"""A film that ends, stalls or overfills its decoder has a sentence; all others have answers."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from decoders_that_fail import misbehave
from films_to_send import encoded, grey
from serving import Tiny

from hilum.inference import answer
from hilum.serve.decoding import DecodedFilm, Decoders
from hilum.serve.limits import MEBI, ServerLimits

FILM = encoded(".png", grey())
LIMITS = ServerLimits(decoders=1, film_seconds=4.0, film_processor=1.0, film_memory=1024 * MEBI)


@pytest.fixture(scope="module")
def decoders(tiny: Tiny) -> Iterator[Decoders]:
    running = Decoders(tiny.model.pipeline.as_list(), LIMITS, misbehave)
    running.open()
    yield running
    running.close()


def read(decoders: Decoders, *films: bytes) -> list[DecodedFilm | str]:
    async def every() -> list[DecodedFilm | str]:
        return await asyncio.gather(*(decoders.read(film, pictures=False) for film in films))

    return asyncio.run(every())


def same(result: DecodedFilm | str, tiny: Tiny) -> bool:
    expected = answer.prepare_file(FILM, tiny.model.pipeline)
    return isinstance(result, DecodedFilm) and bool(
        (result.prepared.pixels == expected.pixels).all()
        and result.prepared.fingerprint.sha256 == expected.fingerprint.sha256
    )


@pytest.mark.parametrize(
    ("word", "sentence", "died"),
    [
        (b"exit....", "ends the decoder (which was restarted)", 1),
        (b"segfault", "ends the decoder (which was restarted)", 1),
        (b"sleep...", "computing and 4 s in all, got one that takes longer", 1),
        (b"compute.", "decoded within 1 s of computing", 1),
        (b"allocate", "on which the decoder fails (", 0),
        (b"assert..", "on which the decoder fails (AssertionError)", 0),
    ],
)
def test_such_a_film_has_a_sentence_and_the_next_an_answer(
    decoders: Decoders, tiny: Tiny, word: bytes, sentence: str, died: int
) -> None:
    before = decoders.died
    bad, good = read(decoders, word + FILM, FILM)
    assert isinstance(bad, str)
    assert sentence in bad
    assert "Jane" not in bad
    assert same(good, tiny)
    assert decoders.died - before == died


def test_a_decoder_that_is_ended_from_outside_is_replaced(decoders: Decoders, tiny: Tiny) -> None:
    assert same(read(decoders, FILM)[0], tiny)
    (process,) = pids(decoders)
    os.kill(process, signal.SIGKILL)  # as the system does where memory is short
    time.sleep(0.5)
    assert same(read(decoders, FILM)[0], tiny)
    assert pids(decoders) != [process]


def test_a_signal_to_the_whole_group_leaves_the_decoders_alone(
    decoders: Decoders, tiny: Tiny
) -> None:
    assert same(read(decoders, FILM)[0], tiny)
    (process,) = pids(decoders)
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(process, number)
    time.sleep(0.3)
    assert same(read(decoders, FILM)[0], tiny)
    assert pids(decoders) == [process]


def test_no_more_memory_than_the_bound_is_taken(tiny: Tiny) -> None:
    """The same film passes where there is room for it."""
    film = encoded(".png", grey(0, 3000, 3000))
    for more, readable in ((4 * MEBI, False), (1024 * MEBI, True)):
        bounded = Decoders(tiny.model.pipeline.as_list(), replace(LIMITS, film_memory=more))
        bounded.open()
        (result,) = read(bounded, film)
        bounded.close()
        assert isinstance(result, DecodedFilm) is readable, result
        assert readable or "expected enough memory to decode the image" in str(result)


def pids(decoders: Decoders) -> list[int]:
    assert decoders.pool is not None
    return list(decoders.pool._pool_manager.worker_manager.workers)
