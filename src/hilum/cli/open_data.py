"""From what the user names, a path or a dataset, to its manifest."""

from pathlib import Path
from typing import TYPE_CHECKING

from hilum.api.own_images import OwnImages
from hilum.cli.terminal import Terminal
from hilum.progress import StepName
from hilum.types import HilumError, Manifest, as_path, nearest_names

if TYPE_CHECKING:
    from hilum.images import Readers


def open_set(
    name: str,
    data: Path | None,
    screen: Terminal,
    own: OwnImages,
    unlabelled: bool = False,
    workers: "Readers" = 1,
) -> Manifest:
    """Read the images at a path as `own` says, or a published dataset by its name.

    A dataset's name is looked up below `data`, else among those that `hilum data fetch` brought;
    `unlabelled`: a path's images need no label; `workers` processes read their headers. Raises
    HilumError for what is neither.
    """
    from hilum import datasets
    from hilum.datasets import download
    from hilum.datasets.registry import DATASETS

    there = as_path(name).exists()
    if name in DATASETS and (data is not None or not there):
        return datasets.read(name, data or download.datasets_home())
    near = nearest_names(name, DATASETS)
    if near and not there:
        raise HilumError(
            f"expected a path or a dataset of `hilum data list`; got {name!r}; "
            f"did you mean {near[0]!r}?"
        )
    headers = screen.step_later(StepName("read headers", "headers"))
    return own.open(name, headers, unlabelled=unlabelled, workers=workers)


def title(name: str) -> str:
    """How a set is called in a sentence: its folder's or file's name."""
    return Path(name).name or name
