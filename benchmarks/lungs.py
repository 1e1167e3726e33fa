"""The lung network that comes with hilum: Dice on patients it has not seen, and time on one core.

    python benchmarks/lungs.py --data FOLDER_OF_V7_MASKS

Its file names the patients that were held out; phantoms, whose lungs are known, stand beside them
(their truth leaves the heart out, V7's readers do not).
"""

import argparse
import os
import time
from pathlib import Path

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before anybody counts the cores

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


def told(finder: LungSegmenter, pixels: GreyImage, mask: Mask, patient: str) -> dict[str, object]:
    """One film's Dice and the status of its mask."""
    found = finder(pixels)
    dice = float(overlap.dice(found.mask[None], mask[None])[0])
    return {"patient_id": patient, "dice": dice, "status": found.status}


def held_out(finder: LungSegmenter, folder: Path) -> pd.DataFrame:
    """Films of the patients that the network's file names."""
    table = datasets.open_path(folder).table
    table = table[table["patient_id"].isin(finder.facts.provenance["tested"])]
    rows = []
    for row in table.dropna(subset=["mask_path"]).itertuples():
        pixels = images.read(Path(str(row.path))).pixels
        mask = read_mask(Path(str(row.mask_path)), (pixels.shape[0], pixels.shape[1]))
        rows.append(told(finder, pixels, mask, str(row.patient_id)))
    return pd.DataFrame(rows)


def phantoms(finder: LungSegmenter) -> pd.DataFrame:
    """Generated films, one of each patient."""
    made = phantom.generate(
        phantom.Request(images=PHANTOMS, size=448, images_per_patient=1, seed=5)
    )
    pairs = enumerate(zip(made.images, made.lungs, strict=True))
    return pd.DataFrame([told(finder, film, mask, str(i)) for i, (film, mask) in pairs])


def per_pass(finder: LungSegmenter) -> float:
    """Median milliseconds of the bare network; a mask takes two passes, mirror image included."""
    one = np.random.default_rng(0).integers(0, 256, (1, finder.side, finder.side), np.uint8)
    spent = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        finder.runtime(one)
        spent.append(1000 * (time.perf_counter() - start))
    return float(np.median(spent[1:]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True)
    finder = segmenter.load_segmenter()
    for name, rows in {
        "V7, held out": held_out(finder, parser.parse_args().data),
        "phantoms": phantoms(finder),
    }.items():
        score, good = overlap.mean(rows, "dice", "main"), int((rows["status"] == OK).sum())
        print(
            f"{name:12s} Dice {score.value:.3f} ({score.low:.3f}-{score.high:.3f}), median "
            f"{rows['dice'].median():.3f}; {good} of {len(rows)} masks pass their check"
        )
    print(f"{per_pass(finder):.1f} ms a pass at {finder.side} pixels on one core")


if __name__ == "__main__":
    main()
