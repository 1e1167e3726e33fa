"""Splits: which images train, validate and test; no patient is on two sides.

What slices of one patient on both sides do to a result: Yagis et al. 2021,
doi:10.1038/s41598-021-01681-w.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.data.stratify import fill_strata
from hilum.types import SPLIT_COLUMNS, HilumError, Manifest, Split, counted

GroupBy: TypeAlias = Literal["patient", "image", "cluster", "site"]
Parts: TypeAlias = npt.NDArray[np.object_]  # (image,) names of parts

_OFFICIAL = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class SplitFractions:
    """Share of all images that test, and share of the others that validate (0: none)."""

    test: float = 0.2
    validation: float = 0.15


@dataclass(frozen=True, slots=True)
class _Pool:
    """Images in the order of their names: name, group and class of each (image,), class names."""

    ids: npt.NDArray[np.object_]
    group: npt.NDArray[np.int64]
    inner: npt.NDArray[np.int64]  # what validation is carved by: patients where sites are tested
    label: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    grouped_by: GroupBy
    seed: int
    notes: tuple[str, ...]
    tied: str  # what images that stay together are, where near duplicates do as well


_Grouped: TypeAlias = tuple[_Pool, npt.NDArray[np.int64]]  # and the groups (image,) in use


def holdout(
    manifest: Manifest,
    shares: SplitFractions,
    seed: int,
    group: GroupBy = "patient",
    clusters: pd.Series | None = None,
) -> Split:
    """Divide once into train, validation and test, stratified by label, whole groups only.

    Groups are patients, and an image without a patient is its own group. Where `clusters`
    (sample_id -> name) are given, near duplicates stay together as well, of whichever patients;
    group "cluster" insists on them. Group "site" tests on sites that training never saw, a source
    without sites being one as a whole; validation is carved by patient from the others. With
    single images as groups the counts are exact, by largest remainders. Raises HilumError for
    shares, seeds and data that leave a part empty.
    """
    pool = _make_pool(manifest, seed, group, clusters)
    _require_share("test share", shares.test, above=0)
    parts = np.full(len(pool.ids), "train", dtype=object)
    _set_aside((pool, pool.group), parts, "test", shares.test, (0, 0))
    _set_aside((pool, pool.inner), parts, "validation", shares.validation, (0, 1))
    return _split(pool, "holdout", [parts])


def kfold(
    manifest: Manifest,
    folds: int,
    validation: float,
    seed: int,
    group: GroupBy = "patient",
    clusters: pd.Series | None = None,
) -> Split:
    """Test each image in exactly one fold; `validation` is a share of the fold's other images.

    Groups as in `holdout`.
    Raises HilumError where a class has fewer groups than there are folds.
    Stone 1974, doi:10.1111/j.2517-6161.1974.tb00994.x.
    """
    pool = _make_pool(manifest, seed, group, clusters)
    if folds < 2:
        raise HilumError(f"folds must be at least 2; got {folds}; choose 5, for instance.")
    everyone = np.ones(len(pool.ids), dtype=bool)
    tested = _assign((pool, pool.group), everyone, [1 / folds] * folds, (1, 0))
    return _rotate(pool, tested, validation)


def folds_given(
    manifest: Manifest,
    tested: pd.Series,
    validation: float,
    seed: int,
    group: GroupBy = "patient",
    clusters: pd.Series | None = None,
) -> Split:
    """As `kfold`, each image tested in the fold that `tested` (sample_id -> 0, 1, ...) says."""
    pool = _make_pool(manifest, seed, group, clusters)
    return _rotate(pool, tested.reindex(pool.ids).to_numpy(dtype=np.int64), validation)


def _rotate(pool: _Pool, tested: npt.NDArray[np.int64], validation: float) -> Split:
    """Each fold (image,) tested once; validation carved from the fold's other images."""
    folds = []
    for fold in range(int(tested.max()) + 1):
        parts = np.where(tested == fold, "test", "train").astype(object)
        _set_aside((pool, pool.inner), parts, "validation", validation, (1, 1 + fold))
        folds.append(parts)
    return _split(pool, "kfold", folds)


def official(
    manifest: Manifest,
    validation: float | None,
    seed: int,
    group: GroupBy = "patient",
    clusters: pd.Series | None = None,
) -> Split:
    """Keep the publisher's test images; carve `validation`, a share, from all of the others.

    With `validation` None the publisher's own validation images stay as they are.
    Raises HilumError where the publisher's parts are missing.
    """
    pool = _make_pool(manifest, seed, group, clusters)
    known = manifest.table.set_index("sample_id")["official_part"].reindex(pool.ids)
    _require_official(known, validation)
    parts = known.to_numpy(dtype=object).copy()
    if validation is not None:
        parts[parts == "validation"] = "train"
        _set_aside((pool, pool.inner), parts, "validation", validation, (2, 0))
    return _split(pool, "official", [parts])


def _require_official(known: pd.Series, validation: float | None) -> None:
    absent = int(known.isna().sum())
    if absent:
        raise HilumError(
            f"an official split needs the publisher's part of every image; got none for {absent} "
            f"of {len(known)}; choose holdout or kfold."
        )
    parts = set(known)
    wanted = {"train", "test"} | (set() if validation is not None else {"validation"})
    if not wanted <= parts <= set(_OFFICIAL):
        raise HilumError(
            f"official parts must be {', '.join(p for p in _OFFICIAL if p in wanted)}; "
            f"got {', '.join(sorted(map(str, parts)))}; choose holdout or kfold."
        )


def _make_pool(manifest: Manifest, seed: int, group: GroupBy, clusters: pd.Series | None) -> _Pool:
    if seed < 0:
        raise HilumError(f"seed must not be negative; got {seed}; choose 0, for instance.")
    table = manifest.table.sort_values("sample_id", kind="stable").reset_index(drop=True)
    unlabelled = int(table["label"].isna().sum())
    if unlabelled:
        raise HilumError(
            f"every image must have a label to be split; got {unlabelled} of {len(table)} "
            "without one; label them or leave them out."
        )
    label, names = pd.factorize(table["label"], sort=True)
    if len(names) < 2:
        raise HilumError(
            "at least two classes are needed to split; got "
            f"{', '.join(map(str, names)) or 'none'}; add images of another class."
        )
    return _Pool(
        table["sample_id"].to_numpy(dtype=object),
        _groups(table, group, clusters),
        _groups(table, "patient" if group == "site" else group, clusters),
        label.astype(np.int64),
        tuple(map(str, names)),
        group,
        seed,
        _notes(table, group, clusters),
        "" if clusters is None or group == "image" else _grouping_words(table["patient_id"]),
    )


def _groups(
    table: pd.DataFrame, group: GroupBy, clusters: pd.Series | None
) -> npt.NDArray[np.int64]:
    """Number of each image's group (image,): images tied by patient or cluster share one."""
    if group not in get_args(GroupBy):
        raise HilumError(f"group is one of {', '.join(get_args(GroupBy))}; got {group!r}.")
    if group == "image":
        return np.arange(len(table))
    if clusters is None and group == "cluster":
        raise HilumError(
            "group 'cluster' needs each image's cluster; got none; ingest the images first."
        )
    keys = [table["patient_id"]]
    keys += [table["sample_id"].map(clusters)] if clusters is not None else []
    keys += [_sites(table)] if group == "site" else []
    return _components(keys)


def _sites(table: pd.DataFrame) -> pd.Series:
    """Each image's site (image,), its whole source where no site is known."""
    unknown = int(table["source"].isna().sum())
    if unknown:
        raise HilumError(
            f"group 'site' needs each image's source; got none for {unknown} of {len(table)}; "
            "fill it in, or group by patient."
        )
    return table["source"].astype(str) + "/" + table["site"].fillna("").astype(str)


def _components(keys: Sequence[pd.Series]) -> npt.NDArray[np.int64]:
    """Connected components (image,) where equal keys tie images; a missing key ties nothing."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    codes = [pd.factorize(key)[0] for key in keys]
    size = len(codes[0])
    images = np.concatenate([np.flatnonzero(code >= 0) for code in codes])
    offsets = np.cumsum([size, *(int(code.max(initial=-1)) + 1 for code in codes)])
    hubs = np.concatenate([c[c >= 0] + at for c, at in zip(codes, offsets, strict=False)])
    shape = (int(offsets[-1]), int(offsets[-1]))
    links = coo_array((np.ones(len(images), np.int8), (images, hubs)), shape=shape)
    components = connected_components(links, directed=False)[1][:size]
    return np.asarray(pd.factorize(components)[0], np.int64)


def _notes(table: pd.DataFrame, group: GroupBy, clusters: pd.Series | None) -> tuple[str, ...]:
    unknown = int(table["patient_id"].isna().sum())
    notes = []
    if unknown:
        notes.append(
            f"{counted(unknown, 'image')} without a patient identifier: leakage between patients "
            "cannot be excluded"
        )
    if unknown and clusters is not None and group != "image":
        notes.append("near-duplicate images were kept together instead of patients")
    if group == "image" and unknown < len(table):
        notes.append("split by image: images of one patient may be in several parts")
    return tuple(notes)


def _grouping_words(patients: pd.Series) -> str:
    unknown = int(patients.isna().sum())
    if not unknown:
        return "of one patient or near duplicates"
    who = "near duplicates" if unknown == len(patients) else "of one patient or near duplicates"
    return (
        f"{who} (the patients of {unknown:,} of {len(patients):,} images are unknown; hilum data "
        "scan may say why)"
    )


def _require_share(what: str, share: float, above: float | None = None) -> None:
    low = "above 0" if above is not None else "at least 0"
    if not 0 <= share < 1 or (above is not None and share <= above):
        raise HilumError(
            f"{what} must be {low} and below 1; got {share}; choose 0.2, for instance."
        )


def _set_aside(
    grouped: _Grouped, parts: Parts, name: str, share: float, stream: tuple[int, int]
) -> None:
    """Turn `share` of the train images in `parts` (image,) into part `name`, whole groups."""
    _require_share(f"{name} share", share)
    if share == 0:
        return
    free = parts == "train"
    side = _assign(grouped, free, [1 - share, share], stream)
    parts[free & (side == 1)] = name


def _assign(
    grouped: _Grouped,
    free: npt.NDArray[np.bool_],
    shares: Sequence[float],
    stream: tuple[int, int],
) -> npt.NDArray[np.int64]:
    """Bin (image,) of each free image, -1 elsewhere; bins hold `shares` of every class."""
    pool, numbers = grouped
    groups, inverse = np.unique(numbers[free], return_inverse=True)
    counts = np.zeros((len(groups), len(pool.classes)), np.int64)
    np.add.at(counts, (inverse, pool.label[free]), 1)
    _require_groups(pool, counts, len(shares))
    rng = np.random.default_rng([pool.seed, *stream])
    bins = np.full(len(pool.ids), -1, np.int64)
    bins[free] = fill_strata(counts, np.asarray(shares, np.float64), rng)[inverse]
    return bins


def _require_groups(pool: _Pool, counts: npt.NDArray[np.int64], bins: int) -> None:
    held = (counts > 0).sum(axis=0)
    for name, have, images in zip(pool.classes, held, counts.sum(axis=0), strict=True):
        if have < bins:
            why = f", whose {images} images are {pool.tied}" if pool.tied and images >= bins else ""
            raise HilumError(
                f"expected at least as many {pool.grouped_by}s per class as folds or parts "
                f"({bins}); got {have} for {name!r}{why}; merge classes, add data or lower folds."
            )


def _split(
    pool: _Pool, kind: Literal["holdout", "kfold", "official"], folds: Sequence[Parts]
) -> Split:
    tables = [
        pd.DataFrame({"sample_id": pool.ids, "fold": fold, "part": parts})
        for fold, parts in enumerate(folds)
    ]
    table = pd.concat(tables, ignore_index=True).astype({"sample_id": "str", "part": "str"})
    notes = (*pool.notes, *_missing_classes(pool, folds))
    return Split(table[list(SPLIT_COLUMNS)], kind, pool.grouped_by, pool.seed, notes)


def _missing_classes(pool: _Pool, folds: Sequence[Parts]) -> list[str]:
    """Say which part lacks a class, as patients with several labels can bring about."""
    gaps = []
    for fold, parts in enumerate(folds):
        for part in sorted(set(parts)):
            present = set(pool.label[parts == part])
            absent = [name for i, name in enumerate(pool.classes) if i not in present]
            gaps += [f"{part} of fold {fold} has no image of {name}" for name in absent]
    return gaps
