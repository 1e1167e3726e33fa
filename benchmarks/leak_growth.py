"""Time of the near-duplicate search against the number of images, on one core.

    OMP_NUM_THREADS=1 python benchmarks/leak_growth.py

Hashes are clustered as those of chest films: where HILUM_DATA names a folder of films, each is a
film of it blended with differences between other films, otherwise phantoms that share an anatomy.
One in a hundred is a planted copy of another.
"""

import os
import time
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from hilum import images
from hilum.data.duplicates import Nearness, within_radius
from hilum.data.fingerprints import FINE_SIDE, hamming, perceptual_hashes, shrink, soft_clip

COUNTS = (1_000, 10_000, 100_000)
FILMS = 1_000
BATCH = 2_000
LIMIT = 60.0  # seconds for the largest
Fine = npt.NDArray[np.float32]  # (image, 64, 64)


def main() -> None:
    """Print time, pairs and planted copies found per count, and the exponent of the growth."""
    cv2.setNumThreads(1)
    films = real_films() if "HILUM_DATA" in os.environ else phantoms()
    print(f"{len(films)} films, radius {Nearness().bits} of 256 bits")
    print(f"{'hashes':>8} {'seconds':>8} {'pairs':>8} {'copies found':>13} {'median bits':>12}")
    times = []
    for count in COUNTS:
        hashes, copies = simulated(films, count)
        start = time.process_time()
        found = within_radius(hashes, Nearness().bits)
        times.append(time.process_time() - start)
        met = {(int(i), int(j)) for i, j in found}
        share = sum((i, j) in met for i, j in copies) / len(copies)
        print(f"{count:8d} {times[-1]:8.3f} {len(met):8d} {share:13.1%} {typical(hashes):12.0f}")
    for step in (slice(0, 2), slice(1, 3), slice(0, 3)):
        print(f"{COUNTS[step][0]} to {COUNTS[step][-1]}: time ~ n^{exponent(step, times):.2f}")
    assert times[-1] < LIMIT, f"{times[-1]:.1f} s for {COUNTS[-1]} hashes"


def exponent(step: slice, times: list[float]) -> float:
    """Slope of log time against log count by least squares."""
    return float(np.polyfit(np.log(COUNTS[step]), np.log(times[step]), 1)[0])


def typical(hashes: npt.NDArray[np.uint8]) -> float:
    """Median bits between two hashes drawn at random: 128 were they independent."""
    one, other = np.random.default_rng(2).integers(0, len(hashes), (2, 10_000))
    return float(np.median(hamming(hashes[one], hashes[other])[one != other]))


def real_films() -> Fine:
    """Up to FILMS films found under HILUM_DATA, evenly drawn."""
    paths, _ = images.list_images(Path(os.environ["HILUM_DATA"]))
    chosen = paths[:: max(1, len(paths) // FILMS)][:FILMS]
    return np.stack([shrink(images.read(path).pixels, FINE_SIDE) for path in chosen])


def phantoms() -> Fine:
    """Dark lungs in a bright body at varying places and widths, with ribs and noise."""
    rng = np.random.default_rng(0)
    return np.stack([phantom(rng) for _ in range(FILMS)])


def phantom(rng: np.random.Generator) -> Fine:
    """One phantom (64, 64)."""
    y, x = np.mgrid[-1 : 1 : FINE_SIDE * 1j, -1 : 1 : FINE_SIDE * 1j] - rng.normal(
        0, 0.08, (2, 1, 1)
    )
    left, right = rng.normal(0.45, 0.05, 2)
    wide, tall = rng.normal(0.3, 0.04), rng.normal(0.65, 0.08)
    lungs = [np.hypot((x + c) / wide, y / tall) < 1 for c in (left, -right)]
    film = 170 - 90.0 * (lungs[0] | lungs[1]) + 15 * np.cos(rng.normal(22, 2) * y + x**2)
    for scale in (1, 2, 4, 8):
        noise = cv2.GaussianBlur(rng.normal(size=film.shape), (0, 0), scale)
        film = film + noise / noise.std() * 3 * scale
    return np.clip(film, 0, 255).astype(np.float32)


def simulated(films: Fine, count: int) -> tuple[npt.NDArray[np.uint8], list[tuple[int, int]]]:
    """Hashes (count, 32) of new films, and the pairs of positions that are copies."""
    rng = np.random.default_rng(1)
    hashes = [hashed(blended(films, min(BATCH, count - i), rng)) for i in range(0, count, BATCH)]
    return np.concatenate(hashes), [
        (start + i, start + i + 1)
        for start in range(0, count, BATCH)
        for i in range(0, min(BATCH, count - start) // 50, 2)
    ]


def blended(films: Fine, count: int, rng: np.random.Generator) -> Fine:
    """A film plus a quarter to half of the difference between two others; the first are copies."""
    base, plus, minus = rng.integers(0, len(films), (3, count))
    weight = rng.uniform(0.25, 0.5, (count, 1, 1)).astype(np.float32)
    new = films[base] + weight * (films[plus] - films[minus])
    copies = slice(1, count // 50, 2)
    gain = rng.uniform(0.9, 1.1, (len(new[copies]), 1, 1))
    new[copies] = new[0 : count // 50 : 2] * gain + rng.normal(0, 1, new[copies].shape)
    return np.clip(new, 0, 255)


def hashed(films: Fine) -> npt.NDArray[np.uint8]:
    """Perceptual hashes (image, 32)."""
    return perceptual_hashes(soft_clip(films))


if __name__ == "__main__":
    main()
