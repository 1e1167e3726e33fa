"""Which of other images a model meets again: its own files, near duplicates, and its patients.

What cannot be known is said to be so: no image counts as new because nothing could be compared.
"""

from collections.abc import Sequence
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
    known = {*seen, *((built.films or ()) if built else ())}
    count = len(films.sha256)
    patients, elsewhere, state, why = _patients(built, films)
    hashes = None if built is None or built.films is None else [*built.films.values()]
    return Recognised(
        files=np.array([key in known for key in films.sha256], bool).reshape(count),
        near=_nearest(hashes or [], films.hashes),
        patients=patients,
        elsewhere=elsewhere,
        files_state="checked" if known else "not checked",
        films_state="checked" if hashes is not None else "not checked",
        patients_state=state,
        unchecked_films="" if hashes is not None else _no_films(built),
        unchecked_patients=why,
    )


def _no_films(built: BuiltOn | None) -> str:
    if built is None:
        return EARLIER.format(what="which films")
    return f"the model's folder has no {training_record.FILMS}"


def _nearest(known: list[bytes], hashes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """(image,) bits to the nearest known film, -1 beyond what counts as near."""
    if not known or not len(hashes):
        return np.full(len(hashes), -1, np.int64)
    ours, place = np.unique(hashes, axis=0, return_inverse=True)
    theirs = np.unique(np.frombuffer(b"".join(known), np.uint8).reshape(len(known), -1), axis=0)
    both = np.concatenate([ours, theirs])
    pairs = within_radius(both, Nearness().bits)
    first, second = pairs[(pairs[:, 0] < len(ours)) & (pairs[:, 1] >= len(ours))].T
    least = np.full(len(ours), FAR, np.int64)
    np.minimum.at(least, first, hamming(both[first], both[second]))
    least[(least == FAR) | ~ours.any(axis=1)] = -1  # a flat image, all bits 0, is near to nothing
    return least[place.reshape(-1)]


def _patients(built: BuiltOn | None, films: Films) -> tuple[Bools, Bools, State, str]:
    """Patients met again, those of another source, what was checked, and why not all."""
    nobody = np.zeros(len(films.patients), bool)
    if built is None:
        return nobody, nobody, "not checked", EARLIER.format(what="whose films")
    if built.patients is None:
        return (
            nobody,
            nobody,
            "not checked",
            f"the model's folder has no {training_record.PATIENTS}",
        )
    if not built.patients:
        return nobody, nobody, "not checked", "the patients that the model was built on are unknown"
    if not any(films.patients):
        return nobody, nobody, "not checked", "the patients of these images are unknown"
    slow = training_record.digested(filter(None, films.patients), built.salt, built.rounds)
    rows = [
        _match(built.patients, slow[name], source) if name else ""
        for name, source in zip(films.patients, films.sources, strict=True)
    ]
    met, elsewhere = (np.array([row == word for row in rows]) for word in ("met", "elsewhere"))
    why = " and ".join(_share_known(built, films))
    return met, elsewhere, "partly" if why else "checked", why


def _match(known: training_record.Known, slow: bytes, source: str | None) -> str:
    """ "met", "elsewhere" where every source is known and another one, or ""."""
    places = known.get(training_record.short(slow))
    if places is None:
        return ""
    here = training_record.at_source(slow, source)
    return "met" if not here or "" in places or here in places else "elsewhere"


def _share_known(built: BuiltOn, films: Films) -> list[str]:
    unknown = sum(not name for name in films.patients)
    return [
        f"the patients of {some:,} of {every:,} {which} are unknown"
        for some, every, which in (
            (built.nameless, built.images, "images that the model was built on"),
            (unknown, len(films.patients), "images compared"),
        )
        if some
    ]
