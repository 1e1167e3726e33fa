"""The view that words name: View Position of a header, or a cell of somebody's table.

DICOM PS3.3, C.8.11.5, https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.8.11.5.html
"""

import re

# words of other views, next to which PA, AP and lateral say nothing: oblique, decubitus
OTHER = re.compile(r"OBL|DECUB|^MEDIO|^LATERO|^(?:RAO|LAO|RPO|LPO|RLO|LLO|RLD|LLD)$")
SIDES = frozenset({"LL", "RL", "LAT", "LATERAL", "LATERALE", "LLAT", "RLAT", "LATL", "LATR"})
LATERALS = ("LEFTLATERAL", "RIGHTLATERAL", "XTABLELATERAL", "TABLELATERAL")
FRONT = r"ANT(?:ERO|ERIOR|ERIEURE?)?"
BACK = r"POST(?:ERO|ERIOR|ERIEURE?)?"
PA, AP = re.compile(rf"{BACK}{FRONT}"), re.compile(rf"{FRONT}{BACK}")


def in_words(text: str) -> str | None:
    """PA, AP, AP supine or lateral where the words of `text` name one of them and no other view.

    "AP AXIAL" (tilted tube), "AP ERECT" are AP; "XTABLE LATERAL" is lateral; "LATERAL DECUBITUS",
    "FRONTAL" and "PA AND LATERAL" name none that is certain.
    """
    words = re.findall(r"[A-Z]+", text.upper())
    if any(OTHER.search(word) for word in words):
        return None
    joined = "".join(words)
    views = {name for name, form in (("PA", PA), ("AP", AP)) if form.search(joined)}
    views |= {word for word in words if word in ("PA", "AP")}
    if len(words) == 2 and joined in ("PA", "AP"):  # "P.A."
        views.add(joined)
    if SIDES & set(words) or any(word in LATERALS for word in words):
        views.add("lateral")
    if len(views) != 1:
        return None
    (view,) = views
    return "AP supine" if view == "AP" and "SUPINE" in words else view
