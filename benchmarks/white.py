"""What is white in a 16-bit file that does not say so: rules beside each other on drawn films.

    python benchmarks/white.py

Films of the phantom stand in 8 to 16 of 16 bits, exposed to their full range, to 70, 45 or 20 % of
it (a marker burnt in at white, or none), with and without hot pixels of 65535: one, or one in 2,000
(a dead line). Asked of a rule: how far its greys lie from those of the detector's own white, in
levels of 255; and how much a film's greys differ from those that the same rule gave it without hot
pixels. Bits run over 8 to 16, films over 20 of 256 x 256.
"""

from collections.abc import Callable
from itertools import product
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hilum import phantom
from hilum.images.white_level import white

Stored: TypeAlias = npt.NDArray[np.uint16]
FILMS, SIDE, BITS = 20, 256, range(8, 17)
EXPOSURES = (1.0, 0.7, 0.45, 0.2)
HOT = {"none": 0.0, "one": 1 / SIDE**2, "1 in 2,000": 1 / 2000}


def greatest(pixels: Stored) -> float:
    """The rule until now: 4095 where every value fits into 12 bits, else 65535."""
    return 4095 if pixels.max() <= 4095 else 65535


def quantile(pixels: Stored) -> float:
    """As DICOM files without a window are shown: all but one of 200 pixels are below white."""
    return float(np.quantile(pixels, 0.995)) or 1.0


RULES: dict[str, Callable[[Stored], float]] = {
    "4095 or 65535, by the greatest value": greatest,
    "65535 always": lambda pixels: 65535,
    "2^n - 1, by the greatest value": lambda p: max(2 ** int(p.max()).bit_length(), 256) - 1,
    "2^n - 1, but for 1 pixel in 1,000": white,
    "quantile of 99.5 %": quantile,
}


def film(drawn: npt.NDArray[np.uint8], bits: int, exposure: float, marked: bool) -> Stored:
    """(height, width) of `bits`, its brightest pixel at `exposure` of white."""
    grey = (drawn - drawn.min()) / np.ptp(drawn) * exposure
    if marked:
        grey[8:16, 8:14] = 1.0  # 48 pixels of 65,536
    return np.rint(grey * (2**bits - 1)).astype(np.uint16)


def greys(pixels: Stored, top: float) -> npt.NDArray[np.float64]:
    """(height, width) in levels of 255."""
    return np.minimum(pixels / top, 1) * 255


def errors(
    rule: Callable[[Stored], float], films: list[Stored], bits: int, hot: float
) -> list[float]:
    """Mean distance from the right greys of each film, with so many hot pixels."""
    found = []
    for pixels in films:
        broken = pixels.copy()
        broken.reshape(-1)[: round(hot * pixels.size)] = 65535
        distance = np.abs(greys(broken, rule(broken)) - greys(pixels, 2**bits - 1))
        found.append(float(np.median(distance)))
    return found


def main() -> None:
    """One table to a marker or none: rules by exposure, hot pixels over all exposures."""
    request = phantom.Request(images=FILMS, size=SIDE, images_per_patient=1, seed=11)
    drawn = list(phantom.generate(request).images)
    for marked in (False, True):
        print("with a marker burnt in at white" if marked else "without a marker")
        for name, rule in RULES.items():
            cells = []
            for exposure, hot in product(EXPOSURES, HOT.values()):
                far = [
                    error
                    for bits in BITS
                    for error in errors(
                        rule, [film(d, bits, exposure, marked) for d in drawn], bits, hot
                    )
                ]
                cells.append(f"{np.mean(far):5.1f} {max(far):5.1f}")
            print(f"  {name:38s}", " | ".join(cells))


if __name__ == "__main__":
    main()
