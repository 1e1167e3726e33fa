"""The lung network that comes with hilum: Dice on patients it has not seen, and time on one core.

    python benchmarks/lungs.py --data FOLDER_OF_V7_MASKS

Its file names the patients that were held out: their films as they are, by view, and with other
greys. Phantoms, whose lungs are known, are next to them (their truth leaves the heart out, V7's
readers do not).
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before anybody counts the cores

import cv2
import numpy as np
import pandas as pd

from hilum import datasets, images, phantom
from hilum.experiment.segmentation_data import read_mask
from hilum.metrics import dice as overlap
from hilum.preprocess.lungs import segmenter
from hilum.preprocess.lungs.masks import OK
from hilum.preprocess.lungs.segmenter import LungSegmenter
from hilum.types import GreyImage, Mask

PHANTOMS, ROUNDS = 60, 50
Greys = Callable[[GreyImage], GreyImage]


@dataclass(frozen=True, slots=True)
class OutlinedFilm:
    """A film that a reader has outlined."""

    pixels: GreyImage  # (height, width)
    mask: Mask  # (height, width)
    patient: str
    view: str


def windowed(low: float, high: float) -> Greys:
    """Greys between two percentiles of the film are spread over all levels, others are cut."""

    def change(pixels: GreyImage) -> GreyImage:
        first, last = np.percentile(pixels, (low, high))
        spread = (pixels.astype(np.float32) - first) / max(last - first, 1)
        return np.asarray(np.rint(255 * np.clip(spread, 0, 1)), np.uint8)

    return change


def gamma(power: float) -> Greys:
    """Greys in [0, 1] to a power: below 1 brighter, above 1 darker."""
    levels = np.rint(255 * (np.arange(256) / 255) ** power).astype(np.uint8)
    return lambda pixels: np.asarray(levels[pixels])


# "lung window": as a CT slice is shown, lungs fill the greys and all that is denser is white
GREYS: dict[str, Greys] = {
    "lung window, 5% to 60%": windowed(5, 60),
    "narrow window, 25% to 75%": windowed(25, 75),
    "equalised": lambda pixels: np.asarray(cv2.equalizeHist(pixels), np.uint8),
    "brighter, gamma 0.5": gamma(0.5),
    "darker, gamma 2": gamma(2.0),
}


def outline(finder: LungSegmenter, film: OutlinedFilm, greys: Greys | None) -> dict[str, object]:
    """One film's Dice and the status of its mask."""
    found = finder(greys(film.pixels) if greys else film.pixels)
    dice = float(overlap.dice(found.mask[None], film.mask[None])[0])
    return {"patient_id": film.patient, "dice": dice, "status": found.status, "view": film.view}


def outlines(
    finder: LungSegmenter, films: Sequence[OutlinedFilm], greys: Greys | None = None
) -> pd.DataFrame:
    """A row for each film."""
    return pd.DataFrame([outline(finder, film, greys) for film in films])


def held_out(finder: LungSegmenter, folder: Path) -> list[OutlinedFilm]:
    """Films of the patients that the network's file names."""
    table = datasets.open_path(folder).table
    table = table[table["patient_id"].isin(finder.facts.provenance["tested"])]
    films = []
    for row in table.dropna(subset=["mask_path"]).itertuples():
        pixels = images.read(Path(str(row.path))).pixels
        mask = read_mask(Path(str(row.mask_path)), (pixels.shape[0], pixels.shape[1]))
        films.append(OutlinedFilm(pixels, mask, str(row.patient_id), str(row.view)))
    return films


def phantoms() -> list[OutlinedFilm]:
    """Generated films, one of each patient."""
    made = phantom.generate(
        phantom.Request(images=PHANTOMS, size=448, images_per_patient=1, seed=5)
    )
    pairs = enumerate(zip(made.images, made.lungs, strict=True))
    return [OutlinedFilm(film, mask, str(i), "PA") for i, (film, mask) in pairs]


def per_pass(finder: LungSegmenter) -> float:
    """Median milliseconds of the bare network; a mask takes two passes, mirror image included."""
    one = np.random.default_rng(0).integers(0, 256, (1, finder.side, finder.side), np.uint8)
    spent = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        finder.runtime(one)
        spent.append(1000 * (time.perf_counter() - start))
    return float(np.median(spent[1:]))


def print_row(name: str, rows: pd.DataFrame) -> None:
    """Mean Dice with its interval, and how many masks pass their check."""
    score, good = overlap.mean(rows, "dice", "main"), int((rows["status"] == OK).sum())
    print(
        f"{name:28s} Dice {score.value:.3f} ({score.low:.3f}-{score.high:.3f}), median "
        f"{rows['dice'].median():.3f}; {good} of {len(rows)} masks pass their check"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True)
    finder = segmenter.load_segmenter()
    films = held_out(finder, parser.parse_args().data)
    plain = outlines(finder, films)
    print_row("V7, held out", plain)
    for view, rows in plain.groupby("view"):
        print_row(f"  view {view}", rows)
    for name, greys in GREYS.items():
        print_row(f"  {name}", outlines(finder, films, greys))
    print_row("phantoms", outlines(finder, phantoms()))
    print(f"{per_pass(finder):.1f} ms a pass at {finder.side} pixels on one core")


if __name__ == "__main__":
    main()
