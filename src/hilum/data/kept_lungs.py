"""Lung masks that are kept on disk: audits ask for those of the same images in every run."""

from collections.abc import Sequence
from functools import partial
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum import files
from hilum.data import feature_cache
from hilum.files.versions import IMAGES, NETWORKS
from hilum.preprocess.lungs import masks
from hilum.preprocess.lungs.masks import LungMask
from hilum.preprocess.lungs.segmenter import LungSegmenter
from hilum.types import Stack8


def quick_masks(finder: LungSegmenter, stack: Stack8) -> list[LungMask]:
    """(image, height, width) -> `finder.quick_masks`; what was met before is not computed again.

    In parts of a few hundred images: the same ones in the same order are met again.
    """
    made_by = (finder.digest, finder.pipeline.digest, masks.VERSION)
    network = files.stable_digest("quick masks", *made_by, files.releases(*NETWORKS, *IMAGES))
    found: list[LungMask] = []
    for start in range(0, len(stack), feature_cache.CHUNK):
        part = np.ascontiguousarray(stack[start : start + feature_cache.CHUNK])
        pixels = blake2b(part.data, digest_size=16).digest()
        key = files.stable_digest(network, list(part.shape), pixels)
        compute = partial(_computed, finder, part)
        found += _unpacked(feature_cache.cached(key, compute), part.shape[1:])
    return found


def _computed(finder: LungSegmenter, part: Stack8) -> npt.NDArray[Any]:
    return _packed(finder.quick_masks(part))


def _packed(found: Sequence[LungMask]) -> npt.NDArray[Any]:
    """(image,) one record for each: 6 KiB for 224 x 224 pixels."""
    bits = np.packbits([one.mask.reshape(-1) for one in found], axis=1)
    status = np.array([one.status for one in found])
    kinds = [("bits", "u1", bits.shape[1:]), ("status", status.dtype), ("numbers", "f8", 2)]
    out = np.empty(len(found), kinds)
    out["bits"], out["status"] = bits, status
    out["numbers"] = [(one.fraction, one.confidence) for one in found]
    return out


def _unpacked(records: npt.NDArray[Any], shape: tuple[int, ...]) -> list[LungMask]:
    count = int(np.prod(shape))
    return [
        LungMask(
            np.unpackbits(record["bits"], count=count).view(bool).reshape(shape),
            str(record["status"]),
            *map(float, record["numbers"]),
        )
        for record in records
    ]
