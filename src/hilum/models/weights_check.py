"""Which ImageNet weights this machine has, and whether their files are whole."""

import base64
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from hilum import files
from hilum.models import weights
from hilum.models.cards import BACKBONES, BackboneCard
from hilum.types import HilumError

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class WeightsAtHand:
    """One file of weights: whose, where it is, its hash, and whether that is what it should be."""

    backbone: str
    origin: str
    path: Path
    bytes: int
    sha256: str
    intact: bool | None  # None: nothing says what the hash must be
    state: str  # the same in words


def weights_at_hand() -> list[WeightsAtHand]:
    """Every file of ImageNet weights on this machine, backbone by backbone."""
    return [
        _checked(card, path, origin)
        for card in BACKBONES.values()
        for path, origin in weights.at_hand(card)
    ]


def _checked(card: BackboneCard, path: Path, origin: str) -> WeightsAtHand:
    try:
        size, got = path.stat().st_size, files.sha256(path)
    except OSError as error:
        state = f"cannot be read: {error}"
        return WeightsAtHand(card.name, origin, path, 0, "", intact=False, state=state)
    expected = _of_the_package(card, path) or _of_the_hub(path)
    if not expected:
        intact, state = _fits(card, path)
    elif got == expected:
        intact, state = True, "sha256 as published"
    else:
        intact, state = False, f"damaged: sha256 must be {expected}; install or fetch it again"
    return WeightsAtHand(card.name, origin, path, size, got, intact, state)


def _of_the_package(card: BackboneCard, path: Path) -> str:
    """What the installed package's list of files says, "" for a file that is not of it."""
    try:
        listed = distribution(card.package).files if card.package else None
    except PackageNotFoundError:
        return ""
    for file in listed or ():
        if file.hash is None or file.hash.mode != "sha256" or file.name != path.name:
            continue
        if Path(str(file.locate())).resolve() == path.resolve():
            return base64.urlsafe_b64decode(file.hash.value + "=").hex()
    return ""


def _of_the_hub(path: Path) -> str:
    """The hub's client names a large file after its SHA-256 and links to it."""
    name = path.resolve().name
    return name if _SHA256.fullmatch(name) else ""


def _fits(card: BackboneCard, path: Path) -> tuple[bool | None, str]:
    """Of a file that somebody put there: whether the network takes it."""
    try:
        weights.read_weights(card, path)
    except HilumError as error:
        return False, f"does not fit: {error}"
    return None, "fits the network; no published sha256 to compare with"
