"""Images and their lung masks: read, paired, divided by patient."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum import images
from hilum.data import manifest as manifests
from hilum.data import prepared_dataset
from hilum.experiment import dataset, splits
from hilum.preprocess.lungs import segmenter
from hilum.preprocess.step import as_uint8, resized
from hilum.progress import Progress
from hilum.recipes import Recipe, Stage
from hilum.training.segmentation import ImageMaskPairs
from hilum.types import HilumError, Leak, LeftOut, Manifest, Mask, Split, Stack8

SIDE = 256  # pixels of the network's input unless the recipe names another
SHAPES = 0.01  # relative difference of the sides' ratio up to which a mask is resized
WHITE = 127  # a mask's grey level above which it is lung


@dataclass(frozen=True, slots=True)
class SegmentationContext:
    """Shared by all folds; rows of the stacks (image, side, side) follow the manifest."""

    recipe: Recipe
    stage: Stage
    manifest: Manifest
    images: Stack8
    masks: Stack8
    out: Path
    work: Path
    progress: Progress


@dataclass(frozen=True, slots=True)
class PreparedSegmentation:
    """Images and masks, their splits by seed, and what leaks in the first."""

    context: SegmentationContext
    splits: dict[int, Split]
    leaks: list[Leak]


def prepare_masks(
    recipe: Recipe, stage: Stage, where: tuple[Path | None, Path, Path], progress: Progress
) -> PreparedSegmentation:
    """Find, read and split images with masks.

    `where`: the datasets' root, the run's folder and that of finished folds. Raises HilumError
    where no mask fits its image.
    """
    root, out, work = where
    listed = dataset.load_manifest(recipe, root, out, progress)
    listed = with_masks(listed)
    side = recipe.prepare.side or SIDE
    read = prepared_dataset.prepare_dataset(
        listed, segmenter.preparation(side), progress("decode and prepare")
    )
    manifest, stack, masks = _pair(read.manifest, read.pixels.stack, side)
    area = (masks > WHITE).mean((1, 2))
    strata, prints = by_size(manifest, area > np.median(area)), read.fingerprints
    by_seed = {seed: splits.make_split(recipe.split, strata, prints, seed) for seed in recipe.seeds}
    leaks = splits.check_leakage(by_seed[recipe.seeds[0]], strata, prints, recipe.mode)
    context = SegmentationContext(recipe, stage, manifest, stack, masks, out, work, progress)
    return PreparedSegmentation(context, by_seed, leaks)


def with_masks(manifest: Manifest) -> Manifest:
    """The images that have a lung mask; the others are left out."""
    return manifests.select(manifest, manifest.table["mask_path"].notna(), "it has no lung mask")


def by_size(manifest: Manifest, large: npt.NDArray[np.bool_]) -> Manifest:
    """Large (image,) and small lungs as classes: no part of a split has only the hard ones."""
    return Manifest(manifest.table.assign(label=np.where(large, "large", "small")))


def _pair(manifest: Manifest, stack: Stack8, side: int) -> tuple[Manifest, Stack8, Stack8]:
    """Images whose masks fit, and both as (image, side, side); the others are left out."""
    masks: list[Any] = []
    faults: list[LeftOut] = []
    for row in manifest.table.itertuples():
        try:
            whole = read_mask(Path(row.mask_path), *_size_and_aspect(Path(row.path)))
            masks.append(resized(whole.astype(np.float32), (side, side)))
        except HilumError as error:
            masks.append(None)
            faults.append(LeftOut(str(row.path), str(error)))
    paired = np.array([mask is not None for mask in masks])
    if not paired.any():
        raise HilumError(
            f"training needs images with lung masks that fit; got none of {len(masks)}, for "
            f"instance {faults[0].what}: {faults[0].reason}"
        )
    good = np.stack([as_uint8(mask) for mask in masks if mask is not None])
    if paired.all():
        return manifest, stack, good
    table = manifest.table[paired].reset_index(drop=True)
    whole_manifest = Manifest(table, (*manifest.left_out, *faults), manifest.notes)
    return whole_manifest, np.asarray(stack[paired]), good


def _size_and_aspect(path: Path) -> tuple[tuple[int, int], float]:
    """(height, width) of an image in square pixels, and height over width of a stored pixel."""
    facts = images.probe(path)
    return (int(facts["height"]), int(facts["width"])), float(facts.get("pixel_aspect", 1))


def read_mask(path: Path, size: tuple[int, int], aspect: float = 1) -> Mask:
    """A mask's file at the (height, width) of its image; raises HilumError for another shape.

    Where the image's stored pixels are not square (`aspect`), the mask may be drawn on those too.
    """
    grey = as_uint8(images.read(path).pixels)
    ratio = grey.shape[1] * size[0] / (grey.shape[0] * size[1])
    if abs(ratio - 1) > SHAPES and abs(ratio / aspect - 1) > SHAPES:
        raise HilumError(
            f"a mask must have its image's shape; got {grey.shape[1]} x {grey.shape[0]} for an "
            f"image of {size[1]} x {size[0]} ({path.name}); correct or remove it."
        )
    return np.asarray(resized(grey, size) > WHITE)


def pairs(
    context: SegmentationContext, rows: pd.DataFrame
) -> tuple[ImageMaskPairs, npt.NDArray[np.int64]]:
    """A fold's training and validation pairs, and the rows (image,) of its test images.

    Raises HilumError where a part is empty.
    """
    ids = context.manifest.table["sample_id"]
    part = rows.set_index("sample_id")["part"].reindex(ids).to_numpy()
    at = {name: np.flatnonzero(part == name) for name in ("train", "validation", "test")}
    for name, rows_of_part in at.items():
        if len(rows_of_part) == 0:
            raise HilumError(
                f"each fold needs train, validation and test images; got no {name} images; "
                "add images or change the split."
            )
    both = ImageMaskPairs(context.images, context.masks, tuple(ids), at["train"], at["validation"])
    return both, at["test"]
