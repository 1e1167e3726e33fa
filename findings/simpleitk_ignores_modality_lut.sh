#!/usr/bin/env bash
# SimpleITK applies Rescale Slope and Intercept, but not a Modality LUT Sequence, which says the same thing as a table.
#
# Expected: DICOM PS3.3 C.11.1 has both in one module; a reader that returns rescaled values applies whichever there is, or refuses.
# Seen: slope and intercept are applied, values behind a table come as indices into it, without a warning. pydicom's
# apply_modality_lut applies either. SimpleITK 2.5.7.
# hilum: applies either; tests/images/test_dicom_grey.py.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet SimpleITK==2.5.7 pydicom==3.0.2 numpy==2.4.6
cd "$home"
"$home/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

pixels = np.arange(16, dtype=np.uint16).reshape(4, 4) * 100


def written(kind, **elements):
    """A file of 12 bits stored, with these elements changed."""
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.SOPClassUID = film.file_meta.MediaStorageSOPClassUID = kind
    film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    film.StudyInstanceUID, film.SeriesInstanceUID = generate_uid(), generate_uid()
    film.PatientID, film.PatientName = "1", "A"
    film.Rows, film.Columns = pixels.shape
    film.SamplesPerPixel, film.PhotometricInterpretation, film.PixelRepresentation = 1, "MONOCHROME2", 0
    film.BitsAllocated, film.BitsStored, film.HighBit = 16, 12, 11
    film.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(film, name, value)
    film.save_as("film.dcm", enforce_file_format=True)
    return "film.dcm"


print("SimpleITK", sitk.__version__, "pydicom", pydicom.__version__)
table = np.arange(16, dtype=np.uint16)[::-1] * 100 + 7
lut = Dataset()
lut.LUTDescriptor, lut.ModalityLUTType, lut.LUTData = [16, 0, 16], "US", table.astype("<u2").tobytes()
pixels = np.arange(16, dtype=np.uint16).reshape(4, 4)
file = written(ComputedRadiographyImageStorage, ModalityLUTSequence=[lut])
read, film = sitk.GetArrayFromImage(sitk.ReadImage(file))[0], pydicom.dcmread(file)
by_pydicom = pydicom.pixels.apply_modality_lut(film.pixel_array, film)
print("table    ", table[:4].tolist(), "\nSimpleITK", read.ravel()[:4].tolist(), "\npydicom  ", by_pydicom.ravel()[:4].tolist())
as_stored = np.array_equal(read, pixels) and np.array_equal(by_pydicom.ravel(), table)

file = written(ComputedRadiographyImageStorage, RescaleSlope=2, RescaleIntercept=-5)
rescaled = sitk.GetArrayFromImage(sitk.ReadImage(file))[0]
print("slope 2, intercept -5:", rescaled.ravel()[:4].tolist())
sys.exit(0 if as_stored and np.array_equal(rescaled, 2 * pixels.astype(int) - 5) else 1)
PYTHON
