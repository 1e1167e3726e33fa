"""Codes of the results: from DICOM's own tables, and from a scheme of ours where they have none.

https://dicom.nema.org/medical/dicom/current/output/chtml/part16/PS3.16.html
"""

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from hilum.types import CLASS_NAMES

SCHEME, SCHEME_NAME = "99HILUM", "Codes of hilum"
LONGEST, LONGEST_MEANING = 16, 64  # characters of Code Value (SH) and Code Meaning (LO)

# SNOMED CT concepts that DICOM's own context groups do not list
CLASSES = {
    "covid19": Code("840539006", "SCT", "COVID-19"),
    "normal": codes.SCT.Normal,
    "pneumonia": Code("233604007", "SCT", "Pneumonia"),
    "bacterial_pneumonia": Code("53084003", "SCT", "Bacterial pneumonia"),
    "viral_pneumonia": Code("75570004", "SCT", "Viral pneumonia"),
}
# IHE AI Results (Rev 1.1) names this purpose and leaves its code value to be assigned
PROCESSING_ALGORITHM = Code("Newcode1", "99IHE", "Processing Algorithm")
ABSTAINED = Code("ABSTAINED", SCHEME, "Model abstains")
REASON = Code("REASON", SCHEME, "Reason for not assessing")
VERDICT = Code("VERDICT", SCHEME, "Verdict of the audits on the model")
SEEN = Code("SEEN", SCHEME, "Relation to the images the model was built on")
LUNGS = Code("LUNGS", SCHEME, "Why no lungs are segmented")


def class_code(name: str) -> Code:
    """SNOMED CT for a class that it has, a private code for one of a user's own folders."""
    if name in CLASSES:
        return CLASSES[name]
    value = name if len(name) <= LONGEST and name.isascii() else _short(name)
    return Code(value, SCHEME, CLASS_NAMES.get(name, name)[:LONGEST_MEANING])


def _short(name: str) -> str:
    """A value for a name that is too long for one, or not ASCII; no two names share it."""
    from hashlib import sha256

    return sha256(name.encode()).hexdigest()[:LONGEST].upper()
