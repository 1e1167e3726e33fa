"""What a user asks the phantom for: every dial, checked."""

from dataclasses import dataclass

from hilum.phantom.hospitals import HOSPITALS
from hilum.types import HilumError, nearest_name

CLASSES = ("covid19", "normal", "pneumonia", "bacterial_pneumonia", "viral_pneumonia")


@dataclass(frozen=True, slots=True)
class Request:
    """The dials of a set of synthetic radiographs.

    `shortcut` is the Cramér's V between label and hospital that the set is drawn from: 0 for
    none, 1 for a hospital that gives the label away. Burnt-in markers and exposure follow the
    hospital unless their own dial is set; `signal` = 0 leaves nothing but the shortcut.
    """

    images: int
    size: int = 256  # pixels of either side
    seed: int = 0
    classes: tuple[str, ...] = ("covid19", "normal")
    severity: float = 0.6  # 0: a trace of disease, 1: most of what a class can show
    signal: float = 1.0  # multiplies the attenuation of every lesion; 0: invisible
    shortcut: float = 0.0
    marker_shortcut: float | None = None  # None: the markers are the hospital's own
    exposure_shortcut: float | None = None  # None: the exposure is the hospital's own
    markers: bool = True  # False: no burnt-in letters at all
    stickers: int = 0  # further marks on each film, one after another of stickers.KINDS
    images_per_patient: int = 2  # each patient has between one and this many
    hospitals: tuple[str, ...] = ("A", "B")

    def __post_init__(self) -> None:
        """Raise HilumError for a dial out of range or an unknown name."""
        _between("images", self.images, 1, 1_000_000)
        _between("size", self.size, 64, 2048)
        _between("seed", self.seed, 0, 2**63 - 1)
        _between("stickers", self.stickers, 0, 20)
        _between("images_per_patient", self.images_per_patient, 1, 20)
        for name in ("severity", "signal", "shortcut", "marker_shortcut", "exposure_shortcut"):
            value = getattr(self, name)
            if value is not None:
                _between(name, value, 0, 1)
        _require_allowed("classes", self.classes, CLASSES)
        _require_allowed("hospitals", self.hospitals, tuple(HOSPITALS))


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise HilumError(
            f"The phantom's {name} must lie between {low} and {high}; got {value!r}; change it."
        )


def _require_allowed(name: str, values: tuple[str, ...], allowed: tuple[str, ...]) -> None:
    if not values or len(set(values)) < len(values):
        raise HilumError(
            f"The phantom's {name} must be one or more different names of {', '.join(allowed)}; "
            f"got {values!r}; name each once."
        )
    for value in values:
        if value not in allowed:
            hint = nearest_name(value, allowed, f"did you mean {allowed[0]!r}?")
            raise HilumError(
                f"The phantom's {name} must be among {', '.join(allowed)}; got {value!r}; " + hint
            )
