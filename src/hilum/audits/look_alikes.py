"""Images without a patient, gathered by their looks.

Which likeness means one patient is read off the images themselves: those of different classes are
of different patients, so the limit is what one image in a hundred exceeds with its nearest image of
another class. On 368 slices of COVID-CT, whose patients are known, features of EfficientNet-Lite0
bring half of the slices to a sibling (cosines above 0.98, the usual limit: 3%) and 7% to a
look-alike; the nearest other image has the right label for 86%, for 75% once clusters stay
together, and for 68% once patients do. Clusters show a leak and undo most of it; they are no
patients.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.audits.evidence import Evidence
from hilum.data import duplicates
from hilum.types import Fingerprints, Floats, Labels

STRANGERS = 0.99  # quantile of the likeness of images that are certainly of different patients
LEAST = 0.5  # likeness below which nothing is one patient's: classes may come from different places
ALIKE = 0.98  # where there is one class, and no limit can be read off
KEPT = "clusters"  # where the evidence keeps them
CHUNK = 1000  # images compared with all others at a time
MOST, COMPONENTS = 2000, 64  # images, and principal components of a probe


def look_alike_groups(evidence: Evidence) -> npt.NDArray[np.int64]:
    """(image,) patients where they are known, else clusters of look-alikes, gathered once.

    Two images are alike by their features (see `limit`) or by their perceptual hashes, and a chain
    of alike ones is one cluster. Features must be at hand.
    """
    return evidence.once(KEPT, lambda: _of(evidence))


def _of(evidence: Evidence) -> npt.NDArray[np.int64]:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    assert evidence.features is not None  # noqa: S101 - callers have asked
    groups = evidence.groups.copy()
    nameless = np.flatnonzero(evidence.manifest["patient_id"].isna())
    if not len(nameless):
        return groups
    looks = whitened(evidence.features[nameless])
    pairs = [_by_features(looks, limit(looks, evidence.labels[nameless]))]
    if evidence.fingerprints is not None:
        pairs.append(_by_hash(evidence.fingerprints, nameless))
    first, second = np.concatenate(pairs).T
    shape = (len(nameless), len(nameless))
    links = coo_matrix((np.ones(len(first), np.int8), (first, second)), shape=shape)
    groups[nameless] = groups.max() + 1 + connected_components(links, directed=False)[1]
    return pd.factorize(groups)[0].astype(np.int64)


def named(evidence: Evidence) -> pd.Series:
    """sample_id -> name of its patient or cluster, as `data.splits` takes them for its groups."""
    ids = pd.Index(evidence.manifest["sample_id"], name="sample_id")
    return pd.Series(
        [f"cluster {i}" for i in look_alike_groups(evidence)], ids, dtype="str", name="cluster"
    )


def whitened(features: npt.NDArray[np.floating]) -> Floats:
    """(image, feature) -> (image, component) of length 1: principal components, all weighed alike.

    What all images share, and what most of them differ by, would make any two look alike.
    """
    from sklearn.decomposition import PCA

    count = min(COMPONENTS, max(1, len(features) // 4), features.shape[1])
    pca = PCA(count, whiten=True, svd_solver="randomized", random_state=0)
    return unit(pca.fit_transform(np.asarray(features, np.float32)))


def limit(looks: Floats, labels: Labels) -> float:
    """The likeness (cosine) above which images (image, component) count as one patient's."""
    if len(np.unique(labels)) < 2:
        return ALIKE
    nearest = []
    for start in range(0, len(looks), CHUNK):
        alike = looks[start : start + CHUNK] @ looks.T
        same = labels[start : start + CHUNK, None] == labels[None, :]
        nearest.append(np.where(same, -1, alike).max(1))
    return max(LEAST, float(np.quantile(np.concatenate(nearest), STRANGERS)))


def _by_features(looks: Floats, least: float) -> npt.NDArray[np.int64]:
    """Pairs (pair, 2) whose cosine is above `least`."""
    pairs_of_chunks = [np.empty((0, 2), np.int64)]
    for start in range(0, len(looks), CHUNK):
        pairs = np.argwhere(looks[start : start + CHUNK] @ looks.T > least)
        pairs[:, 0] += start
        pairs_of_chunks.append(pairs)
    return np.concatenate(pairs_of_chunks)


def _by_hash(fingerprints: Fingerprints, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Pairs (pair, 2) of places in `rows`, rising, that the leak check calls near duplicates."""
    near = duplicates.near_pairs(fingerprints)
    pairs = np.stack([near.first, near.second], axis=1)
    return np.searchsorted(rows, pairs[np.isin(pairs, rows).all(axis=1)])


def first_fold(evidence: Evidence) -> tuple[Labels, Labels]:
    """Rows (image,) that the first fold learns from, and those that it tests."""
    assert evidence.split is not None  # noqa: S101 - callers have asked
    table = evidence.split.table
    first = table[table["fold"] == table["fold"].min()].set_index("sample_id")["part"]
    part = first.reindex(evidence.manifest["sample_id"]).to_numpy(object)
    learned = (part == "train") | (part == "validation")
    return np.flatnonzero(learned).astype(np.int64), np.flatnonzero(part == "test").astype(np.int64)


def side_by_side(
    evidence: Evidence, groups: Labels, reference: Labels, queries: Labels
) -> tuple[float, float]:
    """How often the nearest reference image has a query's label: of all, and of other groups.

    `groups` (image,) as from `of`; `reference` and `queries` are rows, such as those of training
    and test. The first is what looking alike earns, the second what is left without it.
    """
    assert evidence.features is not None  # noqa: S101 - callers have asked
    random = np.random.default_rng([evidence.seed, 10])
    queries = np.sort(random.permutation(queries)[:MOST])
    features, right = unit(evidence.features), []
    alike = features[queries] @ features[reference].T
    alike[queries[:, None] == reference[None, :]] = -np.inf  # an image is no neighbour of its own
    others = np.where(groups[queries, None] == groups[None, reference], -np.inf, alike)
    for likeness in (alike, others):
        near = evidence.labels[reference[likeness.argmax(1)]] == evidence.labels[queries]
        right.append(float(near[np.isfinite(likeness.max(1))].mean()))
    return right[0], right[1]


def reduced(features: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """(image, feature) -> (image, component): principal components, which no label has shaped."""
    from sklearn.decomposition import PCA

    count = min(COMPONENTS, len(features) - 1, features.shape[1])
    pca = PCA(count, svd_solver="randomized", random_state=0)
    return np.asarray(pca.fit_transform(np.asarray(features)), np.float64)


def unit(features: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """(image, feature) -> the same, each row of length 1."""
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(length, 1e-12), np.float32)
