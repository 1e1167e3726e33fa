"""What the queue's file holds: its tables, and their rows as records."""

from dataclasses import dataclass
from pathlib import Path

FILE, FILMS, RESULTS = "queue.sqlite", "films", "results"  # in the spool's folder
SCHEMA = """
CREATE TABLE IF NOT EXISTS films (
    id INTEGER PRIMARY KEY, instance TEXT NOT NULL UNIQUE, file TEXT NOT NULL,
    state TEXT NOT NULL, source TEXT NOT NULL, model TEXT NOT NULL, received REAL NOT NULL,
    due REAL NOT NULL DEFAULT 0, finished REAL, tries INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS films_by_state ON films (state, id);
CREATE TABLE IF NOT EXISTS results (
    id INTEGER PRIMARY KEY, film INTEGER NOT NULL REFERENCES films, file TEXT NOT NULL,
    instance TEXT NOT NULL UNIQUE, class TEXT NOT NULL, syntax TEXT NOT NULL, state TEXT NOT NULL,
    due REAL NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0, note TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS results_by_state ON results (state, due);
CREATE INDEX IF NOT EXISTS results_of_film ON results (film);
CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, n INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Film:
    """A film that is worked on."""

    id: int
    path: Path
    source: str  # AE title
    tries: int


@dataclass(frozen=True, slots=True)
class Result:
    """An object to be sent."""

    id: int
    film: int
    path: Path
    class_: str  # SOP Class UID
    instance: str  # SOP Instance UID
    syntax: str  # Transfer Syntax UID
    tries: int
