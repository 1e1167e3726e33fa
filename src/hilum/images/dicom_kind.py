"""What a DICOM object is: a picture, no picture at all, or a picture that may not belong here.

SOP classes by their names in DICOM PS3.6, table A-1; Image Type as in PS3.3 C.7.6.1.1.2 and
C.8.16.1.3, Presentation Intent Type as in C.8.11.1.
"""

from pydicom.uid import UID

from hilum.images.dicom_elements import Elements
from hilum.types import HilumError

KIND_KEYWORDS = ("SOPClassUID", "PresentationIntentType")  # used with Modality and Image Type
PICTURE = "Image Storage"  # in the name of every SOP class whose objects are pictures
STORAGE = "Storage"
NEWER = {
    "1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage",
    "1.2.840.10008.5.1.4.1.1.66.8": "Height Map Segmentation Storage",
}  # SOP classes that pydicom's dictionary does not have yet
REMARKS = {"Parametric Map": ": measurements, as whole numbers or as Float Pixel Data"}
EXPECTED = (
    "Computed Radiography Image", "Digital X-Ray Image", "CT Image", "Enhanced CT Image",
    "Legacy Converted Enhanced CT Image", "DICOS CT Image", "DICOS Digital X-Ray Image",
    "Hardcopy Grayscale Image",
)  # fmt: skip
# Modality (PS3.3 C.7.3.1.1.1) of objects that are no pictures, for files without a SOP class
NO_PICTURE = frozenset(
    {"SEG", "RTDOSE", "RTSTRUCT", "RTPLAN", "RTRECORD", "RTINTENT", "RTSEGANN", "SR", "PR", "KO",
     "DOC", "ECG", "EEG", "EMG", "EOG", "EPS", "HD", "RESP", "AU", "POS", "REG", "FID", "RWV",
     "PLAN", "SRF", "SMR", "ANN", "ASMT", "M3D", "TEXTUREMAP", "KER", "LEN", "VA", "IOL", "OAM"}
)  # fmt: skip
OTHERS = frozenset(
    {"US", "MR", "NM", "PT", "MG", "XA", "RF", "ES", "XC", "GM", "SM", "OP", "OPT", "IVUS", "IVOCT",
     "IO", "PX", "BI", "BMD", "RTIMAGE", "DMS", "TG", "LS", "HC", "OT"}
)  # fmt: skip


def require_picture(elements: Elements) -> None:
    """Raise HilumError for an object that is no picture by its SOP class or its modality.

    SOP classes: DICOM PS3.4 B.5,
    https://dicom.nema.org/medical/dicom/current/output/chtml/part04/sect_B.5.html
    """
    name = _name(elements)
    modality = elements.text("Modality") or ""
    if (name and PICTURE not in name) or modality in NO_PICTURE:
        what = name.partition(f" {STORAGE}")[0] if PICTURE not in name else ""
        raise HilumError(
            "expected a picture, got a DICOM object that is none "
            f"({what or modality}{REMARKS.get(what, '')}); leave it out"
        )


def kind(elements: Elements) -> str | None:
    """Why a picture may not belong among films and slices, as `datasets.dicom_kinds` has it."""
    name, modality = _name(elements), elements.text("Modality") or ""
    types = [text.upper() for text in elements.texts("ImageType")]
    if "LOCALIZER" in types:
        return "localizer"
    intent = (elements.text("PresentationIntentType") or "").upper()
    if intent == "FOR PROCESSING" or name.endswith("For Processing"):
        return "for processing"
    if "SCREEN SAVE" in types or "Secondary Capture" in name:
        return "secondary capture"
    if modality == "CT" and types[1:2] == ["SECONDARY"]:
        return "derived"
    short = name.partition(f" {STORAGE}")[0]
    if name and short not in EXPECTED:
        return short
    return f"Modality {modality}" if modality in OTHERS else None


def _name(elements: Elements) -> str:
    """Name of the SOP class; empty where there is none, or one of a vendor's own."""
    uid = elements.text("SOPClassUID") or ""
    name = NEWER.get(uid) or UID(uid).name
    return name if STORAGE in name else ""
