"""A user's own class folders: [train|val|test/]<class>/**/image, with or without masks."""

from pathlib import Path

from hilum import images
from hilum.datasets import folder_levels, folders_by_patient
from hilum.datasets.dicom_headers import Progress, is_dicom, with_facts
from hilum.datasets.folder_levels import Levels
from hilum.datasets.patients import build_manifest
from hilum.types import LeftOut, Manifest, as_path


def read_class_folders(
    folder: str | Path,
    progress: Progress = None,
    source_tag: str = "",
    unlabelled: bool = False,
    fewest: int = 2,
    workers: images.Readers = 1,
) -> Manifest:
    """Read class folders; obvious folder names become the fixed class names (`vocabulary.CLASSES`).

    A level of train, val and test folders above the classes is taken as the official split, files
    in `masks` folders as lung masks; DICOM headers bring patient, view, modality, age and sex.
    Raises HilumError unless there are images of `fewest` classes, and where the folders are rather
    of patients than of classes; with `unlabelled` the images of these have no label.
    `workers` processes read headers.
    """
    root = as_path(folder)
    placed, strangers, dicom = _placed(root, fewest)
    rows, broken = with_facts(placed.rows, progress, workers) if dicom else (placed.rows, [])
    why = folders_by_patient.reason(rows)
    if why and not unlabelled:
        raise folders_by_patient.refusal(root, rows, why)
    rows = rows.assign(label=None, finding=None) if why else rows
    left_out = (*strangers, *placed.left_out, *broken)
    return build_manifest(
        root, rows, "dicom" if dicom else "folder", left_out, placed.notes, source_tag
    )


def _placed(root: Path, fewest: int) -> tuple[Levels, list[LeftOut], bool]:
    """Images by their folders, files that are none, and whether any may be DICOM.

    The list of paths, as large as the manifest, ends here.
    """
    paths, strangers = images.list_images(root)
    return folder_levels.read_levels(root, paths, fewest), strangers, any(map(is_dicom, paths))
