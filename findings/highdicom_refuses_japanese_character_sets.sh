#!/usr/bin/env bash
# highdicom writes nothing about an image whose character sets are those of most Japanese and Korean archives.
#
# Expected: Specific Character Set may begin with an empty value, which stands for ASCII where sets are switched by ISO 2022
# (PS3.3 C.12.1.1.2); "\ISO 2022 IR 87" is the example of PS3.5 annex H for Japanese, "\ISO 2022 IR 149" that of annex I for Korean.
# A segmentation or report about such an image is expected to be written as about any other.
# Seen, highdicom 0.28.2: ValueError "'' is not a valid SpecificCharacterSetValues" (Segmentation, Comprehensive3DSR). The set with
# "ISO 2022 IR 6" written out in its first place is taken.
# hilum decodes the header and says UTF-8 before highdicom sees it; tests/dicom/test_characters.py.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check highdicom==0.28.2 pydicom==3.0.2 numpy==2.3.5
"$home/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

warnings.simplefilter("ignore")


def slice_(characters):
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SpecificCharacterSet = characters
    made.SOPClassUID, made.SOPInstanceUID, made.Modality = CTImageStorage, "1.2.3.1", "CT"
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = "1.2.3.2", "1.2.3.3", "1.2.3.4"
    made.PatientName, made.PatientID, made.PatientBirthDate, made.PatientSex = "Yamada^Tarou=山田^太郎", "1", "", ""
    made.StudyDate = made.StudyTime = made.StudyID = made.AccessionNumber = made.ReferringPhysicianName = ""
    made.Rows = made.Columns = 8
    made.PixelSpacing, made.SliceThickness = [1, 1], 1
    made.ImagePositionPatient, made.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    return made


def outcome(characters):
    segment = hd.seg.SegmentDescription(
        segment_number=1, segment_label="A", segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=codes.SCT.Lung, algorithm_type="MANUAL",
    )
    try:
        hd.seg.Segmentation(
            source_images=[slice_(characters)], pixel_array=np.ones((1, 8, 8), np.uint8), segmentation_type="BINARY",
            segment_descriptions=[segment], series_instance_uid="1.2.3.5", series_number=1, sop_instance_uid="1.2.3.6",
            instance_number=1, manufacturer="A", manufacturer_model_name="B", software_versions="1", device_serial_number="1",
        )
    except ValueError as error:
        return f"ValueError: {error}"
    return "written"


said = {}
for characters in (["", "ISO 2022 IR 87"], ["", "ISO 2022 IR 149"], ["ISO 2022 IR 6", "ISO 2022 IR 87"], "ISO_IR 192"):
    name = characters if isinstance(characters, str) else "\\".join(characters)
    said[name] = outcome(characters)
    print(f"{name!r:34} {said[name]}")
refused = [name for name, words in said.items() if words != "written"]
sys.exit(0 if refused == ["\\ISO 2022 IR 87", "\\ISO 2022 IR 149"] else 1)
PYTHON
