"""Films to results: one thread that reads, predicts and writes, the oldest film first."""

import logging
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Protocol

from pydicom import Dataset, dcmread

from hilum import images
from hilum.api.model import Model
from hilum.dicom.results import result_objects
from hilum.node.queue_tables import Film
from hilum.node.rules import FilmRules
from hilum.node.spool import Spool
from hilum.types import HilumError

LOG = logging.getLogger("hilum.node")
PAUSE = 10.0  # seconds after a disk has refused to write
IDLE = 1.0  # seconds between two looks at the queue where nothing came
UNNAMED = f"{images.IN_MEMORY}: "  # before the sentence about bytes that have no path


class Answers(Protocol):
    """What makes results of a film."""

    def results(self, film: Path, header: Dataset) -> Sequence[Dataset]:
        """Objects with file meta information; HilumError where there can be none."""


@dataclass(frozen=True, slots=True)
class ModelAnswers:
    """A model's answers as DICOM objects, the same as those of `hilum predict`."""

    model: Model

    def results(self, film: Path, header: Dataset) -> Sequence[Dataset]:
        """See `Answers`."""
        prediction = self.model.predict(film.read_bytes())
        return result_objects(self.model, header, prediction)


@dataclass(slots=True)
class Worker:
    """The thread; `start`, `stop`."""

    spool: Spool
    answers: Answers
    rules: FilmRules
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin with what waits."""
        self._thread = threading.Thread(target=self._run, name="answers", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the film in work, then end."""
        self._ended.set()
        self.spool.films_came.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            self.spool.films_came.clear()
            try:
                film = self.spool.take()
                if film is not None:
                    self._work(film)
                    continue
            except (OSError, sqlite3.Error) as error:  # of the queue itself
                LOG.warning("the queue cannot be written: %s", error)
                self._ended.wait(PAUSE)
            self.spool.films_came.wait(IDLE)

    def _work(self, film: Film) -> None:
        try:
            header = _header(film.path)
            if reason := self.rules.against(film.path, header, film.source):
                self.spool.end(film, "left", reason)
                LOG.info("film %d left alone", film.id)
                return
            self.spool.give(film, [_encoded(each) for each in self._results(film, header)])
            LOG.info("film %d answered", film.id)
        except HilumError as error:
            self.spool.end(film, "failed", str(error).removeprefix(UNNAMED))
            LOG.warning("film %d failed; see hilum node --status", film.id)
        except (OSError, sqlite3.Error) as error:
            LOG.warning("film %d waits: %s", film.id, getattr(error, "strerror", None) or error)
            self.spool.put_back(film, PAUSE)

    def _results(self, film: Film, header: Dataset) -> Sequence[Dataset]:
        if not header.get("PatientID"):
            raise HilumError(
                "a result goes into the study of its patient; got a film without Patient ID; give "
                "it one in the archive and send it again"
            )
        try:
            return self.answers.results(film.path, header)
        except (HilumError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - its own words may quote the film
            raise HilumError(
                f"the node failed on this film ({type(error).__name__}); send it again, or leave "
                "it out"
            ) from None


def _header(path: Path) -> Dataset:
    """The whole data set; HilumError for one that is damaged."""
    try:
        return dcmread(path)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever pydicom meets; its words may quote the film
        raise HilumError(
            f"expected a data set that can be read, got a damaged one ({type(error).__name__}); "
            "send it again"
        ) from None


def _encoded(result: Dataset) -> tuple[str, str, str, bytes]:
    """SOP class, SOP instance, transfer syntax and the file's content."""
    file = BytesIO()
    result.save_as(file, enforce_file_format=True)  # with the preamble, without which STOW loses it
    syntax = str(result.file_meta.TransferSyntaxUID)
    return str(result.SOPClassUID), str(result.SOPInstanceUID), syntax, file.getvalue()
