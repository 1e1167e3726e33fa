"""Leaks: the same patient or the same image on both sides of a boundary.

What leaks do to published results: Kapoor & Narayanan 2023, doi:10.1016/j.patter.2023.100804.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.data.duplicates import NearPairs, near_pairs
from hilum.data.fingerprints import join, take
from hilum.data.patients import normal
from hilum.types import Fingerprints, Leak, Manifest, Split

Kind: TypeAlias = Literal["same patient", "same bytes", "same pixels", "near duplicate"]
Side: TypeAlias = tuple[Manifest, Fingerprints]

SIDES = ("first", "second")
TWIN_COLUMNS = (
    "first",
    "second",
    "kind",
    "distance",
    "first_label",
    "second_label",
    "first_patient",
    "second_patient",
    "labels_differ",
    "patients_differ",
)


@dataclass(frozen=True, slots=True)
class _Related:
    """Positions (pair, 2) with first < second, of one kind; bits that differ (pair,), or NaN."""

    kind: Kind
    pairs: npt.NDArray[np.int64]
    distance: npt.NDArray[np.float64]


def find_leaks(split: Split, manifest: Manifest, fingerprints: Fingerprints) -> list[Leak]:
    """Find what occurs in two parts of one fold: patients, and images (identical or nearly so).

    A pair of images counts once as images, with the strongest of same bytes, same pixels and
    near duplicate, and once as patients where it is one patient's: the two are separate faults.
    Raises HilumError where an image of the manifest has no fingerprints.
    """
    ids = manifest.table["sample_id"].tolist()
    related = [*_images(take(fingerprints, ids)), _patients(manifest.table["patient_id"])]
    leaks: list[Leak] = []
    for fold, rows in split.table.groupby("fold", sort=True):
        parts = rows.set_index("sample_id")["part"].reindex(ids).to_numpy(dtype=object)
        for relation in related:
            leaks += _across(relation, ids, parts, int(str(fold)))
    return leaks


def between(first: Side, second: Side, names: tuple[str, str] = ("first", "second")) -> list[Leak]:
    """Find what two sets (manifest, fingerprints) share, such as training data and external test.

    Patients are compared by their numbers, however the sets were handed in (`patients.normal`).
    `names` are what `first_part` and `second_part` of each leak are called; they may be equal.
    """
    sets = [(m.table, take(f, m.table["sample_id"].tolist())) for m, f in (first, second)]
    table = pd.concat([item for item, _ in sets], ignore_index=True)
    parts = np.repeat(np.array(SIDES, dtype=object), [len(item) for item, _ in sets])
    people = table["patient_id"].map(normal, na_action="ignore")
    related = [*_images(join(sets[0][1], sets[1][1])), _patients(people)]
    ids = table["sample_id"].tolist()
    leaks = [leak for relation in related for leak in _across(relation, ids, parts, 0)]
    called = dict(zip(SIDES, names, strict=True))
    return [
        replace(leak, first_part=called[leak.first_part], second_part=called[leak.second_part])
        for leak in leaks
    ]


def within(manifest: Manifest, fingerprints: Fingerprints) -> pd.DataFrame:
    """Duplicates inside one set (TWIN_COLUMNS), and whether labels or patients contradict."""
    table = manifest.table.reset_index(drop=True)
    related = _images(take(fingerprints, table["sample_id"].tolist()))
    twins = pd.concat([_as_table(relation) for relation in related], ignore_index=True)
    for side in ("first", "second"):
        rows = table.iloc[twins[side].to_numpy(dtype=np.int64)].reset_index(drop=True)
        twins[side] = rows["sample_id"]
        twins[f"{side}_label"], twins[f"{side}_patient"] = rows["label"], rows["patient_id"]
    for what in ("label", "patient"):
        one, other = twins[f"first_{what}"], twins[f"second_{what}"]
        twins[f"{what}s_differ"] = one.notna() & other.notna() & one.ne(other).fillna(value=False)
    return twins[list(TWIN_COLUMNS)]


def clusters(manifest: Manifest, fingerprints: Fingerprints) -> pd.Series:
    """Name each image's cluster of duplicates, indexed by sample_id: its first member by name."""
    ids = manifest.table["sample_id"].tolist()
    pairs = [twins.pairs for twins in _images(take(fingerprints, ids))]
    return groups(np.concatenate(pairs), ids)


def groups(pairs: npt.NDArray[np.int64] | NearPairs, sample_ids: Sequence[str]) -> pd.Series:
    """Connected components of pairs (pair, 2) of positions; a position without a pair is alone."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = (pairs.first, pairs.second) if isinstance(pairs, NearPairs) else pairs.T
    size = len(sample_ids)
    links = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(size, size))
    _, component = connected_components(links, directed=False)
    index = pd.Index(sample_ids, name="sample_id")
    names = pd.Series(index, index=index, dtype="str", name="cluster")
    together = np.bincount(component, minlength=1)[component] > 1
    first = names[together].groupby(component[together]).transform("min")
    names[together] = first.to_numpy()
    return names


def _images(fingerprints: Fingerprints) -> list[_Related]:
    """Pairs of twins, each once with its strongest kind."""
    near = near_pairs(fingerprints)
    related = [
        _equal("same bytes", pd.Series(fingerprints.bytes_sha256, dtype=object)),
        _equal("same pixels", pd.Series(fingerprints.pixels_sha256, dtype=object)),
        _Related("near duplicate", np.stack([near.first, near.second], 1), near.bits.astype(float)),
    ]
    size, seen = len(fingerprints.sample_ids), np.empty(0, np.int64)
    for i, item in enumerate(related):
        codes = item.pairs[:, 0] * size + item.pairs[:, 1]
        new = ~np.isin(codes, seen)
        related[i] = _Related(item.kind, item.pairs[new], item.distance[new])
        seen = np.concatenate([seen, codes])
    return related


def _patients(patients: pd.Series) -> _Related:
    return _equal("same patient", patients.reset_index(drop=True))


def _equal(kind: Kind, keys: pd.Series) -> _Related:
    """All pairs of positions with the same key; missing keys equal nothing."""
    shared = keys[keys.notna() & keys.duplicated(keep=False)]
    parts = [np.empty((0, 2), np.int64)]
    for places in shared.groupby(shared).indices.values():
        members = shared.index.to_numpy()[places]
        one, other = np.triu_indices(len(members), 1)
        parts.append(np.stack([members[one], members[other]], axis=1))
    pairs = np.concatenate(parts)
    return _Related(kind, pairs, np.full(len(pairs), np.nan))


def _across(
    relation: _Related, ids: Sequence[Hashable], parts: npt.NDArray[np.object_], fold: int
) -> list[Leak]:
    """Leaks among the pairs whose images have parts (image,), and different ones."""
    one, other = parts[relation.pairs[:, 0]], parts[relation.pairs[:, 1]]
    apart = ~pd.isna(one) & ~pd.isna(other) & (one != other)
    return [
        Leak(
            relation.kind,
            fold,
            str(ids[first]),
            str(parts[first]),
            str(ids[second]),
            str(parts[second]),
            None if np.isnan(distance) else float(distance),
        )
        for (first, second), distance in zip(
            relation.pairs[apart], relation.distance[apart], strict=True
        )
    ]


def _as_table(relation: _Related) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "first": relation.pairs[:, 0],
            "second": relation.pairs[:, 1],
            "kind": pd.Series([relation.kind] * len(relation.pairs), dtype="str"),
            "distance": relation.distance,
        }
    )
