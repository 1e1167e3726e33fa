"""From the words people use for classes, splits and columns to the words hilum uses."""

import itertools
import re
import unicodedata

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
    "validate": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "trn": "train",
    "tst": "test",
    "holdout": "test",
    "heldout": "test",
}
ENDINGS = ("set", "data", "images", "split")  # as in "Training set", "test_images"


SIGNS = {
    "+": "plus",
    "-": "minus",
    "<": "below",
    ">": "above",
    "≤": "at_most",
    "≥": "at_least",
    "=": "equals",
    "≠": "not_equal",
    "~": "about",
    "%": "percent",
    "?": "question",
    ".": "dot",
    "&": "and",
}  # read aloud; every other sign has its Unicode name
SEPARATORS = frozenset(" ./\\,:;|()[]{}'\"&`´’‘“”")
RESERVED = {"overall", "macro"}  # scores over all classes have these names
_FOLD = re.compile(r"(?:k|cv)?[ _-]?folds?[ _-]*(\d+)")
_DASHES = re.compile("[\u2010-\u2015\u2212]")


def plain_term(text: str) -> str:
    """Letters and digits alone, in small letters: "Image Index" -> "imageindex"."""
    return re.sub(r"[\W_]+", "", text.casefold())


def bare(text: str) -> str:
    """What stays of a label where capitals, spaces and underscores do not count."""
    return re.sub(r"[\s_]+", "", _even(text))


def _even(text: str) -> str:
    """Small letters, accents composed, one kind of dash, and no characters of no width."""
    small = _DASHES.sub("-", unicodedata.normalize("NFC", text)).casefold()
    return "".join(char for char in small if unicodedata.category(char) != "Cf")


def synonym(text: str) -> str | None:
    """The fixed class name that `text` obviously means; None where it has a sign of its own."""
    word, signs = _spelt(text)
    return None if signs or not word else CLASSES.get(plain_term(text))


def class_name(text: str) -> str:
    """The fixed class name where `text` obviously means it, else `text` as a word: "a_b_2".

    Letters of all scripts stay, in small letters; what separates words becomes "_"; a sign is
    spelled out ("-1.0" -> "minus_1_0", "COVID+" -> "covid_plus"), so that it keeps its meaning.
    """
    word, _ = _spelt(text)
    fixed = synonym(text) or word or "unnamed"
    return f"{fixed}_class" if fixed in RESERVED else fixed


def _spelt(text: str) -> tuple[str, list[str]]:
    """Words and signs of a label joined by "_", and the signs alone."""
    even = _even(text)
    words: list[str] = []
    signs: list[str] = []
    place = 0
    for is_word, run in itertools.groupby(even, _is_letter):
        piece = "".join(run)
        place += len(piece)
        if is_word:
            words.append(piece)
            continue
        words_of_signs = _signs(piece, before=bool(words), after=even[place : place + 1])
        signs += words_of_signs
        words += words_of_signs
    return "_".join(words), signs


def _is_letter(char: str) -> bool:
    """Letters, digits, and the marks on them: vowels of Devanagari, accents without a letter."""
    return char.isalnum() or unicodedata.category(char).startswith("M")


def _signs(gap: str, before: bool, after: str) -> list[str]:
    """What is between two words, or at an end, and is no mere separator, in words."""
    spaced = re.sub(r"[\s_]", " ", gap)
    inside = before and after != ""
    if inside and _is_hyphen(spaced, after):
        return []
    kept = [char for char in spaced if not _separates(char, inside, before)]
    return [SIGNS.get(char) or _unicode_name(char) for char in kept]


def _is_hyphen(gap: str, after: str) -> bool:
    """A dash between two words; before a number, with a space ahead alone, it is a minus."""
    return gap.strip() == "-" and not (gap == " -" and after.isdigit())


def _separates(char: str, inside: bool, before: bool) -> bool:
    """At the end of a label brackets separate; at its beginning spaces alone."""
    return char == " " or (char in SEPARATORS and (inside or (before and char in "()[]{}")))


def _unicode_name(char: str) -> str:
    return re.sub(r"\W+", "_", unicodedata.name(char, f"u{ord(char):04x}").casefold())


def part_name(text: str) -> str | None:
    """Return "train", "validation" or "test" where `text` means one of them, numbered or not."""
    word = plain_term(text).lstrip("0123456789")  # as in "1_train", "2_val", "3_test"
    for ending in ("", *ENDINGS):
        if word.endswith(ending) and (part := PARTS.get(word.removesuffix(ending))):
            return part
    return None


def fold_name(text: str) -> str | None:
    """Return "fold 3" where `text` is a numbered fold, such as "Fold_03"; else None."""
    hit = _FOLD.fullmatch(text.strip().casefold())
    return f"fold {int(hit[1])}" if hit else None
