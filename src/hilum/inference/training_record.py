"""What a model was built on, kept without names: patients as digests, films as hashes.

Patient numbers can be enumerated by anyone who knows how a hospital counts, so a digest is
pseudonymous, not anonymous: a salt of the model's own and a slow function (PBKDF2, RFC 8018) make
that slow, nothing makes it impossible. A perceptual hash (256 bits) shows no picture.
https://www.rfc-editor.org/rfc/rfc8018
"""

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from hilum import files
from hilum.data.fingerprints import take
from hilum.data.patients import normal, plain_identifier
from hilum.types import Fingerprints, HilumError

if TYPE_CHECKING:
    import pandas as pd

PATIENTS, FILMS = "seen_patients.csv", "seen_films.csv"
ROUNDS = 2000  # of PBKDF2: about a millisecond for a patient
SIZE = 16  # bytes of a digest
HASH = 32  # bytes of a perceptual hash
Known: TypeAlias = dict[str, frozenset[str]]  # digest of a patient -> digests at sources, or ""


@dataclass(frozen=True, slots=True)
class Print:
    """One decoded image as it is compared."""

    sha256: str
    perceptual: npt.NDArray[np.uint8]  # (32,)
    patient: str | None  # "dicom:<PatientID>", where a header has it


@dataclass(frozen=True, slots=True)
class Films:
    """Images as they are compared: one value of each kind per image, in one order."""

    sha256: tuple[str, ...]  # of the file's bytes
    hashes: npt.NDArray[np.uint8]  # (image, 32), see `data.fingerprints`
    patients: tuple[str | None, ...]  # "<dataset>:<number>", as a manifest has them
    sources: tuple[str | None, ...]

    @classmethod
    def listed(cls, table: "pd.DataFrame", fingerprints: Fingerprints) -> "Films":
        """The images of a manifest's table; HilumError for one without fingerprints."""
        prints = take(fingerprints, table["sample_id"].tolist())
        patients, sources = (
            tuple(table[name].astype(object).where(table[name].notna(), None))
            for name in ("patient_id", "source")
        )
        return cls(prints.bytes_sha256, prints.perceptual, patients, sources)

    @classmethod
    def printed(cls, prints: Sequence[Print]) -> "Films":
        """Images that were decoded one by one; their sources are unknown."""
        return cls(
            tuple(one.sha256 for one in prints),
            np.array([one.perceptual for one in prints], np.uint8).reshape(len(prints), HASH),
            tuple(one.patient for one in prints),
            (None,) * len(prints),
        )

    @classmethod
    def joined(cls, parts: "Sequence[Films]") -> "Films":
        """The images of parts, in this order."""
        return cls(
            tuple(key for part in parts for key in part.sha256),
            np.concatenate([np.zeros((0, HASH), np.uint8), *(part.hashes for part in parts)]),
            tuple(name for part in parts for name in part.patients),
            tuple(name for part in parts for name in part.sources),
        )

    def __add__(self, other: "Films") -> "Films":
        return Films.joined([self, other])


@dataclass(frozen=True, slots=True)
class BuiltOn:
    """The images that a model was fitted or chosen on; None where the folder lacks the file."""

    images: int
    nameless: int  # images whose patient is unknown
    salt: bytes
    rounds: int
    patients: Known | None
    films: dict[str, bytes] | None  # SHA-256 of a file -> its perceptual hash

    def record(self) -> dict[str, Any]:
        """What `model.json` says of it."""
        return {
            "images": self.images,
            "images_without_patient": self.nameless,
            "patients": len(self.patients or ()),
            "digest": "PBKDF2-HMAC-SHA256",
            "salt": self.salt.hex(),
            "rounds": self.rounds,
        }


def make_record(films: Films) -> BuiltOn:
    """The record of these images; the same images give the same salt and the same digests."""
    salt = hashlib.sha256(b"built on\n" + "\n".join(sorted(films.sha256)).encode()).digest()[:SIZE]
    named = list(zip(films.patients, films.sources, strict=True))
    digests = digested((name for name in films.patients if name), salt, ROUNDS)
    known: dict[str, set[str]] = {}
    for name, source in named:
        if name:
            slow = digests[name]
            known.setdefault(short(slow), set()).add(at_source(slow, source))
    return BuiltOn(
        images=len(named),
        nameless=sum(not name for name, _ in named),
        salt=salt,
        rounds=ROUNDS,
        patients={key: frozenset(places) for key, places in known.items()},
        films={
            key: bits.tobytes() for key, bits in zip(films.sha256, films.hashes, strict=True)
        },
    )  # fmt: skip


def extended(built: BuiltOn, films: Films) -> BuiltOn:
    """The record with further films; a part whose file was taken away stays away."""
    digests = digested((name for name in films.patients if name), built.salt, built.rounds)
    known = None if built.patients is None else {key: {*at} for key, at in built.patients.items()}
    for name, source in zip(films.patients, films.sources, strict=True):
        if name and known is not None:
            known.setdefault(short(digests[name]), set()).add(at_source(digests[name], source))
    hashes = zip(films.sha256, (bits.tobytes() for bits in films.hashes), strict=True)
    return BuiltOn(
        built.images + len(films.sha256),
        built.nameless + sum(not name for name in films.patients),
        built.salt,
        built.rounds,
        None if known is None else {key: frozenset(at) for key, at in known.items()},
        None if built.films is None else {**built.films, **dict(hashes)},
    )


def digested(patients: Iterable[str], salt: bytes, rounds: int) -> dict[str, bytes]:
    """Each patient's slow digest (32 bytes), computed once for each."""
    names = sorted({*patients})

    def one(name: str) -> bytes:
        return hashlib.pbkdf2_hmac("sha256", normal(name).encode(), salt, rounds)

    with ThreadPoolExecutor(files.available_cpus()) as pool:
        return dict(zip(names, pool.map(one, names), strict=True))


def at_source(slow: bytes, source: str | None) -> str:
    """A digest of patient and source, or "" where the source is unknown."""
    if not source:
        return ""
    return short(hashlib.sha256(slow + plain_identifier(source).encode()).digest())


def short(slow: bytes) -> str:
    """A digest as it is stored: the key of a patient in `BuiltOn.patients`."""
    return slow[:SIZE].hex()


def save_record(built: BuiltOn, folder: Path) -> None:
    """Write `seen_patients.csv` (patient, at_source) and `seen_films.csv` (sha256, perceptual)."""
    patients = built.patients or {}
    rows = [f"{key},{place}" for key in sorted(patients) for place in sorted(patients[key])]
    films = [f"{key},{bits.hex()}" for key, bits in sorted((built.films or {}).items())]
    for name, head, lines in (
        (PATIENTS, "patient,at_source", rows),
        (FILMS, "sha256,perceptual", films),
    ):
        with files.atomic_write(folder / name) as path:
            path.write_text("\n".join([head, *lines]) + "\n")


def load_record(folder: Path, record: dict[str, Any] | None) -> BuiltOn | None:
    """Read it back by what `model.json` says; None in a folder of an earlier version.

    A file may be taken away before a model is passed on: its part is None then. Raises HilumError
    for a file that is damaged.
    """
    if record is None:
        return None
    try:
        patients = _rows(folder / PATIENTS)
        films = _rows(folder / FILMS)
        built = BuiltOn(
            int(record["images"]),
            int(record["images_without_patient"]),
            bytes.fromhex(record["salt"]),
            int(record["rounds"]),
            _known(patients) if patients is not None else None,
            {key: bytes.fromhex(bits) for key, bits in films} if films is not None else None,
        )
        complete = built.patients is None or len(built.patients) == record["patients"]
        if not complete or any(len(bits) != HASH for bits in (built.films or {}).values()):
            raise ValueError("other numbers than model.json has")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HilumError(
            f"{PATIENTS} and {FILMS} of {folder} must be as hilum wrote them; got {error}; restore "
            "the folder."
        ) from None
    return built


def _rows(path: Path) -> list[tuple[str, str]] | None:
    if not path.is_file():
        return None
    lines = path.read_text().splitlines()[1:]
    cells = [line.split(",") for line in lines if line]
    return [(first, second) for first, second in cells]


def _known(rows: Sequence[tuple[str, str]]) -> Known:
    known: dict[str, set[str]] = {}
    for patient, place in rows:
        known.setdefault(patient, set()).add(place)
    return {key: frozenset(places) for key, places in known.items()}
