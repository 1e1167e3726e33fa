"""Synthetic run folders for the report's tests: a realistic study, the least one, a hostile one."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from scipy.stats import norm

from hilum.types import Finding, Published, Results, Score

STUDY = {"covid19": 255, "normal": 234, "bacterial_pneumonia": 242, "viral_pneumonia": 148}
SOURCES = {"covid19": ("Cohen: Milan", "Cohen: Hannover", "Cohen: Radiopaedia")}
HOSTILE = {
    "<script>alert(1)</script>": 20,
    '=HYPERLINK("http://evil.example","x")': 20,
    "\"'><img src=x onerror=alert(2)>" + "very long name " * 12: 20,
    "_$x^2$ &amp; {{ 7*7 }}": 20,
}


@dataclass(frozen=True)
class Request:
    """What a synthetic run is made of."""

    classes: dict[str, int] = field(default_factory=lambda: dict(STUDY))
    folds: int = 5
    seed: int = 7
    separation: float = 2.6
    sources: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict(SOURCES))


def study(folder: Path, request: Request | None = None) -> Path:
    """Every file of a finished five-fold, four-class run, with images, audits and two cells."""
    request = request or Request()
    table = _manifest(folder, request)
    predictions = pd.concat(
        [
            _predict(table, request, cell, gain)
            for cell, gain in (("resnet50/frozen", 1.0), ("vgg16/frozen", 0.7))
        ]
    )
    table.to_parquet(folder / "manifest.parquet")
    predictions.to_csv(folder / "predictions.csv", index=False)
    _splits(table, request).to_csv(folder / "splits.csv", index=False)
    _history(request).to_csv(folder / "history.csv", index=False)
    _write(folder, _results(table, predictions, request))
    return folder


def binary(folder: Path) -> Path:
    """The least run: two classes, one fold, only results.json and predictions.csv."""
    request = Request(classes={"normal": 60, "covid19": 24}, folds=1, seed=3)
    table = _manifest(folder, request)
    predictions = _predict(table, request, "head", 1.0)
    predictions.to_csv(folder / "predictions.csv", index=False)
    scores = _scores(predictions, list(request.classes))
    results = Results(
        recipe="zero-config",
        mode="corrected",
        classes=list(request.classes),
        n={},
        scores=scores,
        published=[],
        audits=[],
        verdict="The images are too few to tell.",
        environment={},
        data={},
        split={},
        model={},
        limits=[],
    )
    _write(folder, results)
    return folder


def hostile(folder: Path) -> Path:
    """A run whose every string attacks the page or the spreadsheet."""
    bad = '<script>alert("x")</script>'
    names = tuple(HOSTILE)
    request = Request(classes=dict(HOSTILE), folds=2, sources=dict.fromkeys(names, (bad, "=1+1")))
    study(folder, request)
    predictions = pd.read_csv(folder / "predictions.csv")
    predictions["patient_id"] = [f"=cmd|'/C calc'!A{i}{bad}" for i in range(len(predictions))]
    predictions["sample_id"] = [f"dicom/{bad}{i}" for i in range(len(predictions))]
    predictions.to_csv(folder / "predictions.csv", index=False)
    results = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps(_poison(results, set(names), bad)))
    figures = ["thresholds", "confusions", "bars", bad]
    (folder / "recipe.toml").write_text(f"figures = {json.dumps(figures)}")
    pd.DataFrame({"what": [bad, "=1+1"], "reason": [bad, "=1+1"]}).to_csv(
        folder / "left_out.csv", index=False
    )
    return folder


def _poison(value: Any, keep: set[str], bad: str) -> Any:
    if isinstance(value, dict):
        fixed = {"status", "cell", "class", "name", "classes"}
        return {k: v if k in fixed else _poison(v, keep, bad) for k, v in value.items()}
    if isinstance(value, list):
        return [_poison(item, keep, bad) for item in value]
    return (
        f"{value}{bad}\"'><b onload=x>" if isinstance(value, str) and value not in keep else value
    )


def _write(folder: Path, results: Results) -> None:
    (folder / "results.json").write_text(json.dumps(results.as_json(), indent=1))


def _manifest(folder: Path, request: Request) -> pd.DataFrame:
    rng = np.random.default_rng([request.seed, 1])
    images = folder.parent / f"{folder.name}-images"
    images.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for c, (name, n) in enumerate(request.classes.items()):
        sources = request.sources.get(name, ("Guangzhou",))
        for i in range(n):
            path = images / f"{c}-{i:04d}.png"
            cv2.imwrite(str(path), _thorax(rng, c), (cv2.IMWRITE_PNG_COMPRESSION, 1))
            rows.append(
                {
                    "sample_id": f"kermany/{name}/{i:04d}.png",
                    "path": str(path),
                    "label": name,
                    "patient_id": f"kermany:{c}-{i * 2 // 3}",
                    "source": sources[i % len(sources)],
                    "dataset": "cohen" if name == "covid19" else "kermany",
                    "licence": "CC BY 4.0",
                }
            )
    return pd.DataFrame(rows)


def _thorax(rng: np.random.Generator, opacity: int) -> np.ndarray:
    """A grey (112, 96) likeness of a frontal radiograph."""
    y, x = np.mgrid[0:112, 0:96] / 96.0
    image = np.full((112, 96), 165.0) - 60 * (np.abs(x - 0.5) > 0.47)
    for centre in (0.29, 0.71):
        lung = ((x - centre) / 0.17) ** 2 + ((y - 0.55) / 0.38) ** 2
        image -= 110 * np.exp(-(lung**3))
    image += 45 * np.exp(-(((x - 0.5) / 0.05) ** 2))
    image += 7 * np.sin(y * 44 - 14 * np.abs(x - 0.5)) * (np.abs(x - 0.5) < 0.42)
    for _ in range(opacity * 2):
        cx, cy = rng.choice([0.3, 0.7]) + rng.normal(0, 0.06), rng.uniform(0.4, 0.85)
        image += 45 * np.exp(-(((x - cx) / 0.09) ** 2 + ((y - cy) / 0.1) ** 2))
    return np.clip(image + rng.normal(0, 5, image.shape), 0, 255).astype(np.uint8)


def _predict(table: pd.DataFrame, request: Request, cell: str, gain: float) -> pd.DataFrame:
    rng = np.random.default_rng([request.seed, 2])
    classes = list(request.classes)
    truth = table["label"].map(classes.index).to_numpy()
    logits = rng.normal(0, 1.2, (len(table), len(classes)))
    logits[np.arange(len(table)), truth] += request.separation * gain
    both = [classes.index(c) for c in classes if c.endswith("_pneumonia")]
    logits[np.ix_(np.isin(truth, both), both)] += 1.4
    p = np.exp(1.3 * logits)
    p /= p.sum(axis=1, keepdims=True)
    patients = table["patient_id"].factorize()[0]
    out = table[["sample_id", "path", "patient_id", "source"]].copy()
    out.insert(0, "cell", cell)
    out["fold"], out["seed"], out["label"] = patients % request.folds, request.seed, table["label"]
    out[[f"p_{c}" for c in classes]] = p
    return out


def _splits(table: pd.DataFrame, request: Request) -> pd.DataFrame:
    patients = table["patient_id"].factorize()[0]
    parts = []
    for fold in range(request.folds):
        part = np.where((patients % request.folds) == fold, "test", "train")
        part = np.where(
            (patients % request.folds) == (fold + 1) % request.folds, "validation", part
        )
        parts.append(pd.DataFrame({"sample_id": table["sample_id"], "fold": fold, "part": part}))
    return pd.concat(parts)


def _history(request: Request) -> pd.DataFrame:
    rng = np.random.default_rng([request.seed, 3])
    rows = []
    for fold in range(request.folds):
        for epoch in range(40):
            stage = "head" if epoch < 25 else "fine-tune"
            for part, floor in (("train", 0.12), ("validation", 0.3)):
                loss = floor + np.exp(-epoch / 8) + 0.3 * (epoch >= 25) * np.exp(-(epoch - 25) / 3)
                loss += rng.normal(0, 0.02) + 0.003 * epoch * (part == "validation")
                rows.append(
                    (
                        "resnet50/frozen",
                        fold,
                        request.seed,
                        stage,
                        epoch,
                        part,
                        loss,
                        1 - 0.3 * loss,
                    )
                )
    names = ["cell", "fold", "seed", "stage", "epoch", "part", "loss", "accuracy"]
    return pd.DataFrame(rows, columns=names)


def wilson(k: int, n: int) -> tuple[float, float]:
    """95 % interval of a proportion, Wilson 1927, doi:10.1080/01621459.1927.10502953."""
    z, p = float(norm.ppf(0.975)), k / n
    middle, spread = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return float((middle - spread) / (1 + z * z / n)), float((middle + spread) / (1 + z * z / n))


def _proportion(cell: str, name: str, class_: str, k: int, n: int) -> Score:
    low, high = wilson(k, n)
    return Score(cell, name, class_, k / n, k, n, low, high, "wilson")


def _near(cell: str, name: str, class_: str, value: float, n: int) -> Score:
    spread = 0.9 / np.sqrt(n) * np.sqrt(value * (1 - value) + 0.01)
    return Score(
        cell,
        name,
        class_,
        value,
        None,
        n,
        value - spread,
        min(1.0, value + spread),
        "bootstrap by patient",
    )


def _scores(predictions: pd.DataFrame, classes: list[str]) -> list[Score]:
    from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

    scores = []
    for cell, rows in predictions.groupby("cell", sort=False):
        p = rows[[f"p_{c}" for c in classes]].to_numpy()
        truth = rows["label"].map(classes.index).to_numpy()
        said, n, cell = p.argmax(axis=1), len(rows), str(cell)
        scores.append(_proportion(cell, "accuracy", "overall", int((said == truth).sum()), n))
        f1 = f1_score(truth, said, average=None)
        aucs = [float(roc_auc_score(truth == c, p[:, c])) for c in range(len(classes))]
        scores.append(_near(cell, "f1", "macro", float(f1.mean()), n))
        scores.append(_near(cell, "auroc", "macro", float(np.mean(aucs)), n))
        for c, name in enumerate(classes):
            yes, hit = truth == c, (said == c) & (truth == c)
            scores += [
                _proportion(cell, "sensitivity", name, int(hit.sum()), int(yes.sum())),
                _proportion(
                    cell, "specificity", name, int((~yes & (said != c)).sum()), int((~yes).sum())
                ),
                _proportion(
                    cell, "precision", name, int(hit.sum()), max(1, int((said == c).sum()))
                ),
                _near(cell, "f1", name, float(f1[c]), n),
                _near(cell, "auroc", name, aucs[c], n),
                _near(cell, "auprc", name, float(average_precision_score(yes, p[:, c])), n),
            ]
        scores.append(_near(cell, "ece", "overall", 0.046, n))
        scores.append(_near(cell, "brier", "overall", 0.178, n))
    return scores


def _results(table: pd.DataFrame, predictions: pd.DataFrame, request: Request) -> Results:
    classes = list(request.classes)
    scores = _scores(predictions, classes)
    cell = "resnet50/frozen"
    accuracy = next(s for s in scores if s.cell == cell and s.name == "accuracy")
    return Results(
        recipe="zhang2022",
        mode="corrected",
        title="Zhang & Liu 2022: COVID-19 against three other classes on chest radiographs",
        classes=classes,
        n={
            "images": len(table),
            "patients": table["patient_id"].nunique(),
            "per_class": request.classes,
        },
        scores=scores,
        published=[
            Published(
                "Table 2",
                "accuracy",
                "overall",
                0.918,
                accuracy.value,
                accuracy.low,
                accuracy.high,
                False,
            ),
            Published("Table 2", "f1", classes[1], 0.9843, 0.981, 0.966, 0.993, True),
            Published("Table 2", "recall", classes[2], 0.8845, None, None, None, None),
        ],
        audits=_audits(),
        verdict=(
            "Do not trust this classifier: its accuracy of 0.89 stays at 0.83 when the lungs are "
            "blacked out, so it reads the source of the image, not the lung."
        ),
        environment={
            "hilum": "0.1.0",
            "python": "3.11.9",
            "torch": "2.13.0",
            "finished": "2026-03-14T15:09:26Z",
            "seconds": 412.7,
            "command": "hilum run zhang2022 --data data --out runs/zhang2022",
            "seeds": [request.seed],
            "device": "CPU",
            "digests": {"pixels": "3f" * 16, "features": "a9" * 16},
        },
        data=_data(table),
        split={
            "kind": "kfold",
            "folds": request.folds,
            "grouped_by": "patient",
            "seed": request.seed,
            "notes": [
                "Folds keep all images of a patient together.",
                "The validation part chooses the epoch.",
            ],
            "leaks": [
                {
                    "kind": "near duplicate",
                    "fold": 0,
                    "first": "kermany/normal/0001.png",
                    "first_part": "train",
                    "second": "kermany/normal/0044.png",
                    "second_part": "test",
                    "distance": 4.0,
                }
            ],
        },
        model={
            "cell": cell,
            "fold": 0,
            "backbone": "resnet50",
            "weights": "ImageNet-1k (timm a1_in1k)",
            "preparation": [
                "letterbox 224",
                "grey to three channels",
                "ImageNet mean and deviation",
            ],
            "head": {"kind": "linear", "classes": len(classes)},
            "temperature": 1.31,
            "thresholds": dict.fromkeys(classes, 0.5),
        },
        limits=[
            "COVID-19 comes from sources of its own, so no figure tells how it does elsewhere.",
            "The controls are children of one to five years; the COVID-19 patients are adults.",
            "The labels come from the publishers and were not read again by a radiologist.",
        ],
    )


def _data(table: pd.DataFrame) -> dict[str, Any]:
    return {
        "sets": {
            "kermany": {
                "title": "Labelled optical coherence tomography and chest X-ray images",
                "images": 624,
                "patients": 580,
                "licence": "CC BY 4.0",
                "home": "https://data.mendeley.com/datasets/rscbjbr9sj/2",
                "source": "Guangzhou Women and Children's Medical Center",
                "shortcuts": ["children of 1 to 5 years only", "one hospital"],
                "citation": "Kermany et al. 2018, Cell 172:1122, doi:10.1016/j.cell.2018.02.010",
                "notes": ["File names tell bacteria from virus."],
            },
            "cohen": {
                "title": "COVID-19 image data collection",
                "images": 255,
                "patients": 171,
                "licence": "CC BY-NC-SA 4.0",
                "source": "many hospitals and publications",
                "shortcuts": ["burnt-in letters and arrows", "figures of papers"],
                "citation": "Cohen, Morrison & Dao 2020, arXiv:2003.11597",
                "notes": [],
            },
        },
        "left_out": [
            {
                "what": f"images/lateral-{i}.jpg",
                "reason": "a lateral view, and the study asks for frontal views",
            }
            for i in range(31)
        ]
        + [{"what": "images/broken.jpg", "reason": "the file is truncated"}],
    }


def _audits() -> list[Finding]:
    return [
        Finding(
            "C-10",
            "pass",
            0.0,
            "no patient on both sides of a split",
            "Yagis 2021, doi:10.1038/s41598-021-01681-w",
            "No patient is on both sides of a split.",
            "Patients on both sides",
        ),
        Finding(
            "C-02",
            "fail",
            1.0,
            "Cramér's V above 0.3 warns, 1 fails",
            "Zech 2018, doi:10.1371/journal.pmed.1002683",
            "The source of an image alone gives away its label.",
            "Source and label",
        ),
        Finding(
            "C-01",
            "fail",
            0.86,
            "fails above 0.5, warns above 0.25",
            "Maguolo & Nanni 2021, doi:10.1016/j.inffus.2021.04.008",
            "With the lungs blacked out, 86 % of the discrimination remains.",
            "Lungs masked",
        ),
        Finding(
            "C-04",
            "warn",
            0.74,
            "warns above 0.7",
            "",
            "Size and contrast alone reach an AUROC of 0.74.",
            "File facts only",
        ),
        Finding(
            "C-09",
            "unknown",
            None,
            "a class of one age group warns",
            "DeGrave 2021, doi:10.1038/s42256-021-00338-7",
            "Not checked: 624 of 879 images carry no age.",
            "Age",
        ),
        Finding(
            "C-17",
            "pass",
            0.046,
            "warns above 0.05",
            "Guo 2017, arXiv:1706.04599",
            "The probabilities are calibrated within 0.05.",
            "Calibration",
        ),
    ]
