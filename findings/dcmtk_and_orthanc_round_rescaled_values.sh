#!/usr/bin/env bash
# dcmtk and Orthanc round rescaled values to whole numbers: a film in units of optical density comes out with a handful of greys.
#
# A CR film of 4,096 stored levels, Rescale Slope 0.001, Rescale Intercept 0, Rescale Type OD: densities of 0 to 4.095. Slopes below 1 are
# usual where the unit is a large one (optical density, SUV of PET).
#
# One expects a picture of thousands of greys from dcmj2pnm (16 bits, --min-max-window, or none), the same film in a quarter of the pixels from
# dcmscale, and from Orthanc's /instances/.../numpy, which hands out rescaled values as float32, the values: 0.585 for the stored 585.
# Seen: the values are rounded or cut first. dcmj2pnm shows 5 greys; dcmscale writes a DICOM file of the values 0 to 4, slope 1: the film is lost;
# Orthanc's array of floats holds 0, 1, 2, 3 and 4, and 0 for the stored 585. None says a word. With slope 1 all of them are right.
#
# Shown with Debian's dcmtk 3.6.7 and orthanc 1.10.1, both of which have to be installed; files are made with pydicom 3.0.2.
# In hilum: rescaled values are floats (hilum.images.dicom_grayscale).
set -euo pipefail
for tool in dcmj2pnm dcmscale Orthanc; do
  command -v "$tool" > /dev/null || { echo "this needs $tool: apt-get install dcmtk orthanc"; exit 1; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pydicom==3.0.2 numpy==2.3.5
cat > look.py <<'PYTHON'
import io
import json
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.metadata import version

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_rescale
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

print("pydicom", version("pydicom"), "numpy", version("numpy"))
print(subprocess.run(["dcmj2pnm", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0])
stored = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def write_film(slope):
    """film.dcm, a CR film of 64 x 64 with a level for each pixel."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.StudyInstanceUID, data.SeriesInstanceUID, data.PatientID = generate_uid(), generate_uid(), "1"
    data.Rows, data.Columns = stored.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.RescaleSlope, data.RescaleIntercept, data.RescaleType = str(slope), "0", "OD" if slope < 1 else "US"
    data.PixelData = stored.tobytes()
    data.save_as("film.dcm", enforce_file_format=True)


def greys_of_dcmj2pnm(*window):
    """How many different values it writes in 16 bits."""
    subprocess.run(["dcmj2pnm", "+opw", *window, "film.dcm", "film.pgm"], check=True)
    words = [word for line in open("film.pgm", "rb") if not line.startswith(b"#") for word in line.split()]
    return len(set(words[4:]))


def greys_of_dcmscale():
    """How many different rescaled values its half-size film has."""
    subprocess.run(["dcmscale", "+Sxf", "0.5", "film.dcm", "half.dcm"], check=True)
    half = pydicom.dcmread("half.dcm")
    return len(np.unique(apply_rescale(half.pixel_array, half)))


def from_orthanc(address):
    """The array that it hands out for film.dcm, rescaled."""
    send = urllib.request.Request(f"{address}/instances", open("film.dcm", "rb").read(), method="POST")
    name = json.load(urllib.request.urlopen(send))["ID"]
    return np.load(io.BytesIO(urllib.request.urlopen(f"{address}/instances/{name}/numpy").read())).reshape(64, 64)


with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
settings = {"StorageDirectory": "store", "IndexDirectory": "store", "HttpPort": port, "DicomServerEnabled": False}
open("orthanc.json", "w").write(json.dumps({**settings, "AuthenticationEnabled": False, "Plugins": []}))
archive = subprocess.Popen(["Orthanc", "orthanc.json"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    for _ in range(100):
        try:
            print("Orthanc", json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/system"))["Version"])
            break
        except OSError:
            time.sleep(0.2)
    greys, off = {}, {}
    for slope in (1, 0.001):
        write_film(slope)
        array = from_orthanc(f"http://127.0.0.1:{port}")
        greys[slope] = greys_of_dcmj2pnm("-W"), greys_of_dcmj2pnm("+Wm"), greys_of_dcmscale(), len(np.unique(array))
        off[slope] = float(np.abs(array - stored * slope).max())
        print(f"slope {slope}: dcmj2pnm {greys[slope][0]} greys, with --min-max-window {greys[slope][1]}; dcmscale {greys[slope][2]} values; ", end="")
        print(f"Orthanc {array.dtype} with {greys[slope][3]} values, up to {off[slope]:.3f} off; stored 585 is {array[9, 9]:g}")
finally:
    archive.terminate()
    archive.wait()
still = min(greys[1]) > 1000 and off[1] == 0 and max(greys[0.001]) <= 6 and off[0.001] > 0.4
sys.exit(0 if still else 1)
PYTHON
venv/bin/python look.py
