#!/usr/bin/env bash
# MONAI: whether the package itk is installed decides if LoadImage gives a MONOCHROME1 film as its negative.
#
# A radiograph of 4 rows and 5 columns, 12 bits, MONOCHROME1, read with LoadImage without naming a reader.
#
# One expects the same array on every machine: a package more or less is said to change which formats can be read.
# Seen: with pydicom alone the stored values come, in two dimensions; once itk is installed it is taken first, each value v comes as
# 4095 - v, in three dimensions. A MONOCHROME2 film has the same values in both. Nothing is warned of, so that a network that was
# trained where itk is missing sees negatives where it is there.
#
# Shown with monai 1.6.1, itk 5.4.7, pydicom 3.0.2.
# In hilum: one reader, by pydicom, inverts once (tests/images/test_dicom_files.py); the bundle of `hilum export --format monai` brings it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check monai==1.6.1 torch==2.13.0 numpy==2.4.6 pydicom==3.0.2
cat > read.py <<'PYTHON'
import json
import sys
import warnings

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

warnings.simplefilter("ignore")
from monai.transforms import LoadImage  # noqa: E402

pixels = np.arange(20, dtype=np.uint16).reshape(4, 5) * 100
read = {}
for photometric in ("MONOCHROME1", "MONOCHROME2"):
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.SOPClassUID = film.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    film.StudyInstanceUID, film.SeriesInstanceUID = generate_uid(), generate_uid()
    film.PatientID, film.PatientName, film.Modality = "1", "A", "DX"
    film.Rows, film.Columns = pixels.shape
    film.SamplesPerPixel, film.PhotometricInterpretation, film.PixelRepresentation = 1, photometric, 0
    film.BitsAllocated, film.BitsStored, film.HighBit = 16, 12, 11
    film.PixelData = pixels.tobytes()
    film.save_as("film.dcm", enforce_file_format=True)
    image = LoadImage(image_only=True)("film.dcm").numpy()
    read[photometric] = {"shape": image.shape, "values": sorted(image.ravel().astype(int).tolist())}
with open(sys.argv[1], "w") as file:
    json.dump(read, file)
PYTHON
venv/bin/python read.py without.json 2>/dev/null
venv/bin/pip install --quiet --disable-pip-version-check itk==5.4.7
venv/bin/python read.py with.json 2>/dev/null
venv/bin/python - <<'PYTHON'
import json
import sys
from importlib.metadata import version

print(", ".join(f"{name} {version(name)}" for name in ("monai", "itk", "pydicom")))
without, with_itk = (json.load(open(f"{name}.json")) for name in ("without", "with"))
stored = [100 * i for i in range(20)]
for name, read in {"pydicom alone": without, "itk as well": with_itk}.items():
    for photometric, image in read.items():
        print(f"{name}, {photometric}: shape {image['shape']}, values {image['values'][0]} to {image['values'][-1]}")
same = without["MONOCHROME2"]["values"] == with_itk["MONOCHROME2"]["values"] == stored
plain = without["MONOCHROME1"]["values"] == stored and without["MONOCHROME1"]["shape"] == [5, 4]
negative = with_itk["MONOCHROME1"]["values"] == sorted(4095 - v for v in stored) and with_itk["MONOCHROME1"]["shape"] == [5, 4, 1]
sys.exit(0 if same and plain and negative else 1)
PYTHON
