"""Where a user's DICOM images come from, as their headers say it, if nothing else does."""

import hashlib
import re
from collections.abc import Iterable

import pandas as pd

from hilum import images
from hilum.datasets.dicom_headers import ALL, FACTS, ORIGIN, is_dicom
from hilum.types import HilumError, nearest_name

NONE = "none"  # --source-tag none: no header says the source
DEVICE = "Manufacturer and StationName"
# what de-identification writes in the place of a name: no two images come from there
PLACEHOLDER = re.compile(
    r"(anonym\w*|de-?identif\w*|removed|redacted|deleted|masked|hidden|unknown|not (known|stated)"
    r"|none|null|n/?a|x+|[\W_0]*)( (hospital|institution|clinic))?",
    re.IGNORECASE,
)
# https://dicom.nema.org/medical/dicom/current/output/chtml/part05/sect_6.2.html
_TEXTS = frozenset({"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UT"})
_PATIENT_GROUP = 0x0010


def checked(tag: str) -> str:
    """The keyword of a DICOM element of short text; HilumError names the nearest."""
    from pydicom.datadict import dictionary_VR, keyword_dict

    if tag.lower() in ("", NONE):
        return tag.lower()
    by_small = {name.lower(): name for name in keyword_dict if name}
    keyword = by_small.get(tag.lower())
    usable = keyword is not None and dictionary_VR(keyword) in _TEXTS
    if keyword is None or not usable or keyword_dict[keyword] >> 16 == _PATIENT_GROUP:
        hint = "did you mean 'InstitutionName'?"
        raise HilumError(
            "--source-tag must be the keyword of a text element that says where an image was made, "
            f"not of whom, or {NONE!r}; got {tag!r}; "
            + (nearest_name(tag, by_small.values(), hint) if keyword is None else hint)
        )
    return keyword


def with_sources(rows: pd.DataFrame, tag: str = "") -> tuple[pd.DataFrame, list[str]]:
    """Fill in `source` from the headers where no row has one, and say so; drop what served that.

    The headers' InstitutionName, or Manufacturer and StationName where more images have these, as
    digests: a report is passed on, and nobody has said that it may name hospitals. With `tag`,
    what that element says, as it is, whatever a table says. Raises HilumError where it is
    empty in every header.
    """
    keyword = checked(tag)
    kept = rows.drop(columns=[name for name in ALL if name not in FACTS and name in rows])
    has_source = "source" in rows and rows["source"].notna().any()
    if keyword == NONE or (not keyword and (has_source or "institution" not in rows)):
        return kept, []
    if keyword:
        sources = _named(rows["path"], keyword)
        return kept.assign(source=sources), [_note(keyword, sources, "")]
    element, sources = _usual(rows)
    if sources.isna().all():
        return kept, []
    return kept.assign(source=sources), [_note(element, sources, _advice(rows, element))]


def _named(paths: pd.Series, keyword: str) -> pd.Series:
    texts = [images.header_text(path, keyword) if is_dicom(path) else None for path in paths]
    sources = _informative(texts, paths.index)
    if sources.isna().all():
        raise HilumError(
            f"--source-tag must be an element that the headers fill; got {keyword!r}, which is "
            f"empty in all {len(sources):,} images; name another, or {NONE!r}."
        )
    return sources


def _informative(texts: Iterable[object], index: pd.Index) -> pd.Series:
    """The texts that say something, None in place of the others."""
    kept = [
        text if isinstance(text, str) and not PLACEHOLDER.fullmatch(text) else None
        for text in texts
    ]
    return pd.Series(kept, index=index, dtype=object)


def _usual(rows: pd.DataFrame) -> tuple[str, pd.Series]:
    """(what it is, source of each image): one kind for all, so that no hospital has two names."""
    institution, maker, station = (_informative(rows[name], rows.index) for name in ORIGIN)
    devices = [
        " ".join(filter(None, (manufacturer, _digest("station", name))))
        for manufacturer, name in zip(maker, station, strict=True)
    ]
    if sum(map(bool, devices)) > institution.notna().sum():
        element = DEVICE if station.notna().any() else "Manufacturer"
        return element, pd.Series([device or None for device in devices], rows.index, dtype=object)
    named = [_digest("institution", text) or None for text in institution]
    return "InstitutionName", pd.Series(named, rows.index, dtype=object)


def _digest(kind: str, text: str | None) -> str:
    return f"{kind} {hashlib.sha256(text.encode()).hexdigest()[:8]}" if text else ""


def _note(element: str, sources: pd.Series, advice: str) -> str:
    count, without = sources.nunique(), int(sources.isna().sum())
    missing = f", {without:,} images without it" if without else ""
    return (
        f"The source of an image is what its DICOM header says as {element} ({count:,} different"
        f"{missing}){advice}."
    )


def _advice(rows: pd.DataFrame, which: str) -> str:
    if which == "InstitutionName":
        more = "; --source-tag StationName tells devices apart" if _one_house(rows) else ""
        return f", not by name; --source-tag InstitutionName shows the names{more}"
    return ", stations not by name" if which == DEVICE else ""


def _one_house(rows: pd.DataFrame) -> bool:
    institution, _, station = (_informative(rows[name], rows.index) for name in ORIGIN)
    return bool(institution.nunique() == 1 and station.nunique() > 1)
