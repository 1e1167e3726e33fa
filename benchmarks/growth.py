"""Time and peak memory against the number of images: scan, hash and store, leak check, predict.

    python benchmarks/growth.py [--quick] [--full] [--million]

Small images (32 x 32), each step in a process of its own: 1,000 and 10,000 of them, with --full
100,000, with --million that and 1,000,000. One row per step and count, and the exponent of the
growth of the processor time, which a busy machine changes little (the whole process's, its start
included); the plot lies beside the table.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pandas as pd

from hilum import datasets, preprocess
from hilum.data import leakage, prepared_dataset
from hilum.data.manifest import read_manifest, save_manifest
from side_by_side import Row, asked, finish, workplace

SIDE = 32
MILLION = "--million"
STEPS = ("scan", "hash and store", "leak check", "predict")
PIPELINE = preprocess.from_list([{"step": "resize", "side": SIDE}])
LIMIT = 1.5  # GB


def draw(count: int, folder: Path) -> None:
    """So many different images of two classes: smooth noise, which differs like films do."""
    rng = np.random.default_rng(0)
    for label in ("covid19", "normal"):
        (folder / label).mkdir(parents=True)
    for number in range(count):
        coarse = rng.integers(0, 256, (10, 10)).astype(np.uint8)
        film = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        label = ("covid19", "normal")[number % 2]
        cv2.imwrite(str(folder / label / f"{number:06d}.png"), film)


@contextmanager
def timed() -> Iterator[Callable[[], float]]:
    """Seconds since the block was entered."""
    start = time.perf_counter()
    yield lambda: time.perf_counter() - start


def step(name: str, films: Path) -> None:
    """One step in this process; prints seconds and peak memory as JSON."""
    table = films.with_suffix(".parquet")
    if name == "scan":
        with timed() as spent:
            save_manifest(datasets.open_path(films), table)
    elif name == "hash and store":
        found = read_manifest(table)
        with timed() as spent:
            prepared_dataset.prepare_dataset(found, PIPELINE)
    elif name == "leak check":
        taken = prepared_dataset.prepare_dataset(read_manifest(table), PIPELINE)
        with timed() as spent:
            leakage.clusters(taken.manifest, taken.fingerprints)
    else:
        spent = predicted(films)
    seconds, used = spent(), resource.getrusage(resource.RUSAGE_SELF)
    helpers = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = used.ru_utime + used.ru_stime + helpers.ru_utime + helpers.ru_stime
    print(json.dumps({"seconds": seconds, "processor": processor, "peak": used.ru_maxrss / 1e6}))


def predicted(films: Path) -> Callable[[], float]:
    """`hilum predict` of the folder with a model that is made here."""
    from hilum import experiment
    from hilum.inference import model_folder
    from latency import random_model

    folder = model_folder.save_trained_model(
        random_model("tf_efficientnet_lite0", SIDE), films.parent / "model"
    )
    start = time.perf_counter()
    experiment.predict_files(
        folder, [films], films.parent / "preds.csv", lambda name: lambda done, total: None
    )
    end = time.perf_counter() - start
    return lambda: end


def exponent(counts: list[int], seconds: list[float]) -> float:
    """Slope of log time against log count, between the two largest counts: a start is constant."""
    return float(np.polyfit(np.log(counts[-2:]), np.log(seconds[-2:]), 1)[0])


def plot(table: pd.DataFrame, out: Path) -> None:
    """Time and memory against the count, both axes logarithmic."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for name, rows in table.groupby("step", sort=False):
        axes[0].plot(rows["count"], rows["processor"], "o-", label=name)
        axes[1].plot(rows["count"], rows["peak"], "o-", label=name)
    for axis, label in zip(axes, ("processor seconds", "peak memory, GB"), strict=True):
        axis.set(xscale="log", xlabel="images", ylabel=label)
    axes[0].set_yscale("log")
    axes[1].set_ylim(0, None)
    axes[1].axhline(LIMIT, color="0.6", linewidth=1)
    axes[0].legend(frameon=False)
    figure.savefig(out, dpi=150)


def main() -> None:
    """Measure, print and store the table and its plot."""
    if sys.argv[1:2] == ["--step"]:
        step(sys.argv[2], Path(sys.argv[3]))
        return
    million = MILLION in sys.argv
    sys.argv = [word for word in sys.argv if word != MILLION]
    size = asked(__doc__, "growth")
    counts = [200, 1_000] if size.quick else [1_000, 10_000]
    counts += [100_000] * (size.full or million) + [1_000_000] * million
    measured = []
    with workplace() as folder:
        for count in counts:
            films = folder / str(count) / "films"
            draw(count, films)
            for name in STEPS:
                done = subprocess.run(
                    [sys.executable, __file__, "--step", name, str(films)],
                    check=True, capture_output=True, text=True,
                )  # fmt: skip
                told = json.loads(done.stdout.splitlines()[-1])
                measured.append({"step": name, "count": count, **told})
                print(name, count, told, flush=True)
    table = pd.DataFrame(measured)
    rows = []
    for name, mine in table.groupby("step", sort=False):
        power = exponent(list(mine["count"]), list(mine["processor"]))
        flat = f"peak {mine['peak'].iloc[0]:.2f} to {mine['peak'].iloc[-1]:.2f} GB"
        for row in mine.itertuples():
            last = row.Index == mine.index[-1]
            rows.append(
                Row("growth", f"{name}, {mine.loc[row.Index, 'count']:,} images", "hilum",
                    row.seconds, "s", None, "near-linear, < 1.5 GB" if last else "",
                    f"processor time ~ n^{power:.2f}, {flat}" if last else "")
            )  # fmt: skip
    finish(rows, size.out)
    table.to_csv(size.out.with_name("growth_steps.csv"), index=False)
    plot(table, size.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
