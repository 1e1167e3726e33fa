#!/usr/bin/env bash
# pydicom keeps leading spaces that the DICOM standard calls non-significant.
#
# Expected: DICOM PS3.5, Table 6.2-1: in a Code String (CS) "leading or trailing spaces (20H) are
#   non-significant", and a Long String (LO) "may be padded with leading and/or trailing spaces". So a
#   file whose Modality is stored as " DX", View Position as " PA" and Patient ID as " P1 " says DX, PA
#   and P1, as pydicom gives it where the spaces trail.
# Seen: pydicom 3.0.2 takes trailing spaces off and keeps leading ones: Modality == "DX" is false, and
#   two films of one patient, one padded before and one behind, have two different Patient IDs, so that
#   a split by patient can put them on both sides. Numbers (DS) are read without either.
# hilum takes spaces off at both ends (images/dicom_elements.py); test:
#   tests/data/test_missing.py::test_padding_makes_no_second_patient
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet pydicom==3.0.2
"$home/venv/bin/python" - "$home" <<'PYTHON'
import sys
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

home = Path(sys.argv[1])


def film(name: str, before: str, behind: str) -> Dataset:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.PatientID, data.Modality = f"{before}P1{behind}", f"{before}DX{behind}"
    data.ViewPosition, data.ImageType = f"{before}PA{behind}", ["ORIGINAL", f"{before}PRIMARY"]
    data.WindowCenter = f"{before}40{behind}"
    data.save_as(home / name, enforce_file_format=True)
    return pydicom.dcmread(home / name)


behind, before = film("behind.dcm", "", "  "), film("before.dcm", "  ", "")
print("pydicom", pydicom.__version__)
keywords = ("PatientID", "Modality", "ViewPosition", "ImageType", "WindowCenter")
for keyword in keywords:
    vr = behind[keyword].VR
    print(f"{keyword:13} {vr}  padded behind: {behind[keyword].value!r:24} before: {before[keyword].value!r}")
still = (
    behind.PatientID == "P1" and before.PatientID == "  P1"
    and behind.Modality == "DX" and before.Modality != "DX"
    and before.ImageType[1] != "PRIMARY" and behind.WindowCenter == before.WindowCenter == 40
)
print("as described" if still else "this has changed")
sys.exit(0 if still else 1)
PYTHON
