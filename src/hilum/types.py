"""The frozen records that travel between packages, and the array aliases.

Tables are pandas data frames; the columns each must have are next to its record, and
`require_columns` checks them where a table enters a package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from hilum import notebook

if TYPE_CHECKING:
    import pandas as pd  # 0.3 s that `hilum --help` need not pay

NOTICE = "Research use only. Not for clinical use."

Grey8: TypeAlias = npt.NDArray[np.uint8]  # (height, width)
GreyImage: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.float32]  # (height, width)
Stack8: TypeAlias = npt.NDArray[np.uint8]  # (image, height, width)
Floats: TypeAlias = npt.NDArray[np.float32]  # features: (view, image, feature) or (image, feature)
Probabilities: TypeAlias = npt.NDArray[np.float64]  # (image, class), rows sum to 1
Labels: TypeAlias = npt.NDArray[np.int64]  # (image,) indices into the class list
Mask: TypeAlias = npt.NDArray[np.bool_]  # (height, width)

MANIFEST_COLUMNS = (
    "sample_id",  # unique; "<dataset>/<path below the dataset's root>"
    "path",  # absolute path of the image
    "label",  # class name, see CLASS_NAMES; missing only in a manifest of unlabelled images
    "patient_id",  # unique to a person across datasets ("<dataset>:<id>"), or missing
    "source",  # the hospital or collection that the image comes from
    "site",  # within a collection: the hospital or publisher of the image, or missing
    "dataset",  # name of the dataset's card, "folder", "table" or "dicom"
    "finding",  # the publisher's own label, as found
    "official_part",  # the publisher's own split: "train", "validation", "test", or missing
    "view",  # "PA", "AP", "AP supine", "lateral", "axial", or missing
    "modality",  # "X-ray", "CT", or missing
    "age",  # years, or missing
    "sex",  # "F", "M", or missing
    "sha256",  # of the file's bytes; missing until something has read them
    "licence",
    "mask_path",  # lung mask, or missing
)
SPLIT_COLUMNS = ("sample_id", "fold", "part")  # part: "train", "validation", "test"
PREDICTION_COLUMNS = ("cell", "sample_id", "path", "patient_id", "source", "fold", "seed", "label")
HISTORY_COLUMNS = ("cell", "fold", "seed", "stage", "epoch", "part", "loss", "accuracy")
CLASS_NAMES = {
    "covid19": "COVID-19",
    "normal": "normal",
    "pneumonia": "pneumonia",
    "bacterial_pneumonia": "bacterial pneumonia",
    "viral_pneumonia": "viral pneumonia",
    "non_covid": "not COVID-19",
}  # the fixed names; a user's own folders may bring others


class HilumError(Exception):
    """Something the user can correct, said in one sentence: expected, got, what to do. Exit code 2.

    >>> import hilum
    >>> try:
    ...     hilum.load_recipe("zhang2023")
    ... except hilum.HilumError as error:
    ...     print(error)
    recipe must be a TOML file or one of ...; got 'zhang2023'; did you mean 'zhang2022'?
    """

    exit_code = 2

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without calling `__init__` again, whatever arguments a subclass needs."""
        return BaseException.__new__, (type(self), *self.args), self.__dict__


class MissingError(HilumError):
    """Data or weights that are not on this machine; says what to fetch, where to put it. Exit 3.

    >>> import hilum
    >>> try:
    ...     hilum.load_model("nowhere")
    ... except hilum.MissingError as error:
    ...     print(error)
    a model folder contains model.json; got 'nowhere' without it; name a finished run's folder, ...
    """

    exit_code = 3


class HilumWarning(UserWarning):
    """Something that changes how a result is made, said in one sentence."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What a step did not use, and why: one thing, or several of a kind with a few examples.

    `names` are all of the several, one each; empty where `what` is one thing, or they are not kept.
    """

    what: str
    reason: str
    count: int = 1
    names: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Image:
    """One decoded image: pixels (height, width), uint8 or float32 in [0, 1], and its facts.

    >>> import hilum
    >>> image = hilum.read_image("film.png")
    >>> image.pixels.shape, image.pixels.dtype.name
    ((96, 96), 'uint8')
    """

    pixels: GreyImage
    facts: dict[str, Any] = field(default_factory=dict)  # DICOM: patient_id, view, modality, age...
    sha256: str = ""  # of the bytes that were decoded, where that was asked for


@dataclass(frozen=True, slots=True)
class Manifest:
    """One row per image (MANIFEST_COLUMNS), and what was left out while reading.

    >>> import hilum
    >>> manifest = hilum.open_data("films")
    >>> manifest.table.iloc[0]["label"], manifest.left_out
    ('covid19', ())
    """

    table: pd.DataFrame
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()  # what a reader must tell the reader of the report


@dataclass(frozen=True, slots=True)
class Split:
    """Which part each image plays in each fold (SPLIT_COLUMNS: one row per fold and image)."""

    table: pd.DataFrame
    kind: Literal["holdout", "kfold", "official"]
    grouped_by: Literal["patient", "image", "cluster", "site"]
    seed: int
    notes: tuple[str, ...] = ()


class Prepares(Protocol):
    """What turns a decoded image into prepared pixels; the pixel store needs no more than this."""

    @property
    def digest(self) -> str:
        """Hash of the declared steps and their version."""

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of what comes out."""

    @property
    def decode_side(self) -> int | None:
        """The shorter side that the decoder must at least deliver, or None for full size."""

    def __call__(self, pixels: GreyImage) -> Grey8:
        """(height, width), any size -> prepared uint8 of `shape`."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """Prepared images (image, height, width), memory-mapped, row i for `sample_ids[i]`."""

    stack: Stack8
    sample_ids: tuple[str, ...]
    digest: str  # of the content: every file's hash and the preparation


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """What the leak check compares: one row per image, in the order of `sample_ids`."""

    sample_ids: tuple[str, ...]
    bytes_sha256: tuple[str, ...]
    pixels_sha256: tuple[str, ...]
    perceptual: npt.NDArray[np.uint8]  # (image, bytes of the perceptual hash)
    thumbnails: npt.NDArray[np.uint8]  # (image, side, side): to confirm a near duplicate
    searched: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Score:
    """One figure: value, k of n where it is a proportion, and its 95% interval.

    >>> import hilum
    >>> score = hilum.Score("main", "accuracy", "overall", 0.9, 45, 50, 0.79, 0.96, "wilson")
    >>> f"{score.value:.0%}: {score.k} of {score.n} ({score.low:.0%} to {score.high:.0%})"
    '90%: 45 of 50 (79% to 96%)'
    """

    cell: str
    name: str
    class_: str  # a class name, "macro", "micro" or "overall"
    value: float
    k: int | None
    n: int | None
    low: float | None
    high: float | None
    method: str  # how the interval was made: "wilson", "bootstrap by patient", ...
    stamp: str = ""  # what audits of the images alone say: "pass", "fail: C-02; warn: C-03", ...
    over: tuple[str, ...] = ()  # of an average: the classes with test images, where some have none

    def _repr_html_(self) -> str:
        return notebook.score(asdict(self), NOTICE)


@dataclass(frozen=True, slots=True)
class Published:
    """One number of a paper next to ours.

    >>> import hilum
    >>> row = hilum.Published("Table 1", "accuracy", "overall", 0.98, 0.9, 0.8, 0.95, agrees=False)
    >>> row.published > row.high
    True
    """

    where: str
    name: str
    class_: str
    published: float
    measured: float | None
    low: float | None
    high: float | None
    agrees: bool | None  # None: not measured in this run
    threshold: float | None = None  # the class is called from there on; None: the most probable
    k: int | None = None  # of ours, where it is a proportion
    n: int | None = None


Status: TypeAlias = Literal["pass", "warn", "fail", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One audit's outcome.

    >>> import hilum
    >>> findings = {finding.id: finding for finding in hilum.audit("out", "audited").audits}
    >>> findings["C-10"].title, findings["C-10"].status in ("pass", "warn", "fail", "unknown")
    ('Patients on both sides', True)
    """

    id: str
    status: Status
    value: float | None
    rule: str
    reference: str
    sentence: str
    title: str = ""
    low: float | None = None  # of the figure's 95% interval
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Leak:
    """Two images on both sides of a split boundary that must not be there."""

    kind: Literal["same patient", "same bytes", "same pixels", "near duplicate", "augmented copy"]
    fold: int
    first: str  # sample_id
    first_part: str
    second: str
    second_part: str
    distance: float | None = None


@dataclass(frozen=True, slots=True)
class Results:
    """What `results.json` holds; every other output can be drawn from this and the tables.

    >>> import json, pathlib, hilum
    >>> stored = json.loads(pathlib.Path("out/results.json").read_text())
    >>> results = hilum.Results.from_json(stored)
    >>> results.recipe, results.classes
    ('demo', ['covid19', 'normal'])
    """

    recipe: str
    mode: str
    classes: list[str]
    n: dict[str, Any]
    scores: list[Score]
    published: list[Published]
    audits: list[Finding]
    verdict: str
    environment: dict[str, Any]
    data: dict[str, Any]  # per set: card facts, notes; left_out: [{what, reason}]
    split: dict[str, Any]  # kind, folds, grouped_by, seed, counts, notes, leaks: [{...}]
    model: dict[str, Any]  # cell, fold, backbone, weights, preparation, head, temperature
    limits: list[str]
    title: str = ""
    notice: str = NOTICE
    tasks: list[dict[str, Any]] = field(default_factory=list)  # name, title, verdict, report, ...
    left_to_audit: list[str] = field(default_factory=list)  # audits that were not made, for cost
    replication: str = ""  # where the run departs from the paper that `published` is of, in words
    departures: list[dict[str, Any]] = field(default_factory=list)  # key, paper, ran, because

    def as_json(self) -> dict[str, Any]:
        """The dictionary that `results.json` stores; `class_` is written as "class"."""
        plain = asdict(self)
        for name in ("scores", "published"):
            plain[name] = [{k.rstrip("_"): v for k, v in row.items()} for row in plain[name]]
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Results:
        """What `as_json` gave, read back; a score's null is nan again."""
        rows = {
            name: [{"class_" if k == "class" else k: v for k, v in row.items()} for row in found]
            for name, found in ((name, plain[name]) for name in ("scores", "published"))
        }
        scores = [
            Score(**row | {"value": _nan(row["value"]), "over": tuple(row.get("over", ()))})
            for row in rows["scores"]
        ]
        told: dict[str, Any] = {
            "scores": scores,
            "published": [Published(**row) for row in rows["published"]],
            "audits": [Finding(**row) for row in plain["audits"]],
        }
        return cls(**{**plain, **told})

    def _repr_html_(self) -> str:
        return notebook.results(self.as_json())


def _nan(value: float | None) -> float:
    return float("nan") if value is None else value


def counted(number: int, noun: str) -> str:
    """A number of things in words: "1 image", "1,200 images"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def told_apart(value: float, limit: float, digits: int = 2, kind: str = "f") -> tuple[str, str]:
    """A measured figure and its limit, with so many digits, or as many more as tell them apart."""
    for places in range(digits, 18):
        words = f"{value:.{places}{kind}}", f"{limit:.{places}{kind}}"
        if words[0] != words[1]:
            break
    return words


def shown_probability(p: float) -> str:
    """A probability after the letter p: "= 0.731", and never 1 or 0, which no model can know."""
    return "> 0.999" if p >= 0.9995 else "< 0.001" if p < 0.0005 else f"= {p:.3f}"


def require_columns(table: pd.DataFrame, wanted: Sequence[str], what: str) -> None:
    """Raise HilumError unless `table` has every column in `expected`."""
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        raise HilumError(
            f"{what} must have the columns {', '.join(wanted)}; "
            f"got a table without {', '.join(missing)}; add them."
        )


def nearest_names(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """The known names that are most like a wrong one, in any case; none if all differ much."""
    from difflib import get_close_matches  # most runs never need it

    by_small = {other.casefold(): other for other in known}
    return [by_small[small] for small in get_close_matches(str(name).casefold(), by_small, most)]


def nearest_name(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """The end of a sentence about a wrong name: the nearest known one, else `otherwise`, or all."""
    names = [*known]
    near = nearest_names(name, names)
    return f"did you mean {near[0]!r}?" if near else otherwise or f"known are {', '.join(names)}."


def as_path(value: str | Path) -> Path:
    """Absolute path, `~` expanded; HilumError for what is no path, or empty."""
    return given_path(value).expanduser().resolve()


def given_path(value: object) -> Path:
    """A path as it was given; HilumError for what is none, or empty."""
    if not isinstance(value, str | PathLike) or not str(value).strip():
        raise HilumError(
            f"a path must be text or a Path, and not empty; got {value!r}; name a file or folder."
        )
    return Path(value)
