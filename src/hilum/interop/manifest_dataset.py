"""A manifest as a torch `Dataset`: prepared films with label and name, for anyone's training loop.

Films are decoded once, into hilum's store of prepared pixels; workers read them from there.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from hilum import preprocess
from hilum.data.prepared_dataset import prepare_dataset
from hilum.preprocess.lungs import segmenter
from hilum.progress import Progress, silent
from hilum.types import (
    SPLIT_COLUMNS,
    HilumError,
    Labels,
    Manifest,
    Prepares,
    Split,
    Stack8,
    nearest_name,
    require_columns,
)

Preparation: TypeAlias = Prepares | Sequence[Mapping[str, Any]]
UNLABELLED = -1


class PreparedFilm(NamedTuple):
    """One item: a film, the position of its label among the classes, and its name."""

    pixels: Tensor  # (1, height, width) uint8, or whatever the transform gives
    label: int  # -1 where the manifest has no labels
    sample_id: str


class ManifestDataset(Dataset[PreparedFilm]):
    """The films of one part of a split, or of a whole manifest, prepared alike.

    `split` is a Split, the table of a run's `splits.csv`, or None for every film. `preparation` is
    a model's (`model.preparation`) or a list of steps. `transform` takes pixels (1, height, width).

    >>> import hilum
    >>> from hilum.interop import ManifestDataset
    >>> from torch.utils.data import DataLoader
    >>> steps = [{"step": "letterbox", "side": 64}]
    >>> dataset = ManifestDataset(hilum.open_data("films"), None, steps)
    >>> batch = next(iter(DataLoader(dataset, batch_size=8)))
    >>> batch.pixels.shape, batch.label.shape, len(batch.sample_id)
    (torch.Size([8, 1, 64, 64]), torch.Size([8]), 8)
    """

    def __init__(
        self,
        manifest: Manifest,
        split: Split | pd.DataFrame | None,
        preparation: Preparation,
        part: str = "train",
        *,
        fold: int = 0,
        transform: Callable[[Tensor], Tensor] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Prepare the part's films; `left_out` names those that cannot be read, with the reason.

        Raises HilumError for a part or fold that the split does not have, for an unknown step, and
        where no film can be read.
        """
        self.classes: tuple[str, ...] = tuple(sorted(manifest.table["label"].dropna().unique()))
        chosen = manifest if split is None else _part(manifest, split, part, fold)
        step = (progress or silent)("decode and prepare")
        prepared = prepare_dataset(chosen, _prepares(preparation), step)
        self.table = prepared.manifest.table  # of the films that can be read, in their order
        self.left_out = prepared.left_out
        positions = {name: i for i, name in enumerate(self.classes)}
        named = self.table["label"].map(positions).fillna(UNLABELLED)
        self.labels: Labels = named.to_numpy(np.int64)
        self.transform = transform
        self._sample_ids: list[str] = self.table["sample_id"].tolist()
        self._stack: Stack8 = prepared.pixels.stack  # (image, height, width), mapped from disk

    def __len__(self) -> int:
        return len(self._sample_ids)

    def __getitem__(self, index: int) -> PreparedFilm:
        pixels = torch.from_numpy(np.array(self._stack[index])).unsqueeze(0)
        pixels = pixels if self.transform is None else self.transform(pixels)
        return PreparedFilm(pixels, int(self.labels[index]), self._sample_ids[index])

    def __getstate__(self) -> dict[str, Any]:
        """Without the pixels, where they are on disk: a worker maps the same file."""
        state = dict(self.__dict__)
        if isinstance(self._stack, np.memmap):
            state["_stack"] = (self._stack.filename, self._stack.shape)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Map the pixels again."""
        if isinstance(state["_stack"], tuple):
            file, shape = state["_stack"]
            state = {**state, "_stack": np.memmap(file, np.uint8, "r", shape=shape)}
        self.__dict__.update(state)


def _prepares(preparation: Preparation) -> Prepares:
    if isinstance(preparation, Sequence):
        return preprocess.from_list(preparation, segmenter.load_segmenter)
    return preparation


def _part(manifest: Manifest, split: Split | pd.DataFrame, part: str, fold: int) -> Manifest:
    """The films of one part in one fold, in the manifest's order."""
    table = split.table if isinstance(split, Split) else split
    require_columns(table, SPLIT_COLUMNS, "a split")
    of_fold = table[table["fold"] == fold]
    if not len(of_fold):
        folds = ", ".join(map(str, sorted(table["fold"].unique())))
        raise HilumError(f"fold must be one of {folds}; got {fold!r}; choose one of them.")
    parts = sorted(of_fold["part"].unique())
    if part not in parts:
        hint = nearest_name(part, parts, "choose one of these.")
        raise HilumError(f"part must be one of {', '.join(parts)}; got {part!r}; {hint}")
    names = set(of_fold.loc[of_fold["part"] == part, "sample_id"])
    found = manifest.table[manifest.table["sample_id"].isin(names)].reset_index(drop=True)
    if len(found) < len(names):
        lacking = sorted(names - set(found["sample_id"]))
        raise HilumError(
            f"every film of the split must be in the manifest; got {len(lacking)} that are not, "
            f"such as {lacking[0]!r}; open the data that the split was made of."
        )
    return Manifest(found, manifest.left_out, manifest.notes)
