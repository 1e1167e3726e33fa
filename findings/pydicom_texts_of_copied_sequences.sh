#!/usr/bin/env bash
# pydicom writes texts in sequences in the old character set after the data set has got another one.
#
# Expected: a data set says in Specific Character Set how its texts are encoded, those in its sequences too (PS3.3 C.12.1.1.2). What pydicom
# shows as "Röntgen" before it saves a data set is expected to be read as "Röntgen" afterwards, wherever it stands.
# Seen, pydicom 3.0.2: a sequence of a file that was read is put into a new data set of another character set (ISO_IR 192 after ISO_IR 100);
# a text of the data set itself is encoded anew, one in the sequence's item keeps its old bytes, unless a program has looked at it before.
# hilum decodes items before it copies them; tests/dicom/test_characters.py.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check pydicom==3.0.2
"$home/venv/bin/python" - <<'PYTHON'
import sys
import warnings
from io import BytesIO

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

warnings.simplefilter("ignore")
WORD = "Röntgen"


def empty(characters):
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = "1.2.3"
    made.SpecificCharacterSet = characters
    return made


def stored(dataset):
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    file.seek(0)
    return dcmread(file)


old = empty("ISO_IR 100")
item = Dataset()
item.CodeMeaning = old.StudyDescription = WORD
old.ProcedureCodeSequence = [item]


def copied(looked_at):
    film, new = stored(old), empty("ISO_IR 192")
    if looked_at:
        assert film.ProcedureCodeSequence[0].CodeMeaning == WORD
    new.StudyDescription, new.ProcedureCodeSequence = film.StudyDescription, film.ProcedureCodeSequence
    read = stored(new)
    return read.StudyDescription, read.ProcedureCodeSequence[0].CodeMeaning


said = {looked_at: copied(looked_at) for looked_at in (False, True)}
for looked_at, (text, inner) in said.items():
    print(f"item {'read before' if looked_at else 'not read'}: in the data set {text!r}, in the sequence {inner!r}")
sys.exit(0 if said == {False: (WORD, "R\ufffdntgen"), True: (WORD, WORD)} else 1)
PYTHON
