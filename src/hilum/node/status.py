"""What a spool holds: queue, ages, throughput, failures; of a node that runs, or of none."""

import sqlite3
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hilum.node.deliver import TROUBLE
from hilum.node.queue_tables import FILE
from hilum.types import HilumError, MissingError

STATES = ("received", "working", "done", "sent", "failed", "left")
HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class FailedFilm:
    """A film without its result, and why."""

    film: int
    instance: str  # SOP Instance UID
    reason: str


@dataclass(frozen=True, slots=True)
class SpoolStatus:
    """Numbers and sentences; nothing of a patient but the UIDs of films that failed."""

    films: dict[str, int]  # by state
    results_waiting: int
    oldest_film_seconds: float | None  # of those received and not yet answered
    oldest_result_seconds: float | None  # since its film came, of those not yet sent
    sent_last_hour: int
    median_seconds: float | None  # from a film's arrival to its last result sent, last 100 films
    left_alone: dict[str, int]  # reason -> films
    counts: dict[str, int]
    archive: str  # what is wrong with it, or ""
    notes: dict[str, int]  # what results wait for, or were stored with -> results
    failed: list[FailedFilm]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def read_status(folder: Path) -> SpoolStatus:
    """The state of a spool, read without changing it; MissingError where there is none."""
    path = folder / FILE
    if not path.is_file():
        raise MissingError(
            f"--spool must be a folder that a node has used; got {str(folder)!r} without {FILE}; "
            "check the path."
        )
    try:
        queue = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            queue.execute("BEGIN")  # one moment for all numbers
            return _read(queue)
        finally:
            queue.close()
    except sqlite3.Error as error:
        raise HilumError(
            f"{path} must be a node's queue; got one that cannot be read ({error}); restore it."
        ) from None


def _read(queue: sqlite3.Connection) -> SpoolStatus:
    now = time.time()
    states = dict(queue.execute("SELECT state, count(*) FROM films GROUP BY state"))
    facts = dict(queue.execute("SELECT name, value FROM facts"))
    return SpoolStatus(
        films={state: states.get(state, 0) for state in STATES},
        results_waiting=_one(queue, "SELECT count(*) FROM results WHERE state='waiting'"),
        oldest_film_seconds=_age(
            now, _one(queue, "SELECT min(received) FROM films WHERE state IN "
                             "('received', 'working')")
        ),
        oldest_result_seconds=_age(
            now, _one(queue, "SELECT min(received) FROM films WHERE state='done'")
        ),
        sent_last_hour=_one(
            queue, "SELECT count(*) FROM films WHERE state='sent' AND finished>?", now - HOUR
        ),
        median_seconds=_median(queue),
        left_alone=dict(queue.execute(
            "SELECT reason, count(*) FROM films WHERE state='left' GROUP BY reason ORDER BY reason"
        )),
        counts=dict(queue.execute("SELECT name, n FROM counts ORDER BY name")),
        archive=facts.get(TROUBLE, ""),
        notes=dict(queue.execute(
            "SELECT note, count(*) FROM results WHERE note!='' AND state!='failed' GROUP BY note "
            "ORDER BY note"
        )),
        failed=[FailedFilm(*row) for row in queue.execute(
            "SELECT id, instance, reason FROM films WHERE state='failed' ORDER BY id"
        )],
    )  # fmt: skip


def _one(queue: sqlite3.Connection, question: str, *values: float) -> Any:
    return queue.execute(question, values).fetchone()[0]


def _age(now: float, since: float | None) -> float | None:
    return None if since is None else round(max(0.0, now - since), 1)


def _median(queue: sqlite3.Connection) -> float | None:
    rows = queue.execute(
        "SELECT finished - received FROM films WHERE state='sent' ORDER BY finished DESC LIMIT 100"
    ).fetchall()
    times = sorted(row[0] for row in rows)
    return round(times[len(times) // 2], 2) if times else None
