"""Precision and recall of the marker finder on hand-annotated films, and its time per film.

    python benchmarks/markers.py --data FOLDER_OF_DATASETS          figures of both halves
    python benchmarks/markers.py --data FOLDER_OF_DATASETS --fit    weights from the tuning half

The methods text and shape_and_text need pip install 'hilum[text]'; --methods leaves them out.

The rule of matching and the table are in tests/preprocess/marker_truth.py.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from hilum import images, phantom
from hilum.preprocess import glyphs, markers
from hilum.preprocess.step import as_uint8
from hilum.types import Grey8

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "preprocess"))
from marker_truth import HALF, Film, Frame, Tally, films, frames, paint, planted, share

NEAR = 3  # pixels by which a candidate may stick out of a mark's box when the weights are fitted
ALMOST_ALL = 0.8  # of a candidate's box, to be called a mark
REPEATS = 20
UNCLEAR = 0.3  # of a candidate's box, to be left out of the fit
STIFFNESS = 1.0
DRAWS = 2000  # samples of films for an interval
METHODS: tuple[markers.Method, ...] = ("shape", "threshold", "text", "shape_and_text")
TARGET = Path(glyphs.__file__).with_name("glyph_weights.py")


def read(root: Path, film: Film) -> Grey8:
    """The film's pixels (height, width)."""
    return as_uint8(images.read(root / film.path).pixels)


def measure(root: Path, half: str, method: markers.Method) -> list[Tally]:
    """Compare what `method` finds on each film of one half with its truth."""
    tallies = []
    for film in films():
        if film.half == half:
            pixels, tally = read(root, film), Tally()
            tally.add(film, frames(markers.find_markers(pixels, method).boxes), pixels.shape)
            tallies.append(tally)
    return tallies


def bordered(root: Path, half: str) -> list[Tally]:
    """The same for borders, which the films' table holds as a kind of their own."""
    tallies = []
    for film in films():
        if film.half == half:
            pixels, tally = read(root, film), Tally()
            truth = Film(film.path, half, {"strip": film.of(["border"])})
            tally.add(truth, strips(pixels), pixels.shape)
            tallies.append(tally)
    return tallies


def counts(tallies: list[Tally]) -> npt.NDArray[np.int64]:
    """(film, 4) right boxes, boxes, marks found, marks."""
    return np.array([(t.right, t.boxes, t.found, t.marks) for t in tallies])


def intervals(rows: npt.NDArray[np.int64]) -> list[tuple[float, float]]:
    """95% of precision and of recall by drawing films, from `counts`."""
    rng = np.random.default_rng(0)
    drawn = rows[rng.integers(0, len(rows), (DRAWS, len(rows)))].sum(1)
    shares = [drawn[:, at] / np.maximum(drawn[:, at + 1], 1) for at in (0, 2)]
    return [
        (float(low), float(high)) for low, high in (np.percentile(x, (2.5, 97.5)) for x in shares)
    ]


def strips(pixels: Grey8) -> list[Frame]:
    """The borders that are found, each as a box across the film."""
    (top, right, bottom, left), (height, width) = markers.borders(pixels), pixels.shape
    every = (
        (0, 0, width, top),
        (width - right, 0, right, height),
        (0, height - bottom, width, bottom),
        (0, 0, left, height),
    )
    return [box for box in every if box[2] and box[3]]


def examples(root: Path, film: Film) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Features (candidate, feature) of a film's candidates, and whether each is part of a mark.

    A letter is bright or dark as its box says; on a sticker both may be.
    """
    pixels = read(root, film)
    unclear = paint(film.of(["ignore"]), pixels.shape, NEAR)
    plates = film.of(["sticker"])
    others = [frame for frame in film.marks if frame not in plates]
    true = {
        bright: paint(
            plates + [f for f in others if is_bright(pixels, f) == bright], pixels.shape, NEAR
        )
        for bright in (True, False)
    }
    features, labels = [np.zeros((0, len(glyphs.FEATURES)), np.float32)], []
    for layer in glyphs.layers(pixels):
        boxes = [tuple(map(int, box)) for box in layer.boxes]
        inside = [share(true[layer.bright], frame) for frame in boxes]
        keep = [
            part >= ALMOST_ALL or (part < HALF and share(unclear, frame) < UNCLEAR)
            for part, frame in zip(inside, boxes, strict=True)
        ]
        features.append(layer.features[keep])
        labels += [part >= ALMOST_ALL for part, k in zip(inside, keep, strict=True) if k]
    return np.concatenate(features), np.array(labels, np.bool_)


def is_bright(pixels: Grey8, frame: tuple[int, int, int, int]) -> bool:
    """Whether a box's ink is brighter than what lies along the box's edge."""
    left, top, width, height = frame
    box = pixels[top : top + height, left : left + width].astype(np.float32)
    ground = np.median(np.concatenate([box[0], box[-1], box[:, 0], box[:, -1]]))
    low, high = np.percentile(box, [2, 98])
    return bool(high - ground >= ground - low)


def fit(root: Path) -> str:
    """The text of glyph_weights.py: logistic regression on the tuning half's candidates."""
    from sklearn.linear_model import LogisticRegression

    parts = [examples(root, film) for film in films() if film.half == "tuning"]
    features = np.concatenate([part[0] for part in parts])
    labels = np.concatenate([part[1] for part in parts])
    centre, spread = features.mean(0), features.std(0)
    z = (features - centre) / spread
    one, other = np.triu_indices(z.shape[1])
    model = LogisticRegression(C=STIFFNESS, max_iter=5000)
    model.fit(np.concatenate([z, z[:, one] * z[:, other]], 1), labels)
    weights = model.coef_[0]
    rows = {
        "CENTRE": centre,
        "SPREAD": spread,
        "WEIGHTS": weights[: z.shape[1]],
        "PRODUCTS": weights[z.shape[1] :],
    }
    text = '"""Weights of the glyph score, fitted by benchmarks/markers.py --fit.\n\n'
    text += f"{labels.sum():,} candidates in marks, {len(labels) - labels.sum():,} others, of the\n"
    text += (
        "tuning half of tests/data/markers.csv; PRODUCTS is the upper triangle of features times\n"
    )
    text += 'features.\n"""\n\n'
    for name, row in rows.items():
        text += f"{name} = ({', '.join(f'{float(value):.4g}' for value in row)})\n"
    return text + f"OFFSET = {model.intercept_[0]:.4g}\n"


def milliseconds(root: Path, method: markers.Method) -> float:
    """Processor time of a film enlarged to 1,024 pixels, on one core, median of REPEATS films."""
    spent = []
    markers.find_markers(np.zeros((64, 64), np.uint8), method)  # a network is compiled once
    for film in films()[::10][:REPEATS]:
        pixels = cv2.resize(read(root, film), (1024, 1024), interpolation=cv2.INTER_CUBIC)
        start = time.process_time()
        markers.find_markers(pixels, method)
        spent.append(time.process_time() - start)
    return 1e3 * float(np.median(spent))


def show(method: str, half: str, tallies: list[Tally]) -> None:
    """One line of the table."""
    rows = counts(tallies)
    right, boxes, found, marks = rows.sum(0)
    (low_p, high_p), (low_r, high_r) = intervals(rows)
    print(
        f"{method:14} {half:9} {right / max(boxes, 1):6.3f} ({low_p:.3f} to {high_p:.3f}) "
        f"{right:4}/{boxes:<4} {found / max(marks, 1):6.3f} ({low_r:.3f} to {high_r:.3f}) "
        f"{found:4}/{marks:<4}",
        flush=True,
    )


def main() -> None:
    """Print the figures asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--list", action="store_true", help="name what is missed and what is wrong")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    if chosen.fit:
        TARGET.write_text(fit(chosen.data))
        subprocess.run([sys.executable, "-m", "ruff", "format", "-q", TARGET], check=True)
        return
    print(f"{'method':14} {'half':9} {'precision (95%)':>33} {'recall (95%)':>33}")
    for method in chosen.methods:
        for half in ("tuning", "held-out"):
            tallies = measure(chosen.data, half, method)
            show(method, half, tallies)
            if chosen.list and method != "threshold" and half == "tuning":
                print(*(f"  missed {row}" for t in tallies for row in t.missed), sep="\n")
                print(*(f"  wrong  {row}" for t in tallies for row in t.wrong), sep="\n")
    for half in ("tuning", "held-out"):
        show("borders", half, bordered(chosen.data, half))
    request = phantom.Request(images=40, size=448, images_per_patient=1, markers=False, seed=5)
    bare = list(phantom.generate(request).images)
    for method in chosen.methods:
        tally = planted(bare, method)["all"]
        print(f"{method:14} phantoms  {tally.precision:6.3f} {tally.right:4}/{tally.boxes:<4} "
              f"{tally.recall:6.3f} {tally.found:4}/{tally.marks:<4}")  # fmt: skip
        print(f"{method:14} {milliseconds(chosen.data, method):.1f} ms per film of 1,024 pixels")


if __name__ == "__main__":
    main()
