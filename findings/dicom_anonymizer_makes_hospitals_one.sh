#!/usr/bin/env bash
# dicom-anonymizer: after de-identification all hospitals and all stations have the same name, and it is not empty.
#
# Four drawn films of two patients, from two hospitals with a device of another make each. Whoever trains on de-identified files
# asks whether the label goes with the hospital, and takes InstitutionName for it.
#
# One expects InstitutionName and StationName to be removed or emptied, so that the hospital is unknown, or to become a different
# dummy for each hospital: PS3.15 table E.1-1 has X/Z/D (remove, zero length, or dummy value) for both, and PatientID, Z or D there, is
# emptied. With dicognito, too, two hospitals stay two.
# Seen: both elements become the word ANONYMIZED in every file. Counted by name, all films come from one hospital with one device,
# where no label can go with the hospital; Manufacturer, which is kept, still tells the two apart.
#
# Shown with dicom-anonymizer 2.1.0, dicognito 0.19.0, pydicom 3.0.2.
# In hilum: hilum.datasets.sources takes such words for unknown, and then asks Manufacturer; tests/data/test_tree_labels.py.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check dicom-anonymizer==2.1.0 dicognito==0.19.0 pydicom==3.0.2
cat > draw.py <<'PYTHON'
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

Path("films").mkdir()
for i in range(4):
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.SOPClassUID, film.SOPInstanceUID = DigitalXRayImageStorageForPresentation, generate_uid()
    film.StudyInstanceUID, film.SeriesInstanceUID = generate_uid(), generate_uid()
    film.PatientID, film.PatientName, film.PatientSex = f"P{i // 2}", f"Drawn^{i // 2}", "F"
    film.PatientBirthDate, film.StudyDate, film.StudyTime = "19700101", "20200101", "120000"
    film.InstitutionName, film.StationName = ("North", "South")[i % 2], ("ROOM1", "ROOM2")[i % 2]
    film.Manufacturer, film.Modality, film.AccessionNumber = ("Make A", "Make B")[i % 2], "DX", f"A{i}"
    film.Rows = film.Columns = 8
    film.SamplesPerPixel, film.PhotometricInterpretation = 1, "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 8, 8, 7, 0
    film.PixelData = bytes(range(64))
    film["PixelData"].VR = "OB"
    film.save_as(f"films/{i}.dcm", enforce_file_format=True)
PYTHON
cat > look.py <<'PYTHON'
import sys
from importlib.metadata import version
from pathlib import Path

import pydicom

NAMES = ("PatientID", "InstitutionName", "StationName", "Manufacturer")
for name in ("dicom-anonymizer", "dicognito", "pydicom"):
    print(name, version(name))
found = {}
for folder in ("films", "dicom-anonymizer", "dicognito"):
    heads = [pydicom.dcmread(path, stop_before_pixels=True) for path in sorted(Path(folder).rglob("*.dcm"))]
    assert len(heads) == 4, (folder, len(heads))
    found[folder] = {name: sorted({str(head.get(name, "absent")) for head in heads}) for name in NAMES}
    print(folder, found[folder])
one, other = found["dicom-anonymizer"], found["dicognito"]
same = one["InstitutionName"] == one["StationName"] == ["ANONYMIZED"]
still = same and one["PatientID"] == [""] and len(one["Manufacturer"]) == 2 and len(other["InstitutionName"]) == 2
sys.exit(0 if still else 1)
PYTHON
venv/bin/python draw.py
mkdir dicom-anonymizer
venv/bin/dicom-anonymizer films dicom-anonymizer 2> log
cp -r films copies # dicognito is given its own, whatever it writes to
venv/bin/python -m dicognito copies -o dicognito > log
venv/bin/python look.py
