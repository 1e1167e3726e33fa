"""Near duplicates: all pairs of images that look the same, found without comparing all pairs."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.data.fingerprints import correlation, hamming
from hilum.types import Fingerprints, HilumError

_BATCH = 4096  # pairs of thumbnails in memory at a time


@dataclass(frozen=True, slots=True)
class Nearness:
    """What counts as near: both must hold.

    Of 900 real films' copies at 50-90% size, JPEG quality 30-90 and 10% more or less brightness
    and contrast, 99.9% are near; of 134,550 pairs of films only the one true duplicate is, and no
    other comes within 36 bits. Flipped, turned and cropped copies are not near.
    """

    bits: int = 16  # of 256, at most
    correlation: float = 0.98  # of the thumbnails, at least


@dataclass(frozen=True, slots=True)
class NearPairs:
    """Positions first < second (pair,), sorted; bits that differ (pair,); correlation (pair,)."""

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    bits: npt.NDArray[np.int64]
    correlation: npt.NDArray[np.float64]


def near_pairs(fingerprints: Fingerprints, near: Nearness | None = None) -> NearPairs:
    """Find every pair of images within `near`; a flat thumbnail is near to nothing.

    The same fingerprints are searched once: split, leak check and audits need the same pairs.
    Raises HilumError for a radius that the search cannot promise.
    """
    near = near or Nearness()
    if near not in fingerprints.searched:
        fingerprints.searched[near] = _search(fingerprints, near)
    pairs: NearPairs = fingerprints.searched[near]
    return pairs


def _search(fingerprints: Fingerprints, near: Nearness) -> NearPairs:
    pairs = within_radius(fingerprints.perceptual, near.bits)
    alike = [
        _correlations(pairs[i : i + _BATCH], fingerprints) for i in range(0, len(pairs), _BATCH)
    ]
    score = np.concatenate([np.empty(0), *alike])
    kept = score >= near.correlation
    first, second = pairs[kept].T
    bits = hamming(fingerprints.perceptual[first], fingerprints.perceptual[second])
    return NearPairs(first, second, bits, score[kept])


def _correlations(
    pairs: npt.NDArray[np.int64], fingerprints: Fingerprints
) -> npt.NDArray[np.float64]:
    return correlation(*(fingerprints.thumbnails[side] for side in pairs.T))


def within_radius(hashes: npt.NDArray[np.uint8], radius: int) -> npt.NDArray[np.int64]:
    """All pairs (pair, 2) of packed hashes (image, bytes) that differ in at most `radius` bits.

    Of radius + 1 disjoint groups of bits, one at least is untouched by `radius` differences: so
    images that share a group's bits are the only ones to compare. Exact; the time grows almost
    linearly while a group has more bits than log2 of the images, and slowly beyond, since what
    shares a group by chance is dismissed by eight bytes. Source: Norouzi et al. 2012,
    "Fast search in Hamming space with multi-index hashing", doi:10.1109/CVPR.2012.6248043.
    Raises HilumError for a radius that leaves a group without bits.
    """
    bits = 8 * hashes.shape[1]
    if not 0 <= radius < bits:
        raise HilumError(
            f"radius must lie between 0 and {bits - 1} for {bits}-bit hashes; got "
            f"{radius}; choose one in between."
        )
    keys, folded = _group_keys(hashes, radius + 1), _folded(hashes)
    parts = [np.empty((0, 2), np.int64)]
    for group, key in enumerate(keys):
        for pairs in _equal_key_pairs(key, folded, radius):
            pairs = pairs[hamming(hashes[pairs[:, 0]], hashes[pairs[:, 1]]) <= radius]
            earlier = (keys[:group, pairs[:, 0]] == keys[:group, pairs[:, 1]]).any(axis=0)
            parts.append(pairs[~earlier])  # a pair counts for the first group that it shares
    pairs = np.sort(np.concatenate(parts), axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _group_keys(
    hashes: npt.NDArray[np.uint8], groups: int
) -> npt.NDArray[np.uint16] | npt.NDArray[np.uint32]:
    """Each group's bits (of more than 32 the last ones) as one number (group, image).

    Neighbouring frequencies, which depend on each other, go to different groups.
    """
    bits = 8 * hashes.shape[1]
    kind = np.uint16 if bits <= 16 * groups else np.uint32  # 16 bits are sorted by counting
    keys = np.zeros((groups, len(hashes)), kind)
    for bit in range(bits):
        values = (hashes[:, bit // 8] >> (7 - bit % 8)) & 1
        keys[bit % groups] = (keys[bit % groups] << kind(1)) | values
    return keys


def _folded(hashes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Eight bytes (image,) that differ in no more bits than the hashes (image, bytes) do."""
    padded = np.pad(hashes, ((0, 0), (0, -hashes.shape[1] % 8)))
    return np.asarray(np.bitwise_xor.reduce(padded.view(np.uint64), axis=1), np.uint64)


def _equal_key_pairs(
    key: npt.NDArray[np.uint16] | npt.NDArray[np.uint32],
    folded: npt.NDArray[np.uint64],
    radius: int,
) -> Iterator[npt.NDArray[np.int64]]:
    """Pairs (pair, 2) of images with equal keys (image,), in batches of at most one per image.

    Without those whose `folded` bits (image,) already differ in more than `radius`.
    """
    order = np.argsort(key, kind="stable")
    ordered, bits = key[order], folded[order]
    start, lag = np.arange(len(key)), 0
    while len(start):
        lag += 1
        start = start[start + lag < len(key)]
        start = start[ordered[start] == ordered[start + lag]]
        close = start[np.bitwise_count(bits[start] ^ bits[start + lag]) <= radius]
        yield np.stack([order[close], order[close + lag]], axis=1)
