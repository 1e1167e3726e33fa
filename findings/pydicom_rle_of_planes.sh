#!/usr/bin/env bash
# pydicom writes run-length data that stands for another picture, or for none.
#
# Expected: Dataset.compress(RLELossless) is lossless whatever the data set's Planar Configuration is, and what it writes can be
# read again. PS3.5 annex G: a segment for each byte of each sample, as many as Bits Allocated and Samples per Pixel ask for.
# Seen, pydicom 3.0.2: (1) an RGB image with Planar Configuration 1 is encoded as if its planes were interleaved: it is read back
# scrambled, without a word. (2) 8 bits stored in 16 allocated get one segment in place of two: no decoder of pydicom
# reads the file again.
# hilum reads what the file says: (1) scrambled alike, (2) refused as cut short. It compresses nothing itself.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check pydicom==3.0.2 numpy==2.3.5
"$home/venv/bin/python" - <<'PYTHON'
import sys
from io import BytesIO

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, SecondaryCaptureImageStorage

ROWS, COLUMNS = 8, 10
picture = np.arange(ROWS * COLUMNS, dtype=np.uint8).reshape(ROWS, COLUMNS)


def image(samples, allocated, pixels, **more):
    """A secondary capture of 8 bits stored."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    data.Rows, data.Columns, data.SamplesPerPixel = ROWS, COLUMNS, samples
    data.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = allocated, 8, 7, 0
    for name, value in more.items():
        setattr(data, name, value)
    data.PixelData = pixels.tobytes()
    return data


def back(data):
    """The pixels after RLE and a file, or the kind of error."""
    file = BytesIO()
    data.compress(RLELossless)
    data.save_as(file, enforce_file_format=True)
    file.seek(0)
    try:
        return pydicom.dcmread(file).pixel_array
    except Exception as error:
        return type(error).__name__


print(f"Python {sys.version.split()[0]}, pydicom {pydicom.__version__}, numpy {np.__version__}")
seen = {}
colour = np.stack([picture, picture + 80, picture + 160])
for planar in (0, 1):
    stored = np.moveaxis(colour, 0, -1) if planar == 0 else colour
    found = back(image(3, 8, np.ascontiguousarray(stored), PlanarConfiguration=planar))
    seen[f"planar {planar}"] = np.array_equal(found, np.moveaxis(colour, 0, -1))
    print(f"RGB, Planar Configuration {planar}: the same picture after RLE: {seen[f'planar {planar}']}")
for allocated in (8, 16):
    found = back(image(1, allocated, picture.astype(f"<u{allocated // 8}")))
    seen[f"allocated {allocated}"] = isinstance(found, np.ndarray) and np.array_equal(found, picture)
    print(f"8 bits stored of {allocated}: {found if isinstance(found, str) else 'read again'}")
wanted = {"planar 0": True, "planar 1": False, "allocated 8": True, "allocated 16": False}
sys.exit(0 if seen == wanted else 1)
PYTHON
