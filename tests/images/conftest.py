"""Fixtures of the image tests."""

from pathlib import Path

import numpy as np
import pytest
from dicom_maker import Saver, dicom_bytes
from pydicom.dataset import Dataset


@pytest.fixture
def save(tmp_path: Path) -> Saver:
    """Writes a data set to a file of the test's own."""

    def write(dataset: Dataset) -> Path:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.dcm"
        path.write_bytes(dicom_bytes(dataset))
        return path

    return write


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)
