"""How far two outlines of the same film agree, where a set of lung masks holds a film twice.

    python benchmarks/reader_agreement.py --data FOLDER [--out FILE.csv]

No network can agree with readers better than they agree with themselves. Films that look alike are
laid over each other (Evangelidis & Psarakis 2008, doi:10.1109/TPAMI.2008.113); those that then
correlate like one film published twice are listed with the Dice of their two masks.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from hilum import datasets, images
from hilum.experiment.segmentation_data import read_mask
from hilum.metrics.dice import dice
from hilum.preprocess.step import as_uint8, resized
from hilum.types import Grey8, HilumError, Mask

SIDE, COARSE = 256, 32  # pixels: what is compared, what is looked at first
ALIKE, SAME = 0.75, 0.99  # correlation of the coarse films, and of films laid over each other


def pairs(folder: Path) -> Iterator[tuple[str, Grey8, Mask]]:
    """Name, film and mask of every film whose mask fits, SIDE x SIDE."""
    for row in datasets.open_path(folder).table.itertuples():
        if not isinstance(row.mask_path, str) or not row.mask_path:
            continue
        film = as_uint8(images.read(Path(str(row.path))).pixels)
        try:
            mask = read_mask(Path(row.mask_path), (film.shape[0], film.shape[1]))
        except HilumError:
            continue
        drawn = resized(mask.astype(np.float32), (SIDE, SIDE)) > 0.5
        yield Path(str(row.path)).name, as_uint8(resized(film, (SIDE, SIDE))), drawn


def coarse(film: Grey8) -> np.ndarray:
    """A film as COARSE x COARSE numbers of mean 0 and deviation 1, its contrast evened out."""
    even = cv2.createCLAHE(2, (8, 8)).apply(film)
    small = cv2.resize(even, (COARSE, COARSE), interpolation=cv2.INTER_AREA).astype(float).ravel()
    return (small - small.mean()) / max(small.std(), 1e-6)


def laid_over(first: Grey8, second: Grey8) -> tuple[float, np.ndarray]:
    """Correlation after the best affine map, and that map; 0 where none is found."""
    change = np.eye(2, 3, dtype=np.float32)
    until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-5)
    try:
        found, change = cv2.findTransformECC(
            first.astype(np.float32), second.astype(np.float32), change, cv2.MOTION_AFFINE, until
        )
    except cv2.error:
        return 0.0, change
    return float(found), change


def main() -> None:
    """Print and store the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("out/bench/reader_agreement.csv"))
    asked = parser.parse_args()
    names, films, masks = zip(*pairs(asked.data), strict=True)
    looks = np.stack([coarse(film) for film in films])
    alike = np.triu(looks @ looks.T / looks.shape[1], 1)
    rows = []
    for a, b in zip(*np.nonzero(alike > ALIKE), strict=True):
        same, change = laid_over(films[a], films[b])
        if same > SAME:
            flags = cv2.INTER_LINEAR + cv2.WARP_INVERSE_MAP
            moved = cv2.warpAffine(masks[b].astype(np.float32), change, (SIDE, SIDE), flags=flags)
            overlap = float(dice(masks[a][None], (moved > 0.5)[None])[0])
            rows.append({"film": names[a], "again": names[b], "alike": same, "dice": overlap})
    table = pd.DataFrame(rows, columns=["film", "again", "alike", "dice"])
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(asked.out, index=False)
    print(table.to_string(index=False))
    print(f"{len(names)} films, {len(table)} of them twice: mean Dice {table['dice'].mean():.3f}")


if __name__ == "__main__":
    main()
