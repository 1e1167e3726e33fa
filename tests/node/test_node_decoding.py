"""Films that end their decoding process, or whose file the disk does not give."""

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, cast

import pytest
from dicom_peers import film
from pebble import ProcessExpired
from test_node_command import as_file

from hilum.node.answers import ModelAnswers
from hilum.node.reading import Left, Reading, accepted
from hilum.node.rules import FilmRules
from hilum.serve.decoding import Decoders
from hilum.serve.limits import ServerLimits
from hilum.types import HilumError


class Pool(Decoders):
    """Decoders whose next films end as the test says."""

    def __init__(self, *outcomes: object) -> None:
        super().__init__([], ServerLimits())
        self.outcomes = [*outcomes]
        self.asked: list[object] = []

    def submit(self, decode: Callable[..., Any], *words: Any) -> "Future[Any]":
        """A future that is over."""
        self.asked.append(decode)
        over: Future[Any] = Future()
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            over.set_exception(outcome)
        else:
            over.set_result(outcome)
        return over


def answers(pool: Pool) -> ModelAnswers:
    """Answers that get no further than the decoder."""
    return ModelAnswers(cast("Any", None), cast("Any", None), pool)


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        (ProcessExpired("killed", -9), "got one that ends the decoder"),
        (TimeoutError("late"), "is decoded within 20 s of computing"),
        (ZeroDivisionError("a header's words"), r"the decoder fails \(ZeroDivisionError\)"),
        (HilumError("<bytes>: expected a film"), "expected a film"),
    ],
)
def test_a_film_that_cannot_be_decoded_has_its_sentence(
    outcome: BaseException, sentence: str
) -> None:
    wait = answers(Pool(outcome)).begin(Path("film.dcm"), "MODALITY", FilmRules())
    with pytest.raises(HilumError, match=sentence):
        wait()


def test_the_disks_fault_is_not_the_films() -> None:
    wait = answers(Pool(OSError(5, "Input/output error"))).begin(Path("a"), "B", FilmRules())
    with pytest.raises(OSError, match="Input/output error") as caught:
        wait()
    assert not isinstance(caught.value, HilumError)


def test_an_idle_decoder_that_was_ended_is_asked_again() -> None:
    pool = Pool(BrokenProcessPool("ended"), Left("modality MR"))
    assert answers(pool).begin(Path("a"), "B", FilmRules())() == Left("modality MR")
    assert pool.asked == [Reading(Path("a"), "B", FilmRules())] * 2


def test_what_is_read_before_any_pixel(tmp_path: Path) -> None:
    """The rules come first, then the patient; a damaged data set is named without its words."""
    path = tmp_path / "film.dcm"
    data = as_file(film(1))
    path.write_bytes(data)
    found = accepted(path, data, "MODALITY", FilmRules())
    assert not isinstance(found, Left)
    assert found.PatientID == "P-1"
    other = as_file(film(1, Modality="MR", PatientID=""))
    assert accepted(path, other, "MODALITY", FilmRules()) == Left("modality MR")
    with pytest.raises(HilumError, match="got a film without Patient ID"):
        accepted(path, as_file(film(1, PatientID="")), "MODALITY", FilmRules())
    with pytest.raises(HilumError, match="got a damaged one"):
        accepted(path, b"no DICOM", "MODALITY", FilmRules())
