#!/usr/bin/env bash
# pydicom: the sign of JPEG-LS and JPEG 2000 samples that are deeper than Bits Stored.
#
# A CT slice of 12 signed bits lies in cells of 16, Bits Stored 12, High Bit 11, unused bits zero. The cells are compressed
# whole, so that the stream's samples have 16 bits.
#
# One expects the same values whatever the transfer syntax: PS3.5 8.1.1 puts the sign in the High Bit, which is bit 11.
# pydicom does so for the uncompressed file, and for streams of 12 bits.
# Seen: pydicom takes the sign from the stream's highest bit, 15, so that every negative value v comes out as v + 4096: air is
# brighter than bone. No warning.
#
# Shown with pydicom 3.0.2, pyjpegls 1.5.1, pylibjpeg-openjpeg 2.6.0.
# In hilum: hilum.images.dicom_pixels decides by the stored bits; tests/images/test_dicom_streams.py.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    pydicom==3.0.2 pyjpegls==1.5.1 pylibjpeg==2.1.0 pylibjpeg-openjpeg==2.6.0 'numpy<3'
cat > look.py <<'PYTHON'
import io
import sys
import warnings
from importlib.metadata import version

import jpeg_ls
import numpy as np
import pydicom
from openjpeg.utils import encode_array
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless

ROWS, COLUMNS = 48, 64
y, x = np.mgrid[:ROWS, :COLUMNS]
values = ((y * 50 + x * 30) % 4096 - 2048).astype(np.int16)
cells = (values & 0xFFF).astype("<u2")


def read(syntax, frame):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, "1.2.3"
    data.Rows, data.Columns, data.SamplesPerPixel = ROWS, COLUMNS, 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 1
    data.PixelData = encapsulate([frame]) if syntax.is_encapsulated else frame
    data["PixelData"].VR = "OB" if syntax.is_encapsulated else "OW"
    file = io.BytesIO()
    data.save_as(file, enforce_file_format=True)
    file.seek(0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = pydicom.dcmread(file).pixel_array
    return found, [str(each.message)[:60] for each in caught]


def jls(bits):
    return bytes(jpeg_ls.encode_buffer(cells.tobytes(), ROWS, COLUMNS, 1, bits))


def j2k(bits):
    return encode_array(cells, bits_stored=bits, photometric_interpretation=2)


for name in ("pydicom", "pyjpegls", "pylibjpeg-openjpeg", "numpy"):
    print(name, version(name))
print("true values:", values.min(), "to", values.max())
right, wrong = [], []
for name, syntax, frame, into in (
    ("uncompressed", ExplicitVRLittleEndian, cells.tobytes(), right),
    ("JPEG-LS of 12 bits", JPEGLSLossless, jls(12), right),
    ("JPEG 2000 of 12 bits", JPEG2000Lossless, j2k(12), right),
    ("JPEG-LS of 16 bits", JPEGLSLossless, jls(16), wrong),
    ("JPEG 2000 of 16 bits", JPEG2000Lossless, j2k(16), wrong),
):
    found, said = read(syntax, frame)
    print(f"{name}: {found.min()} to {found.max()}, as stored: {np.array_equal(found, values)}; warnings: {said}")
    into.append((found, np.where(values < 0, values + 4096, values)))
same = all(np.array_equal(found, values) for found, _ in right)
lifted = all(np.array_equal(found, shifted) for found, shifted in wrong)
sys.exit(0 if same and lifted else 1)
PYTHON
venv/bin/python look.py
