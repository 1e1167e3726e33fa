"""What a public dataset is: what is known of it, and how its published layout is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from hilum.types import Manifest

TORN = "images cut from publications: burnt-in letters, arrows, dates, lossy rescaling"
CONFOUNDED = (
    "COVID-19 and control images come from different collections: the source gives the label away"
)


Field: TypeAlias = Literal["behind the heart too", "beside the heart", "not stated"]
NOT_STATED: Field = "not stated"


@dataclass(frozen=True, slots=True)
class Convention:
    """How far the outlines of a set of lung masks reach, and who says so."""

    field: Field  # with the part of the lungs behind the heart, or along the heart's border
    source: str = ""

    def __str__(self) -> str:
        return f"{self.field} ({self.source})" if self.source else self.field


@dataclass(frozen=True, slots=True)
class Download:
    """A file that anyone can fetch without an account."""

    url: str
    sha256: str | None  # None: the publisher packs it again, so that no checksum can hold
    filename: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCard:
    """One public dataset as its publisher released it."""

    name: str
    title: str
    folder: str  # as published
    other_folders: tuple[str, ...] = ()  # names it has in other releases or archives
    licence: str
    citation: str
    homepage: str
    download: tuple[Download, ...] = ()
    access: str  # one sentence: where to get the files, where to put them
    modality: str
    label_map: Mapping[str, str] = field(default_factory=dict)  # the publisher's label -> class
    population: str
    single_age: Literal["children", "adults", "mixed", "unknown"]
    patient_ids: bool  # whether the publisher says which images are of one patient
    known_shortcuts: tuple[str, ...] = ()
    convention: Convention | None = None  # of its lung masks; None where it has none
    mixes: tuple[str, ...] = ()  # cards whose images it holds, or may hold some

    @property
    def folders(self) -> tuple[str, ...]:
        """Every name that its folder may have."""
        return self.folder, *self.other_folders

    @property
    def advice(self) -> str:
        """`access` as the end of a sentence."""
        return self.access[0].lower() + self.access[1:]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A row of the table: a card, and the reader of the layout that it describes."""

    card: DatasetCard
    recognises: Callable[[Path], bool]  # whether it lies in a folder; looks at names and headers
    read: Callable[[Path], Manifest]  # lists what lies in a folder; no image is decoded
    only_by_name: bool = False  # its class folders could be anybody's: the folder's name decides


def from_github(repository: str) -> tuple[Download, ...]:
    """The archive of a repository's default branch."""
    name = repository.partition("/")[2]
    address = f"https://github.com/{repository}/archive/refs/heads/master.zip"
    return (Download(address, None, f"{name}-master.zip"),)
