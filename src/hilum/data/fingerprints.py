"""Fingerprints of an image: exact ones, and a perceptual one that survives mild changes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from hilum.types import Fingerprints, Grey8, GreyImage, HilumError, Stack8

HASH_SIDE = 16  # 256 bits: with 64, films of different patients come within 4 bits of each other
FINE_SIDE = 64  # the side from whose transform the lowest HASH_SIDE frequencies are taken
THUMBNAIL_SIDE = 32
_FAINT = 0.01  # grey levels: a smaller spread is that of a flat image
_ROUNDING = 1e-12  # of the largest coefficient: below it, an order is arithmetic noise


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """One image's: SHA-256 (32,) of its pixels, 256 packed bits (32,), thumbnail (32, 32)."""

    pixels_sha256: npt.NDArray[np.uint8]
    perceptual: npt.NDArray[np.uint8]
    thumbnail: Grey8


def fingerprint(pixels: GreyImage) -> Fingerprint:
    """Take all fingerprints of one decoded image (height, width).

    Changes of size, encoding, brightness and contrast move few bits of the perceptual hash; a
    mirrored, turned or cropped image counts as another image.
    """
    return Fingerprint(
        np.frombuffer(pixels_sha256(pixels), np.uint8), perceptual_hash(pixels), thumbnail(pixels)
    )


def perceptual_hash(pixels: GreyImage) -> npt.NDArray[np.uint8]:
    """The packed 256-bit hash (32,) of one decoded image (height, width)."""
    return perceptual_hashes(soft_clip(shrink(pixels, FINE_SIDE)[None]))[0]


def pixels_sha256(pixels: GreyImage) -> bytes:
    """SHA-256 (32 bytes) of the pixels (height, width), their shape and their type."""
    state = hashlib.sha256(f"{pixels.dtype.name} {pixels.shape} ".encode())
    state.update(np.ascontiguousarray(pixels).data)
    return state.digest()


def shrink(pixels: GreyImage, side: int) -> npt.NDArray[np.float32]:
    """Area-average an image (height, width) to (side, side), grey levels 0 to 255."""
    scale = 255.0 if pixels.dtype.kind == "f" else 1.0
    grey = pixels.astype(np.float32, copy=False)
    small = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(np.round(small * scale, 2), np.float32)  # single precision wavers below


def thumbnail(pixels: GreyImage) -> Grey8:
    """Area-averaged miniature (32, 32) of an image (height, width); aspect ratio is given up."""
    return np.clip(np.rint(shrink(pixels, THUMBNAIL_SIDE)), 0, 255).astype(np.uint8)


def soft_clip(fine: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Standardise grey levels (image, height, width) and bend them by tanh to between -1 and 1.

    Brightness and contrast then cancel, and what they pushed into black or white weighs little:
    on real films this halves the bits that such changes move.
    """
    level = fine.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    spread = fine.std(axis=(1, 2), keepdims=True, dtype=np.float64)
    return np.asarray(np.tanh((fine - level) / np.maximum(spread, _FAINT)), np.float64)


def perceptual_hashes(fine: npt.NDArray[np.floating | np.uint8]) -> npt.NDArray[np.uint8]:
    """256-bit DCT hashes (image, 32) of images averaged to 64 x 64 (image, height, width).

    A bit says whether one of the 16 x 16 lowest frequencies lies above their median.
    Source: Zauner 2010, "Implementation and benchmarking of perceptual image hash functions".
    https://phash.org/docs/pubs/thesis_zauner.pdf
    """
    basis = _cosines()
    lowest = (basis @ fine.astype(np.float64) @ basis.T).reshape(len(fine), -1)
    noise = _ROUNDING * np.abs(lowest).max(axis=1, initial=0.0, keepdims=True)
    return np.packbits(lowest > np.median(lowest, axis=1, keepdims=True) + noise, axis=1)


@lru_cache(maxsize=1)
def _cosines() -> npt.NDArray[np.float64]:
    frequency, place = np.arange(HASH_SIDE)[:, None], np.arange(FINE_SIDE)
    return np.cos(np.pi * frequency * (2 * place + 1) / (2 * FINE_SIDE))  # DCT-II, (16, 64)


def hamming(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Bits that differ (pair,) between packed hashes (pair, bytes)."""
    differ = first ^ second
    words = differ.view(np.uint64) if differ.shape[1] % 8 == 0 else differ  # eight bytes at once
    return np.bitwise_count(words).sum(axis=1, dtype=np.int64)


def correlation(first: Stack8, second: Stack8) -> npt.NDArray[np.float64]:
    """Pearson's correlation (pair,) of thumbnails (pair, height, width); NaN where one is flat.

    The sums are exact integers, so that a pair scores the same in any order and any batch.
    Pearson 1895, doi:10.1098/rspl.1895.0041.
    """
    a, b = (side.reshape(len(side), -1).astype(np.int32) for side in (first, second))
    n, sum_a, sum_b = a.shape[1], a.sum(axis=1, dtype=np.int64), b.sum(axis=1, dtype=np.int64)
    joint = n * _dot(a, b) - sum_a * sum_b
    spread = (n * _dot(a, a) - sum_a**2).astype(np.float64) * (n * _dot(b, b) - sum_b**2)
    with np.errstate(invalid="ignore"):
        return np.asarray(joint / np.sqrt(spread), np.float64)


def _dot(a: npt.NDArray[np.int32], b: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    return np.einsum("ij,ij->i", a, b).astype(np.int64)  # at most 1024 * 255**2: fits 32 bits


def take(fingerprints: Fingerprints, sample_ids: Sequence[str]) -> Fingerprints:
    """The same fingerprints for `sample_ids`, in that order; HilumError for one that is absent."""
    wanted = tuple(sample_ids)
    if wanted == fingerprints.sample_ids:
        return fingerprints
    place = {name: i for i, name in enumerate(fingerprints.sample_ids)}
    absent = [name for name in wanted if name not in place]
    if absent:
        raise HilumError(
            f"every image must have fingerprints; got none for {len(absent)} of {len(wanted)}, "
            f"such as {absent[0]!r}; ingest this manifest first."
        )
    rows = [place[name] for name in wanted]
    return Fingerprints(
        wanted,
        tuple(fingerprints.bytes_sha256[i] for i in rows),
        tuple(fingerprints.pixels_sha256[i] for i in rows),
        fingerprints.perceptual[rows],
        fingerprints.thumbnails[rows],
    )


def join(first: Fingerprints, second: Fingerprints) -> Fingerprints:
    """Put two sets under one another; a sample_id may then occur twice."""
    return Fingerprints(
        first.sample_ids + second.sample_ids,
        first.bytes_sha256 + second.bytes_sha256,
        first.pixels_sha256 + second.pixels_sha256,
        np.concatenate([first.perceptual, second.perceptual]),
        np.concatenate([first.thumbnails, second.thumbnails]),
    )
