"""By what two patients of different sets count as one person.

Patients of one's own images are compared by their number: without blanks around it, in any case of
its letters, and where it is all digits without leading zeros, as spreadsheets write it. Those of a
published set are compared within that set.
"""

import re
import unicodedata

OWN = ("folder", "table", "dicom")  # what precedes the patients of one's own images
BLANK = " \t\r\n\0"  # DICOM pads to even length with a blank (PS3.5 6.2), some writers with NUL
WHOLE = re.compile(r"[0-9]+(\.0+)?")


def normal(patient: str) -> str:
    """The number by which a patient is compared: "table:P001 " is "p001", "dicom:007" is "7"."""
    dataset, _, number = patient.partition(":")
    if dataset not in OWN or not number:
        return patient.strip(BLANK)
    text = plain_identifier(number)
    return str(int(text.partition(".")[0])) if WHOLE.fullmatch(text) else text


def plain_identifier(text: str) -> str:
    """Text without blanks around it, in one case and one form of its letters (Unicode's NFKC).

    Unicode Standard Annex 15, https://unicode.org/reports/tr15/
    """
    return unicodedata.normalize("NFKC", text).strip(BLANK).casefold()
