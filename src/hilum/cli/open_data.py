"""From what the user names, a path or a dataset, to its manifest."""

from collections.abc import Callable
from pathlib import Path

from hilum.cli.terminal import Terminal
from hilum.types import HilumError, Manifest, as_path, nearest_names


def open_set(
    name: str,
    data: Path | None,
    screen: Terminal,
    read: Callable[[Path], Manifest] | None = None,
) -> Manifest:
    """Read the images at a path, or a published dataset by its name.

    A dataset's name is looked up below `data`, else among those that `hilum data fetch` brought;
    `read` opens a path (default: as it is, without the user's options). Raises HilumError for what
    is neither.
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
            f"wanted a path or a dataset of `hilum data list`; got {name!r}; "
            f"did you mean {near[0]!r}?"
        )
    return (read or reader(screen, {}, None, None))(Path(name))


def reader(
    screen: Terminal,
    columns: dict[str, str],
    labels: Path | None,
    source_tag: str | None,
    unlabelled: bool = False,
    fewest: int = 2,
) -> Callable[[Path], Manifest]:
    """What opens a path of the user's own as the options say.

    `unlabelled`: no label is needed; `fewest`: classes that there must be.
    """
    from hilum import datasets

    given = datasets.columns_from_roles(columns)
    options = datasets.TreeOptions(
        **tree(columns, labels, source_tag), unlabelled=unlabelled, fewest=fewest
    )

    def read(path: Path) -> Manifest:
        return datasets.open_path(path, given, screen.step_later("read headers"), options)

    return read


def tree(columns: dict[str, str], labels: Path | None, source_tag: str | None) -> dict[str, str]:
    """`--labels` and `--source-tag` as a recipe's keys; HilumError where two options differ."""
    if source_tag is not None and "source" in columns:
        raise HilumError(
            "the source of an image is a table's column or a DICOM element; got --source-column "
            "and --source-tag; leave one out."
        )
    return {
        "labels": str(as_path(labels)) if labels is not None else "",
        "source_tag": source_tag or "",
    }


def title(name: str) -> str:
    """How a set is called in a sentence: its folder's or file's name."""
    return Path(name).name or name
