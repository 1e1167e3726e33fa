"""A dataset of TorchXRayVision, or one with the same interface, as images that hilum reads.

The interface (Cohen et al. 2022, TorchXRayVision, arXiv:2111.00595): `pathologies` are names,
`labels` (image, pathology) are 1, 0 or nan, `csv` has a row for each image, and item i is a
dictionary whose `img` (1, height, width) lies between -1024 and 1024.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum import datasets, files
from hilum.progress import Progress, StepName, silent
from hilum.types import GreyImage, HilumError, LeftOut, Manifest, as_path, nearest_name

TABLE, IMAGES = "images.csv", "images"
WHITE = 1024.0  # black is -1024
EXACT = 1e-3  # grey levels by which a value may miss a whole one: float32 on the way there and back
NEEDED = ("pathologies", "labels", "csv", "__getitem__", "__len__")


class XRayDataset(Protocol):
    """What is read of a dataset."""

    pathologies: Any  # names
    labels: Any  # (image, pathology)
    csv: pd.DataFrame

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Labelling:
    """Which pathologies are which class, and what an image without any finding is called."""

    classes: Mapping[str, str]
    no_finding: str | None

    def of(self, row: pd.Series) -> tuple[str, str]:
        """The class of one image's known labels by pathology, or "" and why it has none."""
        found = {name for name, value in row.items() if value == 1}
        named = {self.classes[str(name)] for name in found if name in self.classes}
        if len(named) > 1:
            return "", "has findings of several classes"
        unknown = [name for name in row.index if pd.isna(row[name])]
        if named:
            in_doubt = {self.classes[str(name)] for name in unknown if name in self.classes}
            if in_doubt - named:
                return "", "is uncertain about another class"
            return named.pop(), ""
        if found:
            return "", "has findings of none of the classes"
        if unknown:
            return "", "has no finding for certain, but is uncertain about one"
        return (self.no_finding, "") if self.no_finding else ("", "has no finding")


def read_torchxrayvision(
    dataset: XRayDataset,
    out: str | Path,
    *,
    classes: Mapping[str, str] | None = None,
    no_finding: str | None = "normal",
    progress: Progress | None = None,
) -> Manifest:
    """Write a dataset's images and their table to the folder `out`; its manifest.

    `classes` maps pathologies to hilum's classes, and by default each pathology is one. An image
    gets a class where it has findings of that class alone; one without any finding is
    `no_finding`, or left out for None. `hilum train OUT` reads the folder. Raises HilumError for an
    object without that interface, an unknown pathology or pixels outside of -1024 to 1024.

    >>> from hilum.interop import read_torchxrayvision
    >>> read_torchxrayvision(object(), "films_of_nih")
    Traceback (most recent call last):
        ...
    hilum.types.HilumError: a TorchXRayVision dataset has pathologies, labels, csv, ...
    """
    labels = _known_labels(dataset)
    labelling = Labelling(_classes(labels, classes), no_finding)
    home = files.ensure_writable_folder(as_path(out))
    (home / IMAGES).mkdir(exist_ok=True)
    facts, sources = _facts(dataset), _sources(dataset)
    rows, left_out = [], []
    advance = (progress or silent)(StepName("read TorchXRayVision images"))
    for index in range(len(labels)):
        label, reason = labelling.of(labels.iloc[index])
        if label:
            name = f"{IMAGES}/{index:07d}.png"
            _write(home / name, dataset[index], index)
            rows.append({"path": name, "label": label, "source": sources[index], **facts[index]})
        else:
            left_out.append(LeftOut(f"image {index}", reason))
        advance(index + 1, len(labels))
    _require_rows(rows, left_out, labelling)
    with files.atomic_write(home / TABLE) as path:
        pd.DataFrame(rows).to_csv(path, index=False)
    manifest = datasets.open_path(home / TABLE)
    return replace(manifest, left_out=(*manifest.left_out, *left_out))


def _known_labels(dataset: XRayDataset) -> pd.DataFrame:
    """(image, pathology) 1, 0 or nan, by name, of the pathologies that this dataset labels."""
    lacking = [name for name in NEEDED if not hasattr(dataset, name)]
    if lacking:
        raise HilumError(
            f"a TorchXRayVision dataset has {', '.join(NEEDED)}; got a "
            f"{type(dataset).__name__} without {', '.join(lacking)}; pass one that has them."
        )
    values = np.asarray(dataset.labels, float)
    names = [str(name) for name in dataset.pathologies]
    if values.shape != (len(dataset), len(names)) or len(dataset.csv) != len(dataset):
        raise HilumError(
            f"labels must be (image, pathology), here ({len(dataset)}, {len(names)}), and csv must "
            f"have a row for each image; got {values.shape} and {len(dataset.csv)} rows; restore "
            "the dataset."
        )
    if not np.isin(values[~np.isnan(values)], (0, 1)).all():
        odd = values[~np.isnan(values) & ~np.isin(values, (0, 1))][0]
        raise HilumError(f"labels must be 1, 0 or nan; got {odd:g}; make them so.")
    table = pd.DataFrame(values, columns=names)
    named = table.loc[:, [name != "" for name in names]]
    return named.loc[:, ~named.isna().all()]  # a column of nan: other datasets label it


def _classes(labels: pd.DataFrame, classes: Mapping[str, str] | None) -> dict[str, str]:
    """Pathology -> class."""
    known = [str(name) for name in labels.columns]
    if classes is None:
        return {name: name for name in known}
    for name in classes:
        if name not in known:
            raise HilumError(
                f"classes are named by pathologies that the dataset labels, {', '.join(known)}; "
                f"got {name!r}; {nearest_name(name, known, 'choose one of these.')}"
            )
    return dict(classes)


def _facts(dataset: XRayDataset) -> list[dict[str, Any]]:
    """Patient, view, age and sex of each image, as far as `csv` has the library's own columns."""
    csv = dataset.csv.reset_index(drop=True)
    names = {"patientid": "patient_id", "view": "view", "age_years": "age"}
    table = csv[[name for name in names if name in csv]].rename(columns=names)
    if "sex_male" in csv and "sex_female" in csv:
        male, female = csv["sex_male"].fillna(0).eq(1), csv["sex_female"].fillna(0).eq(1)
        table["sex"] = np.where(male & ~female, "M", np.where(female & ~male, "F", ""))
    rows: list[dict[str, Any]] = table.to_dict("records")
    return rows if len(table.columns) else [{} for _ in range(len(csv))]


def _sources(dataset: Any) -> list[str]:
    """The dataset that each image comes from: inside a merge or a subset, that one's name."""
    if hasattr(dataset, "which_dataset") and hasattr(dataset, "datasets"):
        parts = [_sources(part) for part in dataset.datasets]
        return [name for part in parts for name in part]  # a merge lists them one after another
    if hasattr(dataset, "idxs") and hasattr(dataset, "dataset"):
        inside = _sources(dataset.dataset)
        return [inside[int(index)] for index in dataset.idxs]
    return [type(dataset).__name__] * len(dataset)


def _write(path: Path, item: Mapping[str, Any], index: int) -> None:
    pixels = _grey(np.asarray(item["img"]), index)
    done, content = cv2.imencode(".png", pixels)
    if not done:
        raise HilumError(f"image {index} must be one that PNG can hold; got {pixels.shape}.")
    with files.atomic_write(path) as place:
        place.write_bytes(content.tobytes())


def _grey(pixels: npt.NDArray[Any], index: int) -> GreyImage | npt.NDArray[np.uint16]:
    """(1, height, width) in -1024..1024 -> (height, width): bytes where exact, else 16 bits."""
    if pixels.ndim != 3 or len(pixels) != 1 or not pixels.size:
        raise HilumError(
            f"img must be (1, height, width); got {pixels.shape} of image {index}; leave out "
            "transforms that change its axes."
        )
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= -WHITE and high <= WHITE):  # nan is neither
        raise HilumError(
            f"img must lie between -1024 and 1024; got {low:g} to {high:g} of image {index}; leave "
            "out transforms that change its values."
        )
    share = (pixels[0].astype(np.float64) / WHITE + 1) / 2
    levels = share * 255
    if np.abs(levels - np.rint(levels)).max() < EXACT:
        return np.rint(levels).astype(np.uint8)
    return np.rint(share * 65535).astype(np.uint16)


def _require_rows(rows: list[Any], left_out: list[LeftOut], labelling: Labelling) -> None:
    if not rows:
        reason = left_out[0].reason if left_out else "there is none"
        raise HilumError(
            f"an image of one of the classes {', '.join(sorted(set(labelling.classes.values())))} "
            f"is needed; got none of {len(left_out)}, the first because it {reason}; choose other "
            "classes."
        )
