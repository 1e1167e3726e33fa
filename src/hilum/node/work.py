"""Films to results: one thread that asks for answers and writes them, the oldest film first."""

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO

from pydicom import Dataset

from hilum.inference import answer
from hilum.node.answers import Answered, FilmAnswers
from hilum.node.queue_tables import Film
from hilum.node.reading import Left
from hilum.node.rules import FilmRules
from hilum.node.spool import Spool
from hilum.types import HilumError

LOG = logging.getLogger("hilum.node")
AHEAD = 4  # films in work at a time: decoded in processes, answered one by one
PAUSE = 10.0  # seconds after a disk has refused to write
IDLE = 1.0  # seconds between two looks at the queue where nothing came


@dataclass(slots=True)
class AnsweringThread:
    """The thread; `start`, `stop`."""

    spool: Spool
    answers: FilmAnswers
    rules: FilmRules
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin with what waits."""
        self._thread = threading.Thread(target=self._run, name="answers", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the films in work, then end."""
        self._ended.set()
        self.spool.films_came.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        begun: deque[tuple[Film, Callable[[], Answered]]] = deque()
        while begun or not self._ended.is_set():
            self.spool.films_came.clear()
            try:
                self._begin_more(begun)
                if begun:
                    self._finish(*begun.popleft())
                    continue
            except (OSError, sqlite3.Error) as error:  # of the queue itself
                LOG.warning("the queue cannot be written: %s", error)
                self._ended.wait(PAUSE)
            self.spool.films_came.wait(IDLE)

    def _begin_more(self, begun: "deque[tuple[Film, Callable[[], Answered]]]") -> None:
        """The next films are decoded while the first one is answered."""
        while len(begun) < AHEAD and not self._ended.is_set():
            film = self.spool.take()
            if film is None:
                return
            begun.append((film, self._begin(film)))

    def _begin(self, film: Film) -> Callable[[], Answered]:
        try:
            return self.answers.begin(film.path, film.source, self.rules)
        except Exception as error:  # noqa: BLE001 - said in its turn, with the film
            return partial(_fail, error)

    def _finish(self, film: Film, wait: Callable[[], Answered]) -> None:
        try:
            answered = self._waited(wait)
            if isinstance(answered, Left):
                self.spool.end(film, "left", answered.reason)
                LOG.info("film %d left alone", film.id)
                return
            self.spool.give(film, [_encoded(each) for each in answered])
            LOG.info("film %d answered", film.id)
        except HilumError as error:
            self.spool.end(film, "failed", answer.refusal(error))
            LOG.warning("film %d failed; see hilum node --status", film.id)
        except (OSError, sqlite3.Error) as error:
            LOG.warning("film %d waits: %s", film.id, getattr(error, "strerror", None) or error)
            self.spool.put_back(film, PAUSE)

    def _waited(self, wait: Callable[[], Answered]) -> Answered:
        try:
            return wait()
        except (HilumError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - its own words may quote the film
            raise HilumError(
                f"the node failed on this film ({type(error).__name__}); send it again, or leave "
                "it out"
            ) from None


def _fail(error: Exception) -> Answered:
    raise error


def _encoded(result: Dataset) -> tuple[str, str, str, bytes]:
    """SOP class, SOP instance, transfer syntax and the file's content."""
    file = BytesIO()
    result.save_as(file, enforce_file_format=True)  # with the preamble, without which STOW loses it
    syntax = str(result.file_meta.TransferSyntaxUID)
    return str(result.SOPClassUID), str(result.SOPInstanceUID), syntax, file.getvalue()
