#!/usr/bin/env bash
# SimpleITK ignores Pixel Spacing of CR, DX and mammograms: a film with nothing else has a spacing of 1 mm.
#
# Expected: Pixel Spacing (0028,0030) is what CR and DX hold where the size in the patient is calibrated (PS3.3, 10.7), and the
# element that the same reader takes for CT and for Secondary Capture.
# Seen: CR, DX and MG with Pixel Spacing alone have a spacing of 1, 1; with Imager Pixel Spacing as well they have that of the
# detector. For CT and Secondary Capture Pixel Spacing is used. Nothing is warned of. SimpleITK 2.5.7.
# hilum: takes the shape of a pixel from whichever there is; images/dicom_shape.py.
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
from pydicom.uid import ComputedRadiographyImageStorage, CTImageStorage, DigitalMammographyXRayImageStorageForPresentation, \
    DigitalXRayImageStorageForPresentation, SecondaryCaptureImageStorage, ExplicitVRLittleEndian, generate_uid

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
kinds = {
    "CR": ComputedRadiographyImageStorage, "DX": DigitalXRayImageStorageForPresentation,
    "MG": DigitalMammographyXRayImageStorageForPresentation, "CT": CTImageStorage, "SC": SecondaryCaptureImageStorage,
}
seen = {}
for name, kind in kinds.items():
    alone = sitk.ReadImage(written(kind, PixelSpacing=[0.4, 0.3])).GetSpacing()[:2]
    both = sitk.ReadImage(written(kind, PixelSpacing=[0.4, 0.3], ImagerPixelSpacing=[0.2, 0.1])).GetSpacing()[:2]
    seen[name] = (alone, both)
    print(f"{name}: Pixel Spacing 0.4, 0.3 alone: {alone}; with Imager Pixel Spacing 0.2, 0.1: {both}")
films = all(seen[name] == ((1.0, 1.0), (0.1, 0.2)) for name in ("CR", "DX", "MG"))
others = all(seen[name] == ((0.3, 0.4), (0.3, 0.4)) for name in ("CT", "SC"))
sys.exit(0 if films and others else 1)
PYTHON
