"""The images that an export is proven on: those of a folder, or the phantom's."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from hilum import datasets, files, images, phantom
from hilum.inference import answer, ood
from hilum.inference.answer import PreparedImage
from hilum.preprocess import Pipeline
from hilum.progress import Advance
from hilum.types import HilumError, Labels, MissingError, Stack8

LEAST, MOST = 200, 1000  # images; of more, so many evenly spaced ones
PHANTOM_SIDE, PHANTOM_SEED, ROUNDS = 256, 20, 3
Named: TypeAlias = list[tuple[Path, str]]  # files, each with its class or ""


@dataclass(frozen=True, slots=True)
class ProofImages:
    """Prepared films, and the class that each is labelled with or -1."""

    films: list[PreparedImage]
    labels: Labels  # (image,)
    source: str  # in words

    @property
    def stack(self) -> Stack8:
        """(image, height, width)"""
        return np.stack([film.pixels for film in self.films])

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of each film."""
        height, width = self.films[0].pixels.shape
        return height, width

    def part(self, positions: Sequence[int]) -> "ProofImages":
        """Some of them, in this order."""
        chosen = [self.films[i] for i in positions]
        return ProofImages(chosen, self.labels[list(positions)], self.source)


def load_images(
    folder: Path | None, classes: list[str], pipeline: Pipeline, advance: Advance
) -> ProofImages:
    """The images of `folder`, or the phantom's where it is None; raises what `of_folder` does."""
    if folder is None:
        return of_phantom(classes, pipeline, advance)
    return of_folder(folder, classes, pipeline, advance)


def of_folder(
    folder: Path, classes: list[str], pipeline: Pipeline, advance: Advance
) -> ProofImages:
    """Images of a folder, a table or a DICOM tree; with labels where there are any of the model's.

    Raises MissingError where there is no such folder, HilumError for fewer than LEAST images.
    """
    if not folder.exists():
        raise MissingError(
            f"--proof needs a folder of images; got {str(folder)!r}, which does not exist; check "
            "the path."
        )
    named = _list_named(folder, classes)
    named = [named[i] for i in ood.evenly_spaced(len(named), MOST)] if named else []
    films, kept = _decode([path for path, _ in named], pipeline, advance)
    if len(films) < LEAST:
        raise HilumError(
            f"a proof needs at least {LEAST} images that can be read; got {len(films)} in "
            f"{str(folder)!r}; add some, or leave --proof out for the phantom's."
        )
    places = {name: i for i, name in enumerate(classes)}
    labels = np.array([places.get(named[i][1], -1) for i in kept], np.int64)
    return ProofImages(films, labels, f"{len(films)} images of the given folder")


def of_phantom(classes: list[str], pipeline: Pipeline, advance: Advance) -> ProofImages:
    """LEAST films of the synthetic thorax, of the model's classes where it can draw two of them.

    A preparation may leave films out, such as those without lungs: others take their place. Raises
    HilumError where too few are left all the same.
    """
    known = tuple(name for name in classes if name in phantom.CLASSES)
    drawn = known if len(known) > 1 else ("covid19", "normal")
    films: list[PreparedImage] = []
    labels: list[int] = []
    for seed in range(PHANTOM_SEED, PHANTOM_SEED + ROUNDS):
        films_drawn = phantom.generate(
            phantom.Request(images=LEAST, size=PHANTOM_SIDE, seed=seed, classes=drawn)
        )
        for film, label in zip(films_drawn.images, films_drawn.table["label"], strict=True):
            with suppress(HilumError):
                films.append(answer.prepare_array(film, pipeline))
                labels.append(classes.index(label) if label in classes else -1)
            advance(min(len(films), LEAST), LEAST)
        if len(films) >= LEAST:
            source = f"{LEAST} films of the embedded phantom"
            return ProofImages(films[:LEAST], np.array(labels[:LEAST], np.int64), source)
    raise HilumError(
        f"a proof needs {LEAST} films that this model's preparation takes; got {len(films)} of "
        f"{ROUNDS * LEAST} of the phantom; give images with --proof FOLDER."
    )


def _list_named(folder: Path, classes: list[str]) -> Named:
    """Labelled images where the folder is read as such and has the model's classes; else all."""
    with suppress(HilumError):
        table = datasets.open_path(folder, options=datasets.TreeOptions(fewest=1)).table
        if table["label"].isin(classes).any():
            return [(Path(p), str(c)) for p, c in zip(table["path"], table["label"], strict=True)]
    paths, _ = images.list_images(folder) if folder.is_dir() else ([], [])
    return [(path, "") for path in paths]


def _decode(
    paths: list[Path], pipeline: Pipeline, advance: Advance
) -> tuple[list[PreparedImage], list[int]]:
    """Films that can be read, and their positions among `paths`."""

    def one(path: Path) -> PreparedImage | None:
        try:
            return answer.prepare_file(path, pipeline)
        except HilumError:
            return None

    films, kept = [], []
    with ThreadPoolExecutor(files.available_cpus()) as pool:
        for i, film in enumerate(pool.map(one, paths)):
            advance(i + 1, len(paths))
            if film is not None:
                films.append(film)
                kept.append(i)
    return films, kept
