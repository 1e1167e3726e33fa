"""How often each audit finds a planted shortcut, and how often it complains where there is none.

    python benchmarks/audit_power.py --seeds 20 --images 200 --out audit_power.csv

Per seed three sets of synthetic films: one whose hospital (exposure, markers) gives the label away,
one whose markers alone do, both without any disease to see, and one without any shortcut. A linear
probe on the embedded ImageNet backbone is fitted on each, and the audits asked. Power is the share
of planted sets with a warning or a failure, false alarms that of the clean sets.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hilum.audit import AUDITS, Evidence, shallow
from hilum.data import phantom, pixels, splits
from hilum.data.splits import Shares
from hilum.evaluate import model as models
from hilum.evaluate.intervals import wilson
from hilum.evaluate.model import Facts, Model, columns
from hilum.models import backbones
from hilum.models.heads import Head, Standardise
from hilum.prepare import from_list

CLASSES = ("covid19", "normal")
BACKBONE = "tf_efficientnet_lite0"


@dataclass(frozen=True, slots=True)
class Arm:
    """One kind of films: the phantom's dials."""

    name: str
    dials: dict[str, Any]


ARMS = (
    Arm("hospital", {"shortcut": 1.0, "signal": 0.0}),
    Arm("markers", {"marker_shortcut": 1.0, "signal": 0.0}),
    Arm("clean", {}),
)


def evidence(arm: Arm, images: int, seed: int, folder: Path, side: int = 224) -> Evidence:
    """Films drawn, a probe fitted on two thirds of the patients, the rest predicted."""
    request = phantom.Request(
        images=images,
        size=side,
        seed=seed,
        classes=CLASSES,
        severity=0.9,
        **arm.dials,
    )
    manifest = phantom.write(request, folder)
    pipeline = from_list([{"step": "letterbox", "side": side}])
    taken = pixels.ingest(manifest, pipeline)
    table = taken.manifest.table
    split = splits.holdout(taken.manifest, Shares(test=1 / 3, validation=0.1), seed)
    test = table["sample_id"].isin(_part(split.table, "test")).to_numpy()
    backbone = backbones.build(BACKBONE)
    normalise = backbones.card(BACKBONE).normalise
    runtime = models.compiled(backbone, normalise, pipeline, "auto")
    found = runtime(taken.pixels.stack)
    labels = np.array([CLASSES.index(name) for name in table["label"]], np.int64)
    seen = tuple(table["sha256"][~test])
    facts = Facts(list(CLASSES), normalise, runtime.facts.precision, mirror=False, seen=seen)
    model = Model(facts, pipeline, backbone, head(found[~test], labels[~test]), runtime)
    predictions = table[["sample_id", "path", "patient_id", "source", "label"]][test]
    predictions = predictions.reset_index(drop=True).assign(cell="main", fold=0, seed=seed)
    told = model.calibrated(model.from_features(found[test], None))
    predictions[columns(list(CLASSES))] = told
    return Evidence(
        list(CLASSES),
        table,
        predictions,
        split,
        facts=taken.facts,
        stack=taken.pixels.stack,
        seed=seed,
        model=model,
        features=found,
        all_predictions=predictions,
        thorough=True,
    )


def head(features: np.ndarray, labels: np.ndarray) -> Head:
    """Logistic regression as a head of two classes."""
    fitted = shallow.fitted(features, labels)
    scaler, linear = fitted[0], fitted[-1]
    weight = linear.coef_ * np.array([[-0.5], [0.5]])
    bias = linear.intercept_ * np.array([-0.5, 0.5])
    return Head(Standardise(scaler.mean_, scaler.scale_), ((weight, bias),))


def _part(table: pd.DataFrame, name: str) -> pd.Series:
    return table.loc[table["part"] == name, "sample_id"]


def measure(
    seeds: int, images: int, wanted: list[str], arms: Sequence[Arm] = ARMS, side: int = 224
) -> pd.DataFrame:
    """One row per arm, seed and audit: status, value, seconds."""
    rows = []
    for seed in range(seeds):
        for arm in arms:
            with tempfile.TemporaryDirectory() as folder:
                about = evidence(arm, images, 1000 + seed, Path(folder), side)
                for name in wanted:
                    started = time.perf_counter()
                    found = AUDITS[name](about)
                    spent = time.perf_counter() - started
                    rows.append((arm.name, seed, name, found.status, found.value, spent))
                    print(*rows[-1][:4], found.value, f"{spent:.1f} s", found.sentence, flush=True)
    return pd.DataFrame(rows, columns=["arm", "seed", "audit", "status", "value", "seconds"])


def table(measured: pd.DataFrame) -> str:
    """Markdown: per audit how many complained, k of n with the Wilson interval."""
    lines = [
        "| audit | planted: complains | clean: complains | could not be checked |",
        "|---|---|---|---|",
    ]
    for name, rows in measured.groupby("audit"):
        cells = []
        for arm in ARMS:
            told = rows.loc[(rows["arm"] == arm.name) & (rows["status"] != "unknown"), "status"]
            k, n = int(told.isin(["warn", "fail"]).sum()), len(told)
            low, high = wilson(k, n)
            cells.append(f"{k} of {n} ({low:.2f}-{high:.2f})" if n else "–")
        unknown = int((rows["status"] == "unknown").sum())
        lines.append(f"| {name} | {' | '.join(cells)} | {unknown} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, store one row per answer, print the table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seeds", type=int, default=20)
    asked.add_argument("--images", type=int, default=200)
    asked.add_argument("--audits", default=",".join(AUDITS))
    asked.add_argument("--out", type=Path, default=Path("audit_power.csv"))
    given = asked.parse_args()
    measured = measure(given.seeds, given.images, given.audits.split(","))
    measured.to_csv(given.out, index=False)
    print(table(measured))


if __name__ == "__main__":
    main()
