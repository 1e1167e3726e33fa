"""The view of a DICOM image: Image Type, View Code Sequence, View Position."""

from hilum.images import view_words
from hilum.images.dicom_elements import Elements

# DICOM PS3.3 8.1: these names of coding schemes mean SNOMED CT, SNOMED RT and DICOM
SCHEMES = frozenset({"SCT", "SRT", "SNM3", "99SDM", "DCM", "2.16.840.1.113883.6.96"})
# PS3.16 CID 4010 "DX View", in SNOMED CT and in the SNOMED RT that older files have
CODES = {
    "272479007": "PA", "R-10214": "PA", "R-40888": "PA",
    "399348003": "AP", "R-10206": "AP",
    "399173006": "lateral", "R-10236": "lateral",
    "399198007": "lateral", "R-10232": "lateral",
    "399067008": "lateral", "R-102CD": "lateral",
}  # fmt: skip
OTHER = frozenset(
    {"399033003", "R-10202", "399160007", "R-10204", "399312000", "R-10208", "399038007", "R-10210",
     "399006002", "R-10212", "399059000", "R-10216", "399135007", "R-10220", "399356000", "R-10222",
     "R-40985", "399236003", "R-10234", "399184004", "R-10238", "399061009", "R-10241",
     "399182000", "R-102C1", "399004004", "R-10246", "399132005", "R-10252", "399325008", "R-10254",
     "260427002", "R-40783", "260426006", "R-40782", "399162004", "R-10242", "399196006", "R-10244"}
)  # fmt: skip  # frontal without a direction, obliques, axial: none of the views above


def view(elements: Elements) -> str | None:
    """PA, AP, AP supine or lateral for a projection, axial for a CT slice; None: not said.

    A code decides by its value, whatever its meaning says and in whatever language (PS3.3 8.3);
    View Position and then the meaning are asked where no code is known.
    https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_8.3.html and, for the
    views, https://dicom.nema.org/medical/dicom/current/output/chtml/part16/sect_CID_4010.html
    """
    if "AXIAL" in elements.texts("ImageType"):
        return "axial"
    items = elements.items("ViewCodeSequence")
    values = [value for item in items if (value := _code(item))]
    values += [
        value
        for item in items
        for modifier in item.items("ViewModifierCodeSequence")
        if (value := _code(modifier))
    ]
    if any(value in OTHER for value in values):
        return None
    coded = {CODES[value] for value in values if value in CODES}
    if coded:
        return coded.pop() if len(coded) == 1 else None
    words = [*elements.texts("ViewPosition"), *(item.text("CodeMeaning") or "" for item in items)]
    return next((name for text in words if (name := view_words.in_words(text))), None)


def _code(item: Elements) -> str | None:
    """The code value of an item, where its scheme is one whose values are known here."""
    scheme = item.text("CodingSchemeDesignator") or ""
    return item.text("CodeValue") if scheme in SCHEMES else None
