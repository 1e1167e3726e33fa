"""Publishers' words for view, age and finding -> what the manifest understands."""

import re
from collections.abc import Mapping

import pandas as pd

from hilum.data.tidy import VIEWS


def view(text: str) -> str | None:
    """Return "PA", "AP", "AP supine", "lateral", "axial", or None where nothing usable is said."""
    words = " ".join(text.lower().replace("-", " ").split())
    if words == "aps":
        return "AP supine"
    return VIEWS.get(words, "AP" if words.startswith("ap ") else None)


def age(text: str) -> float | None:
    """Years, from "58", "058Y", "18M" (months), "6W" or "200D"; None if unstated or vague."""
    hit = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([YMWD]?)", text.strip(), re.IGNORECASE)
    if hit is None:
        return None
    return (
        float(hit[1]) / {"": 1.0, "Y": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}[hit[2].upper()]
    )


def map_finding(finding: str, label_map: Mapping[str, str]) -> str | None:
    """Return the class of a finding such as "COVID-19, ARDS" or "Pneumonia/Viral/COVID-19".

    COVID-19 wins over the rest; then the first part that the map knows decides; None if none does.
    """
    parts = [part.strip() for part in re.split(r"[/,]", finding)]
    classes = [label_map[part] for part in parts if part in label_map]
    return "covid19" if "covid19" in classes else next(iter(classes), None)


def classes(findings: "pd.Series[str]", label_map: Mapping[str, str]) -> "pd.Series[str]":
    """The class of each folder name, whatever its capitals."""
    return findings.str.lower().map({name.lower(): target for name, target in label_map.items()})
