"""A drawn export from a PACS: DICOM files by patient, study and series, and a CSV beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.8.498"


@dataclass(frozen=True)
class Export:
    """The tree, and what is true of each file: path below it, label, identifiers."""

    home: Path
    truth: pd.DataFrame

    def csv(self, file: Path, *columns: str, rows: Sequence[int] | None = None) -> Path:
        """Write some of the truth's columns as a table of labels."""
        table = self.truth if rows is None else self.truth.iloc[list(rows)]
        file.parent.mkdir(parents=True, exist_ok=True)
        table[list(columns)].to_csv(file, index=False)
        return file


def save(path: Path, pixels: np.ndarray, **elements: Any) -> Path:
    """One 8-bit DX file of `pixels` (height, width); an element given as None is left out."""
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.SOPClassUID, file.Modality = DigitalXRayImageStorageForPresentation, "DX"
    file.Rows, file.Columns = pixels.shape
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 8, 8, 7, 0
    file.PixelData = pixels.astype("u1").tobytes() + b"\0" * (pixels.size % 2)
    file["PixelData"].VR = "OB"
    for name, value in elements.items():
        if value is not None:
            setattr(file, name, value)
        elif name in file:
            delattr(file, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save_as(path, enforce_file_format=True)
    return path


def export(home: Path, films: Sequence[np.ndarray], labels: Sequence[str], **more: Any) -> Export:
    """One film a patient, but for the last, whose two films are of the first patient's two studies.

    Files have no suffix and the same few names, as archives write them. `more`: elements that are
    the same in every file, or a list with one value for each.
    """
    rows = []
    for i, (film, label) in enumerate(zip(films, labels, strict=True)):
        patient = 1 if i == len(films) - 1 else i + 1
        ids = {
            "PatientID": f"{patient:06d}",
            "AccessionNumber": f"A{7000 + i}",
            "StudyInstanceUID": f"{ROOT}.1.{i}",
            "SOPInstanceUID": f"{ROOT}.2.{i}",
        }
        place = f"{ids['PatientID']}/{i:04d}/SER00001/IMG00001"
        own = {k: v[i] if isinstance(v, (list, tuple)) else v for k, v in more.items()}
        save(home / place, film, **{**ids, **own})
        rows.append({"path": place, **ids, "label": label})
    return Export(home, pd.DataFrame(rows))


def drawn(count: int, side: int = 8) -> list[np.ndarray]:
    """(side, side) grey images, no two alike."""
    random = np.random.default_rng(7)
    return [random.integers(0, 256, (side, side)) for _ in range(count)]
