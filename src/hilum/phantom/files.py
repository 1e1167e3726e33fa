"""A phantom on disk: PNG films, PNG masks, one table, and the manifest that the pipeline reads."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from hilum import files
from hilum.data import manifest
from hilum.phantom import processes
from hilum.phantom.generate import DATASET, Shot, shots
from hilum.phantom.request import Request
from hilum.types import Grey8, Manifest, as_path

TABLE = "phantom.csv"
FOLDERS = {"lungs": "masks/lungs", "lesions": "masks/lesions", "markers": "masks/markers"}
SHARED_COLUMNS = ["label", "patient_id", "source", "age", "sex", "view", "modality"]
NOTE = "Synthetic radiographs of the embedded phantom: no patient was imaged."
LICENCE = "CC0-1.0"


def write_phantom(
    request: Request, folder: str | Path, progress: Callable[[int, int], None] | None = None
) -> Manifest:
    """Write films and masks (0/255) below `folder`; those of lungs and lesions go along.

    Films lie in images/, masks in masks/lungs, masks/lesions and masks/markers under the film's
    name; phantom.csv, written last, holds every fact of every film.
    """
    root = as_path(folder)
    for name in ("images", *FOLDERS.values()):
        (root / name).mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(
        processes.gather(request, root, partial(draw_films, request, root), progress)
    )
    files.remove_unfinished(root, TABLE)  # of a process that was killed right here
    with files.atomic_write(root / TABLE) as temporary:
        table.to_csv(temporary, index=False)
    return _manifest(table, root)


def draw_films(request: Request, root: Path, share: processes.Share) -> Iterator[processes.Row]:
    """Draw a share of the films into the folders below `root`; each film's number and row."""
    for shot in shots(request, share):
        yield shot.number, {"file": _save(root, shot), **shot.row}


def _save(root: Path, shot: Shot) -> str:
    name = str(shot.row["sample_id"]).rsplit("/", 1)[1]
    _encode(root / "images" / name, shot.image)
    for mask, below in zip((shot.lungs, shot.lesions, shot.markers), FOLDERS.values(), strict=True):
        _encode(root / below / name, np.where(mask, np.uint8(255), np.uint8(0)))
    return name


def _encode(path: Path, pixels: Grey8) -> None:
    _, png = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    path.write_bytes(png.tobytes())


def _manifest(table: pd.DataFrame, root: Path) -> Manifest:
    rows = table[SHARED_COLUMNS].copy()
    rows["path"] = [str(root / "images" / name) for name in table["file"]]
    rows["mask_path"] = [str(root / FOLDERS["lungs"] / name) for name in table["file"]]
    rows["finding"] = table["label"]
    rows["licence"] = LICENCE
    built = manifest.assemble_manifest(rows, DATASET, notes=(NOTE,), root=root)
    lesions = [str(root / FOLDERS["lesions"] / name) for name in table["file"]]
    return replace(built, table=built.table.assign(lesion_path=lesions))
