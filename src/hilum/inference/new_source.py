"""A batch of a hospital that no training image came from: recognised by its features, and said.

A gate judges one image. A hospital's films may each look ordinary and still lie apart together: for
them probabilities are not calibrated, and what looks unlike training is called by whatever it
resembles. Training keeps the features of some of its images in a few components; a batch is
compared with all mixtures of sources and classes among them (`two_sample`).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from hilum.inference import two_sample
from hilum.inference.stored_arrays import Arrays, digest_of, load_unchanged, save_arrays
from hilum.inference.two_sample import Indices, Known
from hilum.types import Floats, HilumError

State: TypeAlias = Literal["yes", "no", "not checked"]
FILE, KEY = "sources.safetensors", "new_source"  # in the model folder, and of `model.json`
COMPONENTS = 48  # of the features
LEAST = 10  # images of a batch: with fewer the test finds little
LEVEL = 0.02  # of p, below which a batch counts as another source's
LEAST_KNOWN, LEAST_GROUP = 40, 12  # images of training that are needed, in all and of a group
STEP, TOP = 0.05, 127  # standard deviations of a level, and the highest level that is kept
OTHERS = "others"
EARLIER = "an earlier version made the model's folder, which has no " + FILE
EXPORTED = "an exported model gives no features to compare"


@dataclass(frozen=True)
class SourceReference:
    """Features of training images in a few components, and which source and class each is of."""

    mean: Floats  # (feature,)
    projection: Floats  # (feature, component): components of unit variance in training
    levels: npt.NDArray[np.int8]  # (image, component) in steps of STEP
    group: Indices  # (image,)
    patient: Indices  # (image,) numbers without meaning
    groups: tuple[str, ...]  # "source, class"

    def project(self, features: Floats) -> Floats:
        """(image, feature) -> (image, component), each by itself: the same bits in any company."""
        out = np.empty((len(features), self.projection.shape[1]), np.float32)
        row = np.empty(len(self.mean), np.float32)  # one buffer: see `NumpyHead.logits`
        for place, values in enumerate(features):
            np.subtract(values, self.mean, out=row)
            out[place] = row @ self.projection
        return out

    @cached_property
    def known(self) -> Known:
        """What a batch is compared with."""
        return Known.of(self.levels.astype(np.float32) * STEP, self.group, self.patient)

    @property
    def digest(self) -> str:
        """SHA-256 of what is stored."""
        return digest_of(arrays(self), self.groups)

    def record(self) -> dict[str, Any]:
        """What `model.json` says of it."""
        counts = np.bincount(self.group, minlength=len(self.groups)).tolist()
        return {
            "file": FILE,
            "sha256": self.digest,
            "level": LEVEL,
            "least_images": LEAST,
            "groups": list(self.groups),
            "images": counts,
        }


@dataclass(frozen=True, slots=True)
class NewSource:
    """Whether images together are of another source than all of training, or why nobody knows."""

    state: State
    images: int  # that were compared
    p: float = float("nan")
    nearest: dict[str, float] = field(default_factory=dict)  # group -> share of the mixture
    why: str = ""  # it was not checked

    @property
    def apart(self) -> bool:
        """Whether they count as another source's."""
        return self.state == "yes"

    @property
    def reason(self) -> str:
        """Why each image is abstained from, or ""."""
        if not self.apart:
            return ""
        return (
            f"its source is new to the model, as {self.images:,} images together show (p = "
            f"{self.p:.3f}): probabilities are not calibrated there"
        )

    def sentence(self, accepted: bool = False) -> str:
        """What a person reads of answers to these images; "" where nothing speaks against them."""
        if not self.apart:
            return self.finding()
        then = (
            "The model answers all the same, as asked."
            if accepted
            else "The model abstains from them. To get answers, use --accept-new-source, and test "
            "the model on labelled images of this source first."
        )
        return f"{self.finding()} {then}"

    def finding(self, what: str = "These images") -> str:
        """The same of a test: what was found, or why it was not checked."""
        if self.state == "not checked":
            return f"Not checked: whether {_small(what)} come from a source of training. {self.why}"
        if not self.apart:
            return ""
        return (
            f"{what} come from a source that is new to the model: together, {self.images:,} of "
            f"them are unlike any mixture of its training images (p = {self.p:.3f}). Probabilities "
            "are not calibrated there."
        )

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "state": self.state,
            "images": self.images,
            "p": None if np.isnan(self.p) else round(self.p, 6),
            "level": LEVEL,
            "nearest": {name: round(share, 3) for name, share in self.nearest.items()},
            "why": self.why,
        }


def _small(what: str) -> str:
    return what[0].lower() + what[1:]


def judge(
    reference: SourceReference | str, points: Floats, patients: Sequence[str | None]
) -> NewSource:
    """Whether points (image, component) are of another source; rows of nan are not compared.

    `patients` (image,), where known, count once each, and so does a film that is there twice.
    """
    if isinstance(reference, str):
        return NewSource("not checked", 0, why=f"The reason: {reference}.")
    usable = np.flatnonzero(np.isfinite(points).all(axis=1))
    kept = usable[_first_of_each(patients[i] or _digest(points[i]) for i in usable.tolist())]
    if len(kept) < LEAST:
        what = "images" if len(kept) == len(points) else "images of different patients"
        why = f"That takes at least {LEAST} {what}; got {len(kept)}."
        return NewSource("not checked", len(kept), why=why)
    found = two_sample.measure_apart(reference.known, rows_at(points, kept))
    if found.used < LEAST:
        why = "Training had too few images of the kind that they resemble."
        return NewSource("not checked", len(kept), why=why)
    nearest = {
        name: float(share)
        for share, name in sorted(zip(found.shares, reference.groups, strict=True), reverse=True)
        if share > two_sample.NEGLIGIBLE
    }
    return NewSource("yes" if found.p <= LEVEL else "no", found.used, found.p, nearest)


def rows_at(points: Floats, places: Indices) -> Floats:
    """These rows of points (image, component); all of them without a copy."""
    return points if len(places) == len(points) else points[places]


def _digest(point: Floats) -> bytes:
    return hashlib.sha256(point.tobytes()).digest()


def _first_of_each(names: Iterable[str | bytes]) -> Indices:
    """Positions of the first image of each patient or, where unknown, of each film."""
    first: dict[str | bytes, int] = {}
    for position, name in enumerate(names):
        first.setdefault(name, position)
    return np.array(list(first.values()), np.int64)


def fit_reference(
    basis: Floats, features: Floats, groups: Sequence[tuple[str, str]], patients: Sequence[str]
) -> SourceReference:
    """The reference of `features` (image, feature), in components of `basis` (image, feature).

    The images of `basis` are others, or the components would fit `features` better than new images.
    `groups` (image,) are source and class; those with few images are taken together. Raises
    HilumError for too few images.
    """
    if len(features) < LEAST_KNOWN or len(basis) < LEAST_KNOWN:
        raise HilumError(
            f"sources are compared by {LEAST_KNOWN} images or more; got {len(features)} and "
            f"{len(basis)}; add images."
        )
    mean, projection = _components(basis)
    names, group = number_groups(groups)
    points = (features - mean) @ projection
    levels = np.clip(np.round(points / STEP), -TOP, TOP).astype(np.int8)
    _, patient = np.unique(np.array(patients, dtype=str), return_inverse=True)
    return SourceReference(mean, projection, levels, group, patient.astype(np.int64), names)


def extended(
    reference: SourceReference,
    features: Floats,
    groups: Sequence[tuple[str, str]],
    patients: Sequence[str],
) -> SourceReference:
    """The reference with `features` (image, feature) of another source, which is no longer new.

    `groups` (image,) are source and class; classes of few images count as one group.
    """
    points = reference.project(features)
    levels = np.clip(np.round(points / STEP), -TOP, TOP).astype(np.int8)
    names, group = number_groups(groups)
    named = tuple(f"{name} (adapted to)" for name in names)
    _, patient = np.unique(np.array(patients, dtype=str), return_inverse=True)
    return replace(
        reference,
        levels=np.concatenate([reference.levels, levels]),
        group=np.concatenate([reference.group, group + len(reference.groups)]),
        patient=np.concatenate([reference.patient, patient + 1 + reference.patient.max()]),
        groups=(*reference.groups, *named),
    )


def number_groups(groups: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], Indices]:
    """(image,) source and class -> names of groups, and each image's number among them.

    A group of few images is joined with the other small ones of its source, and those with all
    others.
    """
    pairs = [f"{source}, {label}" for source, label in groups]
    joined = _where_many(pairs, [f"{source}, {OTHERS}" for source, _ in groups])
    final = _where_many(joined, [OTHERS] * len(groups))
    if (few := final.count(OTHERS)) and few < LEAST_GROUP:  # too few even together
        largest = max(set(final) - {OTHERS}, key=final.count, default=OTHERS)
        final = [largest if name == OTHERS else name for name in final]
    names = sorted(set(final))
    return tuple(names), np.array([names.index(name) for name in final], np.int64)


def _where_many(names: list[str], otherwise: list[str]) -> list[str]:
    counts = Counter(names)
    return [
        name if counts[name] >= LEAST_GROUP else other
        for name, other in zip(names, otherwise, strict=True)
    ]


def _components(features: Floats) -> tuple[Floats, Floats]:
    """The mean (feature,), and (feature, component) that gives components of unit variance.

    Of standardised features. Pearson 1901, doi:10.1080/14786440109462720.
    """
    table = np.asarray(features, np.float64)
    mean, spread = table.mean(0), table.std(0)
    spread[spread < 1e-6] = np.inf  # what is constant here says nothing
    scaled = (table - mean) / spread
    gram = scaled @ scaled.T
    values, vectors = np.linalg.eigh(gram)
    kept = np.flatnonzero(values > 1e-6 * values[-1])[::-1][:COMPONENTS]
    axes = scaled.T @ vectors[:, kept] / values[kept]  # (feature, component), scores of length 1
    projection = axes * np.sqrt(len(table)) / spread[:, None]
    return mean.astype(np.float32), projection.astype(np.float16).astype(np.float32)


def arrays(reference: SourceReference) -> Arrays:
    """Every array by name, as its file holds them."""
    return {
        "mean": np.ascontiguousarray(reference.mean, np.float32),
        "projection": np.ascontiguousarray(reference.projection, np.float16),
        "levels": np.ascontiguousarray(reference.levels),
        "group": reference.group.astype(np.int32),
        "patient": reference.patient.astype(np.int32),
    }


def as_record(reference: SourceReference | str) -> dict[str, Any]:
    """What `model.json` has of it, or of the reason why there is none."""
    if isinstance(reference, str):
        return {} if reference == EARLIER else {KEY: {"why": reference}}
    return {KEY: reference.record()}


def save_reference(reference: SourceReference | str, folder: Path) -> None:
    """Write `sources.safetensors` to a model folder, where there is a reference."""
    if isinstance(reference, str):
        (folder / FILE).unlink(missing_ok=True)  # of the model that lay there before
        return
    save_arrays(arrays(reference), folder / FILE)


def load_reference(folder: Path, record: Mapping[str, Any] | None) -> SourceReference | str:
    """Read it back by what `model.json` says; without it the reason why there is none.

    Raises HilumError where the file is not the one that was written.
    """
    if record is None or "why" in record:
        return EARLIER if record is None else str(record["why"])
    if not (folder / FILE).is_file():
        return f"the model's folder has no {FILE}"

    def build(read: dict[str, Any]) -> SourceReference:
        return SourceReference(
            read["mean"], read["projection"].astype(np.float32), read["levels"],
            read["group"].astype(np.int64), read["patient"].astype(np.int64),
            tuple(record["groups"]),
        )  # fmt: skip

    return load_unchanged(
        folder / FILE, build, record, "delete the file to go on without the check"
    )
