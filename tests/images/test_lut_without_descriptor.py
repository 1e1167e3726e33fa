"""An empty lookup table without a descriptor: pydicom cannot say what kind its data are."""

from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
from pydicom import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ComputedRadiographyImageStorage, ImplicitVRLittleEndian

from hilum import images
from hilum.types import HilumError


@pytest.mark.parametrize("keyword", ["VOILUTSequence", "ModalityLUTSequence"])
def test_it_is_one_sentence_or_an_image(keyword: str) -> None:
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    film.file_meta.MediaStorageSOPClassUID = film.SOPClassUID = ComputedRadiographyImageStorage
    film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID = "1.2.3"
    film.Modality, film.PhotometricInterpretation, film.SamplesPerPixel = "CR", "MONOCHROME2", 1
    film.Rows, film.Columns, film.PixelRepresentation = 40, 50, 0
    film.BitsAllocated, film.BitsStored, film.HighBit = 16, 12, 11
    film.PixelData = (np.arange(2000, dtype=np.uint16) * 2).tobytes()
    table = Dataset()
    table.add(DataElement(0x00283006, "OW", None))
    setattr(film, keyword, Sequence([table]))
    file = BytesIO()
    film.save_as(file, enforce_file_format=True)
    with suppress(HilumError):
        assert images.read(file.getvalue()).pixels.shape == (40, 50)
