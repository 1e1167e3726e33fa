"""A code as the data set that sequences of DICOM hold."""

from pydicom import Dataset
from pydicom.sr.coding import Code


def item(code: Code) -> Dataset:
    """Code value, scheme and meaning; DICOM PS3.3 8.8.

    https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_8.8.html
    """
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator = code.value, code.scheme_designator
    made.CodeMeaning = code.meaning
    return made
