#!/usr/bin/env bash
# pydicom turns a film into its negative when it applies a window and the Rescale Slope is negative.
#
# A CR film of 12 bits, MONOCHROME2, Rescale Slope -1 and Rescale Intercept 4095: the detector stored transmission, the slope makes density of
# it. Window Center 2048, Window Width 2000 are in the rescaled values, as PS3.3 C.11.2.1.2 has them.
#
# One expects apply_windowing after apply_rescale to give dark where the rescaled value is below the window and bright where it is above,
# whatever the slope: a window is a rising line from the least output to the greatest. dcmj2pnm and highdicom show the film so.
# Seen: bright where it is below, dark where it is above. pydicom takes the output's two ends from the stored range by the same slope
# ("y_min" is 4095 and "y_max" 0 then). LINEAR, LINEAR_EXACT and SIGMOID alike, and no warning. A data set in which one maker's detector
# does so has one hospital's films as negatives. With slope 1 all three agree.
#
# Shown with pydicom 3.0.2, highdicom 0.28.2 and Debian's dcmtk 3.6.7 (left out where it is not installed).
# In hilum: hilum.images.dicom_grayscale takes the lesser of both ends as the least; tests/images/odd_pixels.py has a falling slope.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pydicom==3.0.2 highdicom==0.28.2 numpy==2.3.5
cat > look.py <<'PYTHON'
import shutil
import subprocess
import sys
from importlib.metadata import version

import numpy as np
from highdicom import VOILUTTransformation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_rescale, apply_windowing
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

for name in ("pydicom", "highdicom", "numpy"):
    print(name, version(name))
stored = np.linspace(0, 4095, 6).astype(np.uint16).reshape(1, 6)


def film(slope, intercept, function):
    """A CR film of one row, in its file."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.Rows, data.Columns = stored.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.RescaleSlope, data.RescaleIntercept = str(slope), str(intercept)
    data.WindowCenter, data.WindowWidth, data.VOILUTFunction = "2048", "2000", function
    data.PixelData = stored.tobytes()
    data.save_as("film.dcm", enforce_file_format=True)
    return data


def shown_by_dcmtk():
    """What dcmj2pnm makes of film.dcm with its first window, 0 to 1."""
    subprocess.run(["dcmj2pnm", "+opb", "+Wi", "1", "film.dcm", "film.pgm"], check=True)
    words = [word for line in open("film.pgm", "rb") if not line.startswith(b"#") for word in line.split()]
    return np.array(words[4:], float) / float(words[3])


still = True
for slope, intercept in ((1, 0), (-1, 4095)):
    for function in ("LINEAR", "SIGMOID"):
        data = film(slope, intercept, function)
        rescaled = apply_rescale(data.pixel_array, data)[0]
        out = apply_windowing(rescaled.copy(), data)
        other = VOILUTTransformation(window_center=2048, window_width=2000, voi_lut_function=function).apply(rescaled)
        print(f"\nslope {slope}, {function}: rescaled {rescaled.astype(int).tolist()}")
        print("  pydicom  ", (out / 4095).round(2).tolist())
        print("  highdicom", other.round(2).tolist())
        sees = {"pydicom": out, "highdicom": other}
        if shutil.which("dcmj2pnm"):
            sees["dcmj2pnm"] = shown_by_dcmtk()
            print("  dcmj2pnm ", sees["dcmj2pnm"].round(2).tolist())
        rises = {name: bool(seen[rescaled.argmax()] > seen[rescaled.argmin()]) for name, seen in sees.items()}
        wanted = {name: name != "pydicom" or slope > 0 for name in sees}
        still = still and rises == wanted
sys.exit(0 if still else 1)
PYTHON
venv/bin/python look.py
