"""Which of other images a model meets again: its own files, near duplicates, and its patients.

What cannot be known is said to be so: no image counts as new because nothing could be compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from hilum.data.duplicates import Nearness, within_radius
from hilum.data.fingerprints import hamming
from hilum.inference import training_record
from hilum.inference.training_record import BuiltOn, Films

Bools: TypeAlias = npt.NDArray[np.bool_]
State: TypeAlias = Literal["checked", "partly", "not checked"]
KINDS = ("same file", "near duplicate", "same patient")  # the most serious first
FAR = 1 << 30  # bits
EARLIER = "an earlier version made the model's folder, which does not say {what} it was built on"


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a model's folder knows of images (image,), and why some of it could not be checked."""

    files: Bools  # the very file
    near: npt.NDArray[np.int64]  # bits between it and the nearest film, -1 where none is near
    patients: Bools
    elsewhere: Bools  # a patient of the same number at another source
    files_state: State
    films_state: State
    patients_state: State
    unchecked_films: str = ""  # why, to go on with after "because"
    unchecked_patients: str = ""

    @property
    def met(self) -> Bools:
        """(image,) whether it is no test of the model."""
        return self.files | (self.near >= 0) | self.patients

    @property
    def kinds(self) -> list[str]:
        """(image,) One of KINDS, or ""."""
        matches = (self.files, self.near >= 0, self.patients)
        return [
            next((name for name, row in zip(KINDS, rows, strict=True) if row), "")
            for rows in zip(*matches, strict=True)
        ]

    def of_what(self) -> str:
        """How many are met again as what, in words; each image counts once."""
        kinds = self.kinds
        counts = {name: kinds.count(name) for name in dict.fromkeys(kinds) if name}
        words = {
            "same file": "used to build it",
            "near duplicate": "nearly the same as an image used to build it",
            "same patient": "of patients that it was built on",
        }
        return ", ".join(
            f"{counts[name]:,} {word}" for name, word in words.items() if name in counts
        )

    def unchecked(self) -> list[str]:
        """One sentence for each thing that could not be checked, or not for all images."""
        notes = []
        if self.unchecked_films:
            what = "files" if self.files_state == "not checked" else "near duplicates"
            notes.append(f"Not checked for {what}: {self.unchecked_films}.")
        if self.unchecked_patients:
            share = "Not all checked" if self.patients_state == "partly" else "Not checked"
            notes.append(f"{share} for patients: {self.unchecked_patients}.")
        if self.elsewhere.any():
            notes.append(
                f"{int(self.elsewhere.sum()):,} images have a patient number that also "
                "occurs in the training data from another source. They count as "
                "different people."
            )
        return notes


def compare_with_record(built: BuiltOn | None, seen: Sequence[str], films: Films) -> Recognised:
    """Compare images with what a model was built on; `seen` are SHA-256 of its files.

    Two films count as near duplicates within 16 of the 256 bits of their perceptual hashes.
    """
    comparison = RecordComparison(built, seen)
    comparison.add(films)
    return comparison.outcome()


class RecordComparison:
    """The same of images that come some at a time and are not kept."""

    def __init__(self, built: BuiltOn | None, seen: Sequence[str]) -> None:
        self._built = built
        self._known = {*seen, *((built.films or ()) if built else ())}
        self._hashes = _different(None if built is None else built.films)
        self._found: list[tuple[Bools, npt.NDArray[np.int64], Bools, Bools]] = []
        self._nameless = 0  # images whose patient is unknown

    def add(self, films: Films) -> None:
        """Compare the images that follow."""
        files = np.array([key in self._known for key in films.sha256], bool)
        near = _nearest(self._hashes, films.hashes)
        self._found.append((files, near, *_met_patients(self._built, films)))
        self._nameless += sum(not name for name in films.patients)

    def outcome(self) -> Recognised:
        """What all of them are."""
        nothing = np.zeros(0, bool)
        pieces = self._found or [(nothing, np.zeros(0, np.int64), nothing, nothing)]
        matches = (np.concatenate(found) for found in zip(*pieces, strict=True))
        files, near, patients, elsewhere = matches
        state, why = _patients_state(self._built, self._nameless, len(files))
        films_known = self._built is not None and self._built.films is not None
        return Recognised(
            files=files,
            near=near,
            patients=patients,
            elsewhere=elsewhere,
            files_state="checked" if self._known else "not checked",
            films_state="checked" if films_known else "not checked",
            patients_state=state,
            unchecked_films="" if films_known else _no_films(self._built),
            unchecked_patients=why,
        )


def _no_films(built: BuiltOn | None) -> str:
    if built is None:
        return EARLIER.format(what="which films")
    return f"the model's folder has no {training_record.FILMS}"


def _different(films: Mapping[str, bytes] | None) -> npt.NDArray[np.uint8]:
    """The hashes (film, bytes) of known films, each once."""
    if not films:
        return np.zeros((0, training_record.HASH), np.uint8)
    return np.unique(
        np.frombuffer(b"".join(films.values()), np.uint8).reshape(len(films), -1), axis=0
    )


def _nearest(theirs: npt.NDArray[np.uint8], hashes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """(image,) bits to the nearest known film, -1 beyond what counts as near."""
    if not len(theirs) or not len(hashes):
        return np.full(len(hashes), -1, np.int64)
    ours, place = np.unique(hashes, axis=0, return_inverse=True)
    both = np.concatenate([ours, theirs])
    pairs = within_radius(both, Nearness().bits)
    first, second = pairs[(pairs[:, 0] < len(ours)) & (pairs[:, 1] >= len(ours))].T
    least = np.full(len(ours), FAR, np.int64)
    np.minimum.at(least, first, hamming(both[first], both[second]))
    least[(least == FAR) | ~ours.any(axis=1)] = -1  # a flat image, all bits 0, is near to nothing
    return least[place.reshape(-1)]


def _met_patients(built: BuiltOn | None, films: Films) -> tuple[Bools, Bools]:
    """(image,) Patients met again, and those of another source."""
    if built is None or not built.patients or not any(films.patients):
        return np.zeros(len(films.patients), bool), np.zeros(len(films.patients), bool)
    slow = training_record.digested(filter(None, films.patients), built.salt, built.rounds)
    rows = [
        _match(built.patients, slow[name], source) if name else ""
        for name, source in zip(films.patients, films.sources, strict=True)
    ]
    return np.array([row == "met" for row in rows]), np.array([row == "elsewhere" for row in rows])


def _patients_state(built: BuiltOn | None, nameless: int, images: int) -> tuple[State, str]:
    """Whether patients were checked, and why not all; those of `nameless` images are unknown."""
    if built is None:
        return "not checked", EARLIER.format(what="whose films")
    if built.patients is None:
        return "not checked", f"the model's folder has no {training_record.PATIENTS}"
    if not built.patients:
        return "not checked", "the patients that the model was built on are unknown"
    if nameless == images:
        return "not checked", "the patients of these images are unknown"
    why = " and ".join(
        f"the patients of {some:,} of {every:,} {which} are unknown"
        for some, every, which in (
            (built.nameless, built.images, "images that the model was built on"),
            (nameless, images, "images compared"),
        )
        if some
    )
    return "partly" if why else "checked", why


def _match(known: training_record.Known, slow: bytes, source: str | None) -> str:
    """ "met", "elsewhere" where every source is known and another one, or ""."""
    places = known.get(training_record.short(slow))
    if places is None:
        return ""
    here = training_record.at_source(slow, source)
    return "met" if not here or "" in places or here in places else "elsewhere"
