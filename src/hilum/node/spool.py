"""The queue: films and results as files, what is known of them in one SQLite file.

A film is in one state: received -> working -> done (its results are files) -> sent; or failed, or
left (no film that the rules take). Every change of state is one transaction that has reached the
disk; files are written before the row that names them, and removed after it.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from hilum.files.disk import synchronise
from hilum.node.queue_tables import FILE, FILMS, RESULTS, SCHEMA, Film, Result
from hilum.types import HilumError

TRIES = 5  # times that a film may end the process before it counts as failed


@dataclass(slots=True)
class Spool:
    """A folder with films, results and the queue; one process at a time may open it."""

    folder: Path
    model: str  # digest of the model that answers: a film's result belongs to it
    films_came: threading.Event = field(default_factory=threading.Event)
    results_came: threading.Event = field(default_factory=threading.Event)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _queue: sqlite3.Connection = field(init=False)

    def __post_init__(self) -> None:
        """Open the queue and put back what was being worked on; HilumError where it cannot be."""
        try:
            for name in (FILMS, RESULTS):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            self._queue = sqlite3.connect(
                self.folder / FILE, isolation_level=None, check_same_thread=False
            )
            self._queue.row_factory = sqlite3.Row
            self._queue.execute("PRAGMA journal_mode=WAL")
            self._queue.execute("PRAGMA synchronous=FULL")  # a commit has reached the disk
            self._queue.executescript(SCHEMA)
            self._recover()
        except (OSError, sqlite3.Error) as error:
            raise unwritable(self.folder, error) from None

    def close(self) -> None:
        """End; nothing is lost without it."""
        with self._lock:
            self._queue.close()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction: whole, and on the disk at its end; or not at all."""
        with self._lock:
            self._queue.execute("BEGIN IMMEDIATE")
            try:
                yield self._queue
                self._queue.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has rolled back already
                    self._queue.execute("ROLLBACK")
                raise

    def _recover(self) -> None:
        """After a start: films in work are received again, files without a row are removed."""
        with self.change() as queue:
            queue.execute(
                "UPDATE films SET state='failed', finished=?, reason=? "
                "WHERE state='working' AND tries>=?",
                (time.time(), f"the node ended {TRIES} times while it read this film", TRIES),
            )
            queue.execute("UPDATE films SET state='received' WHERE state='working'")
            kept = {row[0] for row in queue.execute(
                "SELECT file FROM films WHERE state NOT IN ('sent', 'left')"
            )}  # fmt: skip
            kept |= {row[0] for row in queue.execute(
                "SELECT file FROM results WHERE state='waiting' OR id IN (SELECT result FROM "
                "commitments WHERE state IN ('unasked', 'asked'))"
            )}  # fmt: skip
        for name in (FILMS, RESULTS):
            for path in (self.folder / name).iterdir():
                if path.name not in kept:
                    path.unlink()

    def receive(self, instance: str, content: bytes, source: str) -> int:
        """Keep a film's bytes; when this returns, they are on the disk. Its number.

        Raises OSError or sqlite3.Error where the disk refuses: then nothing of it is kept. A film
        that is known is counted; one that failed, or was answered by another model, begins anew.
        """
        name = f"{uuid4().hex}.dcm"
        path = self.folder / FILMS / name
        try:
            write_through(path, content)
            with self.change() as queue:
                number, before = self._enter(queue, instance, name, source)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        if before:
            (self.folder / FILMS / before).unlink(missing_ok=True)
        self.films_came.set()
        return number

    def _enter(
        self, queue: sqlite3.Connection, instance: str, name: str, source: str
    ) -> tuple[int, str]:
        """A film's number, and the file that is not needed any more or ""."""
        known = queue.execute("SELECT * FROM films WHERE instance=?", (instance,)).fetchone()
        if known is None:
            row = queue.execute(
                "INSERT INTO films (instance, file, state, source, model, received) "
                "VALUES (?, ?, 'received', ?, ?, ?) RETURNING id",
                (instance, name, source, self.model, time.time()),
            ).fetchone()
            return int(row[0]), ""
        anew = known["state"] == "failed" or (
            known["state"] in ("sent", "left") and known["model"] != self.model
        )
        if not anew:
            add_count(queue, "films received again")
            return int(known["id"]), name
        queue.execute(
            "DELETE FROM commitments WHERE result IN (SELECT id FROM results WHERE film=?)",
            (known["id"],),
        )
        queue.execute("DELETE FROM results WHERE film=?", (known["id"],))
        queue.execute(
            "UPDATE films SET file=?, state='received', source=?, model=?, received=?, due=0, "
            "finished=NULL, tries=0, reason='' WHERE id=?",
            (name, source, self.model, time.time(), known["id"]),
        )
        return int(known["id"]), str(known["file"])

    def is_result(self, instance: str) -> bool:
        """Whether an object is one that this node made."""
        with self._lock:
            found = self._queue.execute("SELECT 1 FROM results WHERE instance=?", (instance,))
            return found.fetchone() is not None

    def take(self) -> Film | None:
        """The film that has waited longest, now in work."""
        with self.change() as queue:
            row = queue.execute(
                "UPDATE films SET state='working', tries=tries+1, model=? WHERE id=(SELECT id FROM "
                "films WHERE state='received' AND due<=? ORDER BY id LIMIT 1) RETURNING *",
                (self.model, time.time()),
            ).fetchone()
        if row is None:
            return None
        return Film(row["id"], self.folder / FILMS / row["file"], row["source"], row["tries"])

    def put_back(self, film: Film, pause: float) -> None:
        """A film that could not be worked on for a reason outside it, such as a full disk."""
        with self.change() as queue:
            queue.execute(
                "UPDATE films SET state='received', tries=tries-1, due=? WHERE id=?",
                (time.time() + pause, film.id),
            )

    def give(self, film: Film, results: Sequence[tuple[str, str, str, bytes]]) -> None:
        """A film's results: SOP class, instance, transfer syntax and content of each.

        Raises OSError or sqlite3.Error where the disk refuses: then the film is still in work.
        """
        names = [f"{film.id}-{i}.dcm" for i in range(len(results))]
        for name, (*_, content) in zip(names, results, strict=True):
            write_content(self.folder / RESULTS / name, content)
        synchronise(self.folder / RESULTS)
        with self.change() as queue:
            queue.executemany(
                "INSERT INTO results (film, file, class, instance, syntax, state) "
                "VALUES (?, ?, ?, ?, ?, 'waiting')",
                [(film.id, name, *row[:3]) for name, row in zip(names, results, strict=True)],
            )
            queue.execute("UPDATE films SET state='done' WHERE id=?", (film.id,))
        self.results_came.set()

    def end(self, film: Film, state: str, reason: str) -> None:
        """A film without results: failed (its file is kept), or left (it is not)."""
        with self.change() as queue:
            queue.execute(
                "UPDATE films SET state=?, reason=?, finished=? WHERE id=?",
                (state, reason, time.time(), film.id),
            )
        if state == "left":
            film.path.unlink(missing_ok=True)

    def waiting(self, most: int) -> list[Result]:
        """Results that may be sent now, the oldest first."""
        with self._lock:
            rows = self._queue.execute(
                "SELECT * FROM results WHERE state='waiting' AND due<=? ORDER BY tries, id LIMIT ?",
                (time.time(), most),
            ).fetchall()
        return [self.result(row) for row in rows]

    def result(self, row: sqlite3.Row) -> Result:
        """A row of the table as a record."""
        return Result(row["id"], row["film"], self.folder / RESULTS / row["file"], row["class"],
                      row["instance"], row["syntax"], row["tries"])  # fmt: skip

    def forget(self, results: Iterable[int]) -> None:
        """Remove the files of results that nobody waits for."""
        question = "SELECT file FROM results WHERE id=?"
        with self._lock:
            names = [self._queue.execute(question, (n,)).fetchone()["file"] for n in results]
        for name in names:
            (self.folder / RESULTS / name).unlink(missing_ok=True)

    def settle(self, result: Result, state: str, note: str, commits: bool = False) -> None:
        """A result that was sent, or failed for good; with the last of a film its state follows.

        One that the archive is to commit to keeps its file.
        """
        with self.change() as queue:
            queue.execute(
                "UPDATE results SET state=?, note=?, tries=tries+1 WHERE id=?",
                (state, note, result.id),
            )
            if state == "sent" and note:
                add_count(queue, "results stored with a warning")
            if commits:
                queue.execute(
                    "INSERT OR REPLACE INTO commitments (result, state) VALUES (?, 'unasked')",
                    (result.id,),
                )
            left = queue.execute(
                "SELECT count(*) FROM results WHERE film=? AND state='waiting'", (result.film,)
            ).fetchone()[0]
            finished = None if left else self._finish(queue, result.film)
        if not commits:
            result.path.unlink(missing_ok=True)
        if finished:
            (self.folder / FILMS / finished).unlink(missing_ok=True)

    def _finish(self, queue: sqlite3.Connection, film: int) -> str | None:
        """The end of a film whose results are all settled; its file, where that can go."""
        notes = [row[0] for row in queue.execute(
            "SELECT note FROM results WHERE film=? AND state='failed' ORDER BY id", (film,)
        )]  # fmt: skip
        row = queue.execute(
            "UPDATE films SET state=?, reason=?, finished=? WHERE id=? RETURNING file",
            ("failed" if notes else "sent", "; ".join(notes), time.time(), film),
        ).fetchone()
        return None if notes else str(row[0])

    def postpone(self, result: Result, pause: float, note: str) -> None:
        """A result that is sent again after a pause in seconds."""
        with self.change() as queue:
            queue.execute(
                "UPDATE results SET due=?, tries=tries+1, note=? WHERE id=?",
                (time.time() + pause, note, result.id),
            )

    def count(self, name: str) -> None:
        """One more of something that is only counted."""
        with self.change() as queue:
            add_count(queue, name)

    def note(self, name: str, value: str) -> None:
        """A fact for `--status`."""
        with self.change() as queue:
            queue.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))


def add_count(queue: sqlite3.Connection, name: str) -> None:
    """One more of something, within a transaction."""
    queue.execute(
        "INSERT INTO counts VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET n=n+1", (name,)
    )


def write_through(path: Path, content: bytes) -> None:
    """A file whose content and name have reached the disk."""
    write_content(path, content)
    synchronise(path.parent)


def write_content(path: Path, content: bytes) -> None:
    """A file whose content has reached the disk; its name has with its folder."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def unwritable(folder: Path, error: Exception) -> HilumError:
    """The sentence for a spool that cannot be used."""
    reason = getattr(error, "strerror", None) or error
    return HilumError(
        f"--spool must be a folder that can be written; got {str(folder)!r} ({reason}); choose "
        "another."
    )
