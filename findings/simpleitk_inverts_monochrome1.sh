#!/usr/bin/env bash
# SimpleITK inverts the stored values of a MONOCHROME1 film, and still calls it MONOCHROME1.
#
# Expected: the stored values, as pydicom's pixel_array gives them, with the header saying that low values are white; a program then
# inverts by that header.
# Seen: every value v of 12 bits arrives as 4095 - v, before the rescale slope is applied, while the image's own metadata still say
# MONOCHROME1: who inverts by them gets back the negative. Signed pixels of MONOCHROME1 are refused. SimpleITK 2.5.7.
# hilum: reads by pydicom and inverts once; tests/images/test_dicom_files.py.
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
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

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
file = written(DigitalXRayImageStorageForPresentation, PhotometricInterpretation="MONOCHROME1")
image = sitk.ReadImage(file)
read, stored = sitk.GetArrayFromImage(image)[0], pydicom.dcmread(file).pixel_array
print("stored  ", stored.ravel()[:4].tolist(), "\nread    ", read.ravel()[:4].tolist(), image.GetMetaData("0028|0004"))
inverted = np.array_equal(read, 4095 - stored) and image.GetMetaData("0028|0004").strip() == "MONOCHROME1"

file = written(DigitalXRayImageStorageForPresentation, PhotometricInterpretation="MONOCHROME1", RescaleSlope=2, RescaleIntercept=-100)
rescaled = sitk.GetArrayFromImage(sitk.ReadImage(file))[0]
print("rescaled", rescaled.ravel()[:4].tolist(), "for slope 2, intercept -100")
before = np.array_equal(rescaled, 2 * (4095 - stored.astype(int)) - 100)

pixels = (pixels.astype(np.int16) - 800).astype(np.int16)
file = written(DigitalXRayImageStorageForPresentation, PhotometricInterpretation="MONOCHROME1", PixelRepresentation=1)
try:
    sitk.ReadImage(file)
    refused = False
except RuntimeError:
    refused = True
print("signed pixels are refused:", refused)
sys.exit(0 if inverted and before and refused else 1)
PYTHON
