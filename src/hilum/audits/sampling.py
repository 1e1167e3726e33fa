"""Which images the audits of a model look at, and the films as they were read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hilum import files
from hilum.audits.evidence import Evidence
from hilum.preprocess.lungs import ct
from hilum.preprocess.lungs.masks import LungMask
from hilum.preprocess.step import as_uint8, resized
from hilum.types import Grey8, HilumError, Stack8

if TYPE_CHECKING:
    from hilum.inference.model import TrainedModel

LONGEST = 1024  # pixels of a film's longer side while it is audited: hundreds are held at a time


def model(evidence: Evidence) -> TrainedModel:
    """The model; raises HilumError where there is none."""
    if evidence.model is None:
        raise HilumError("the model is not available")
    return evidence.model


def stack(evidence: Evidence) -> Stack8:
    """The prepared pixels (image, height, width); raises HilumError where there are none."""
    if evidence.stack is None:
        raise HilumError("the prepared pixels are not available")
    return evidence.stack


def unseen(evidence: Evidence, most: int) -> npt.NDArray[np.int64]:
    """(image,) rows of up to `most` images that the model was not fitted on, as many of each class.

    Raises HilumError where there are none.
    """
    free = ~evidence.seen & (evidence.labels >= 0)
    if not free.any():
        raise HilumError("every image of these classes was used to fit the model")
    return balanced_sample(evidence, np.flatnonzero(free), most)


def balanced_sample(
    evidence: Evidence, rows: npt.NDArray[np.int64], most: int
) -> npt.NDArray[np.int64]:
    """Up to `most` of these rows (image,), rising, drawn with the seed, classes evenly."""
    random = np.random.default_rng([evidence.seed, 27])
    shuffled = random.permutation(rows)
    labels = evidence.labels[shuffled]
    rank_in_class = np.zeros(len(shuffled), np.int64)  # how many of its class come before each
    for class_ in np.unique(labels):
        rank_in_class[labels == class_] = np.arange((labels == class_).sum())
    return np.sort(shuffled[np.argsort(rank_in_class, kind="stable")[:most]])


def sample(evidence: Evidence, rows: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """Up to `most` of these rows (image,), rising, of whatever class; drawn with the seed."""
    random = np.random.default_rng([evidence.seed, 5])
    return np.sort(random.permutation(rows)[:most])


def lungs(evidence: Evidence, rows: npt.NDArray[np.int64]) -> list[Sequence[LungMask]]:
    """The lungs of prepared images (image,), panel by panel; of CT slices by thresholds.

    Raises HilumError where there are no prepared pixels.
    """
    from hilum.data import kept_lungs
    from hilum.preprocess.lungs import segmenter as finders

    slices = evidence.manifest["modality"].to_numpy(object) == "CT"
    cache: dict[int, Sequence[LungMask]] = evidence.once("lungs", dict)
    new = [row for row in rows.tolist() if row not in cache]
    cache |= {row: [ct.lungs(one) for one in panels(evidence, row)] for row in new if slices[row]}
    if flat := [row for row in new if not slices[row]]:
        stack = np.concatenate([panels(evidence, row) for row in flat])
        each = kept_lungs.quick_masks(finders.load_segmenter(), stack)
        at = range(0, len(each), evidence.panels)
        cache |= zip(flat, (each[i : i + evidence.panels] for i in at), strict=True)
    return [cache[row] for row in rows.tolist()]


def panels(evidence: Evidence, row: int) -> Stack8:
    """(panel, height, width): the pictures of a film that are one below the other."""
    film = stack(evidence)[row]
    return film.reshape(evidence.panels, -1, film.shape[1])


def read_sampled(evidence: Evidence, rows: npt.NDArray[np.int64]) -> Iterator[tuple[int, Grey8]]:
    """(row, film) of each image that can still be read, no side above LONGEST pixels."""

    def one(row: int) -> tuple[int, Grey8 | None]:
        try:
            return row, _small(as_uint8(evidence.source_image(row, LONGEST)))
        except HilumError:
            return row, None

    with ThreadPoolExecutor(files.available_cpus()) as pool:
        for row, film in pool.map(one, rows.tolist()):
            if film is not None:
                yield row, film


def _small(film: Grey8) -> Grey8:
    scale = LONGEST / max(film.shape)
    if scale >= 1:
        return film
    height, width = (max(1, round(side * scale)) for side in film.shape)
    return as_uint8(resized(film, (height, width)))
