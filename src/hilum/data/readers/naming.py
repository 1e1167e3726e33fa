"""From the words people use for classes, splits and columns to the words hilum uses."""

import re

CLASSES = {
    "covid": "covid19",
    "covid19": "covid19",
    "covid2019": "covid19",
    "ctcovid": "covid19",
    "covidct": "covid19",
    "covidpositive": "covid19",
    "covid19positive": "covid19",
    "positivecovid19": "covid19",
    "covidpneumonia": "covid19",
    "covid19pneumonia": "covid19",
    "pneumoniacovid19": "covid19",
    "sarscov2": "covid19",
    "coronavirus": "covid19",
    "normal": "normal",
    "nofinding": "normal",
    "nofindings": "normal",
    "healthy": "normal",
    "noncovid": "non_covid",
    "noncovid19": "non_covid",
    "notcovid": "non_covid",
    "notcovid19": "non_covid",
    "nocovid": "non_covid",
    "ctnoncovid": "non_covid",
    "covidnegative": "non_covid",
    "covid19negative": "non_covid",
    "pneumonia": "pneumonia",
    "bacteria": "bacterial_pneumonia",
    "bacterial": "bacterial_pneumonia",
    "bacterialpneumonia": "bacterial_pneumonia",
    "pneumoniabacteria": "bacterial_pneumonia",
    "pneumoniabacterial": "bacterial_pneumonia",
    "viral": "viral_pneumonia",
    "virus": "viral_pneumonia",
    "viralpneumonia": "viral_pneumonia",
    "pneumoniaviral": "viral_pneumonia",
    "pneumoniavirus": "viral_pneumonia",
}
PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


def plain(text: str) -> str:
    """Letters and digits alone, in small letters: "Image Index" -> "imageindex"."""
    return re.sub(r"[\W_]+", "", text.casefold())


def class_name(text: str) -> str:
    """The fixed class name where `text` obviously means it, else `text` as a word: "a_b_2"."""
    word = re.sub(r"[\W_]+", "_", text.casefold()).strip("_")
    return CLASSES.get(plain(text), word or "unnamed")


def part_name(text: str) -> str | None:
    """Return "train", "validation" or "test" where `text` means one of them."""
    return PARTS.get(text.strip().casefold())


def merged(findings: list[str]) -> list[str]:
    """One note for each class to which several of these different findings lead."""
    by_class: dict[str, list[str]] = {}
    for finding in sorted(set(findings)):
        by_class.setdefault(class_name(finding), []).append(finding)
    return [
        f"{', '.join(map(repr, names))} count as one class, {label}."
        for label, names in by_class.items()
        if len(names) > 1
    ]
