"""Which films are answered: by modality, body part, view and the AE title that sent them."""

import re
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset

from hilum import images
from hilum.types import HilumError

CODE = re.compile(r"[A-Z0-9 _]{1,16}")  # DICOM PS3.5 6.2, CS: anything else is not repeated
MODALITIES = ("CR", "DX", "CT")


@dataclass(frozen=True, slots=True)
class FilmRules:
    """What a film must be; an empty rule takes all. Other films are counted and left alone."""

    modalities: tuple[str, ...] = MODALITIES
    body_parts: tuple[str, ...] = ()
    views: tuple[str, ...] = ()  # as the manifest has them: "PA", "AP", "lateral", "axial"
    sources: tuple[str, ...] = ()  # AE titles

    def against(self, film: Path, header: Dataset, source: str) -> str:
        """Why a film is left alone, without words of its header that could be free text; or ""."""
        modality, part = _code(header, "Modality"), _code(header, "BodyPartExamined")
        if self.sources and source not in self.sources:
            return "sent by another AE title"
        if modality not in self.modalities:
            return f"modality {modality}"
        if self.body_parts and part not in _upper(self.body_parts):
            return f"body part {part}"
        if self.views and (view := _view(film)).upper() not in _upper(self.views):
            return f"view {view}"
        return ""


def _upper(words: tuple[str, ...]) -> set[str]:
    return {word.upper() for word in words}


def _code(header: Dataset, keyword: str) -> str:
    """The value of a code string; "not given", or "unknown" for text that is no code."""
    value = str(header.get(keyword) or "").strip().upper()
    return (value if CODE.fullmatch(value) else "unknown") if value else "not given"


def _view(film: Path) -> str:
    try:
        return str(images.probe(film).get("view") or "not given")
    except HilumError:  # what is wrong with it is said with its result
        return "not given"
