"""Images without a patient, gathered by their looks."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.audit.evidence import Evidence
from hilum.data import fingerprints, near
from hilum.types import Fingerprints, Stack8

ALIKE = 0.98  # cosine of two images' features
CHUNK = 1000  # images compared with all others at a time
MOST, COMPONENTS = 2000, 64  # images, and principal components of a probe


def of(evidence: Evidence) -> npt.NDArray[np.int64]:
    """(image,) patients where they are known, else clusters of near duplicates.

    Two images are near by their features (cosine above ALIKE) or by their perceptual hashes, and a
    chain of near ones is one cluster. Features must be at hand.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    assert evidence.features is not None  # noqa: S101 - callers have asked
    groups = evidence.groups.copy()
    nameless = np.flatnonzero(evidence.manifest["patient_id"].isna())
    if not len(nameless):
        return groups
    pairs = [_by_features(unit(evidence.features[nameless]))]
    if evidence.stack is not None:
        pairs.append(_by_hash(evidence.stack[nameless]))
    first, second = np.concatenate(pairs).T
    shape = (len(nameless), len(nameless))
    links = coo_matrix((np.ones(len(first), np.int8), (first, second)), shape=shape)
    groups[nameless] = groups.max() + 1 + connected_components(links, directed=False)[1]
    return pd.factorize(groups)[0].astype(np.int64)


def _by_features(features: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Pairs (pair, 2) whose cosine is above ALIKE."""
    found = [np.empty((0, 2), np.int64)]
    for start in range(0, len(features), CHUNK):
        pairs = np.argwhere(features[start : start + CHUNK] @ features.T > ALIKE)
        pairs[:, 0] += start
        found.append(pairs)
    return np.concatenate(found)


def _by_hash(stack: Stack8) -> npt.NDArray[np.int64]:
    """Pairs (pair, 2) that the leak check would call near duplicates, as prepared."""
    small = np.stack([fingerprints.shrink(image, fingerprints.FINE_SIDE) for image in stack])
    hashes = fingerprints.perceptual_hashes(fingerprints.soft_clip(small))
    thumbnails = np.stack([fingerprints.thumbnail(image) for image in stack])
    found = near.near_pairs(Fingerprints((), (), (), hashes, thumbnails))
    return np.stack([found.first, found.second], axis=1)


def side_by_side(evidence: Evidence, groups: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Accuracy of the nearest other image's label, and of the nearest one of another group.

    The first is what a set divided image by image rewards, the second one divided by group.
    """
    assert evidence.features is not None  # noqa: S101 - callers have asked
    random = np.random.default_rng([evidence.seed, 10])
    at = np.sort(random.permutation(len(evidence.manifest))[:MOST])
    features = unit(evidence.features[at])
    alike = features @ features.T
    found = []
    for keys in (np.arange(len(at)), groups[at]):
        others = np.where(keys[:, None] == keys[None, :], -np.inf, alike)
        right = evidence.labels[at][others.argmax(1)] == evidence.labels[at]
        found.append(float(right[np.isfinite(others.max(1))].mean()))
    return found[0], found[1]


def reduced(features: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """(image, feature) -> (image, component): principal components, which no label has shaped."""
    from sklearn.decomposition import PCA

    count = min(COMPONENTS, len(features) - 1, features.shape[1])
    found = PCA(count, svd_solver="randomized", random_state=0).fit_transform(np.asarray(features))
    return np.asarray(found, np.float64)


def unit(features: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """(image, feature) -> the same, each row of length 1."""
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(length, 1e-12), np.float32)
