#!/usr/bin/env bash
# A data set with several names in one element, read by pydicom, cannot be sent to another process.
#
# Expected: data sets are plain data, and pydicom's can be pickled: multiprocessing sends them between processes.
# Seen, pydicom 3.0.2: AttributeError "Can't pickle local object 'convert_PN.<locals>.get_valtype'" where an element such as Operators' Name
# (VM 1-n) has two values and has been looked at. With one name, or with several values of another kind (Image Type), it is pickled.
# hilum decodes films in processes of their own, and takes names out of that list first; tests/dicom/test_header.py.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check pydicom==3.0.2
"$home/venv/bin/python" - <<'PYTHON'
import pickle
import sys
from io import BytesIO

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian


def read(keyword, value):
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = "1.2.3"
    setattr(made, keyword, value)
    file = BytesIO()
    made.save_as(file, enforce_file_format=True)
    file.seek(0)
    return dcmread(file)


def outcome(keyword, value):
    dataset = read(keyword, value)
    assert dataset[keyword].value == value
    try:
        return f"pickled, {pickle.loads(pickle.dumps(dataset))[keyword].value}"
    except (AttributeError, pickle.PicklingError) as error:
        return f"{type(error).__name__}: {error}"


said = {}
for keyword, value in (("ImageType", ["A", "B"]), ("OperatorsName", "A^B"), ("OperatorsName", ["A^B", "C^D"])):
    said[f"{keyword} {value}"] = outcome(keyword, value)
for name, words in said.items():
    print(f"{name:32} {words}")
failed = [name for name, words in said.items() if not words.startswith("pickled")]
sys.exit(0 if failed == ["OperatorsName ['A^B', 'C^D']"] else 1)
PYTHON
