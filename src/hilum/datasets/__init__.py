"""From folders as they are found to a manifest: published layouts, and a user's own images."""

from pathlib import Path

from hilum import images
from hilum.data import manifest
from hilum.datasets import class_folders, columns, dicom_tree, registry, table
from hilum.datasets.base import Dataset
from hilum.datasets.columns import Columns, columns_from_roles
from hilum.datasets.dicom_headers import Progress
from hilum.datasets.dicom_tree import TreeOptions
from hilum.types import HilumError, Manifest, MissingError, as_path, nearest_names

__all__ = ["Columns", "TreeOptions", "columns_from_roles", "open_path", "read"]

MANIFEST = "manifest.parquet"
_USUAL = Columns()
_NOTHING = TreeOptions()


def read(name: str, root: str | Path) -> Manifest:
    """Read one published dataset by its card's name.

    `root` is the folder that holds datasets as published, or the dataset's own folder. Raises
    HilumError for an unknown name, and MissingError, saying where to get it and where to put it,
    for a dataset that is not there.
    """
    dataset = registry.find_dataset(name)
    card, home = dataset.card, as_path(root)
    named = [home / folder for folder in card.folders]
    for place in (*named, home):
        if place.is_dir() and dataset.recognises(place):
            return dataset.read(place)
    raise MissingError(
        f"the dataset {name!r} must lie in {named[0]}, with the folders as published; "
        f"got {_state(named[0])}; {card.advice}"
    )


def _state(place: Path) -> str:
    if not place.is_dir():
        return "no such folder"
    names = sorted(item.name for item in place.iterdir())
    return f"{', '.join(map(repr, names[:5]))}{' ...' if len(names) > 5 else ''}" or "nothing in it"


def open_path(
    path: str | Path,
    roles: Columns = _USUAL,
    progress: Progress = None,
    options: TreeOptions = _NOTHING,
) -> Manifest:
    """Read whatever `path` is: a manifest or run folder, a published dataset, a tree of DICOM
    files, a CSV table, or class folders; in this order.

    `roles` says which columns of a table are what, where their names do not tell; then a table it
    must be. `progress` counts the DICOM headers read. With a table of labels in `options` it is a
    folder of the user's own. Raises HilumError saying what was expected and what was found.
    """
    place = as_path(path)
    if not place.exists():
        raise HilumError(
            f"{place} must be a folder of images or a table; got nothing; {_near(place)}"
        )
    if place.is_dir():
        return _open_folder(place, roles, progress, options)
    return _open_file(place, roles, progress, options)


def _near(place: Path) -> str:
    parent = place.parent
    names = [item.name for item in parent.iterdir()] if parent.is_dir() else []
    near = nearest_names(place.name, names)
    return f"did you mean {parent / near[0]}?" if near else "check the path."


def _open_file(file: Path, roles: Columns, progress: Progress, options: TreeOptions) -> Manifest:
    suffix = file.suffix.lower()
    if options.labels:
        raise HilumError(
            f"--labels goes with a folder of images; got the file {file}; name the folder that "
            "they are in, or leave --labels out."
        )
    if suffix == ".parquet":
        return manifest.read_manifest(file)
    if suffix in columns.SUFFIXES:
        return table.read_image_table(
            file, roles, progress, options.source_tag, options.fewest, options.workers
        )
    raise HilumError(
        f"{file} must be a folder of images, a CSV table or a manifest.parquet; got a file "
        f"ending in {suffix!r}; name the folder it is in."
    )


def _open_folder(place: Path, roles: Columns, progress: Progress, options: TreeOptions) -> Manifest:
    if roles == _USUAL and not (options.labels or options.source_tag):
        if (place / MANIFEST).is_file():
            return manifest.read_manifest(place / MANIFEST)
        if (dataset := _published(place)) is not None:
            return dataset.read(place)
    return _open_own(place, roles, progress, options)


def _open_own(place: Path, roles: Columns, progress: Progress, options: TreeOptions) -> Manifest:
    """A user's own folder: a tree of DICOM files, a table next to its images, or class folders."""
    if roles == _USUAL and not (options.labels or options.source_tag):
        _refuse_several(place)
    if options.labels or dicom_tree.recognises(images.list_images(place)[0]):
        return dicom_tree.read_dicom_tree(place, roles, progress, options)
    # columns that the user named must be found: what is wrong with them, `read` says
    if roles != _USUAL or table.recognises(place, roles):
        return table.read_image_table(
            place, roles, progress, options.source_tag, options.fewest, options.workers
        )
    return class_folders.read_class_folders(
        place, progress, options.source_tag, options.unlabelled, options.fewest, options.workers
    )


def _published(place: Path) -> Dataset | None:
    """The published dataset that lies in `place`, if one does."""
    for dataset in registry.DATASETS.values():
        named = place.name in dataset.card.folders
        if (named or not dataset.only_by_name) and dataset.recognises(place):
            return dataset
    return None


def _refuse_several(place: Path) -> None:
    sets = [
        item.name
        for item in sorted(place.iterdir())
        if item.is_dir() and not item.name.startswith(".") and _published(item) is not None
    ]
    if sets:
        raise HilumError(
            f"{place} must be one set of images; got a folder of datasets "
            f"({', '.join(map(repr, sets[:5]))}); name one, such as {place / sets[0]}."
        )
