#!/usr/bin/env bash
# pydicom: the first value of a VOI LUT depends on whether the file is written in implicit or explicit VR.
#
# A CT slice, unsigned as stored, Rescale Intercept -1024, with a VOI LUT whose first mapped value is -1000.
#
# One expects both files to look alike. PS3.3 C.11.2.1.1 says of the LUT Descriptor's second value: SS where rescaled values may
# be negative, which is always so in Hounsfield units. A file in implicit VR does not repeat this; its reader must know.
# Seen: in explicit VR pydicom takes the VR of the file, -1000. In implicit VR it chooses by Pixel Representation, US, so that
# the first value is 64536: every pixel maps to the first entry, and apply_voi_lut returns a black image. No error.
#
# Shown with pydicom 3.0.2.
# In hilum: hilum.images.dicom_tables decides by what enters the table; tests/images/test_dicom_tables.py.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pydicom==3.0.2 'numpy<3'
cat > look.py <<'PYTHON'
import io
import sys
import warnings
from importlib.metadata import version

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

stored = np.linspace(0, 1500, 48 * 64).round().astype("<u2").reshape(48, 64)
entries = np.rint(np.linspace(0, 65535, 1200)).astype("<u2")
wanted = entries[np.clip(stored.astype(int) - 1024 + 1000, 0, 1199)]


def read(syntax):
    data, table = Dataset(), Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, "1.2.3"
    data.Rows, data.Columns, data.SamplesPerPixel = *stored.shape, 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.RescaleSlope, data.RescaleIntercept, data.RescaleType = 1, -1024, "HU"
    table.add_new("LUTDescriptor", "SS", [1200, -1000, 16])
    table.add_new("LUTData", "OW", entries.tobytes())
    data.VOILUTSequence = Sequence([table])
    data.PixelData = stored.tobytes()
    data["PixelData"].VR = "OW"
    file = io.BytesIO()
    data.save_as(file, enforce_file_format=True)
    file.seek(0)
    return pydicom.dcmread(file)


for name in ("pydicom", "numpy"):
    print(name, version(name))
print(f"wanted: {wanted.min()} to {wanted.max()}")
shown = {}
for name, syntax in (("explicit", ExplicitVRLittleEndian), ("implicit", ImplicitVRLittleEndian)):
    data = read(syntax)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        measured = apply_modality_lut(data.pixel_array, data)
        shown[name] = apply_voi_lut(measured.astype(np.int32), data)
    first = data.VOILUTSequence[0].LUTDescriptor[1]
    print(f"{name} VR: first value {first}, shown {shown[name].min()} to {shown[name].max()}")
still = np.array_equal(shown["explicit"], wanted) and not shown["implicit"].any()
sys.exit(0 if still else 1)
PYTHON
venv/bin/python look.py
