"""Small pictures: sample images per class, and the most confidently wrong ones.

Each is written once to `figures/thumbnails`, so that a report can be rebuilt without the images.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from hilum import files
from hilum.data.source_images import open_source_images
from hilum.report.run_folder import OWN_DATA, RunFolder
from hilum.report.wording import class_name, code, probability
from hilum.types import Grey8, GreyImage, HilumError

SIDE = 216  # longer side in pixels: twice the size on the page
SAMPLES = 6
WORST = 12


@dataclass(frozen=True, slots=True)
class Picture:
    """One thumbnail and the text under it; `uri` is None where the image cannot be shown."""

    uri: str | None
    alt: str
    truth: str
    patient: str
    source: str
    prediction: str = ""
    certainty: str = ""  # the probability of the prediction
    image: str = ""


@dataclass(frozen=True, slots=True)
class Strip:
    """Sample images of one class, and the rows of the manifest that they show."""

    class_: str
    n: int
    rows: pd.DataFrame
    pictures: tuple[Picture, ...]


def data_uri(path: Path) -> str:
    """A PNG or JPEG file as a `data:` address."""
    kind = "png" if path.suffix == ".png" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def samples(run: RunFolder) -> list[Strip]:
    """A few images of each class, from as many sources as there are, the same in each build."""
    images = run.manifest if run.manifest is not None else run.chosen()
    if images is None:
        return []
    images = images.dropna(subset=["label"]).drop_duplicates("sample_id")
    listed = [name for name in run.classes if (images["label"] == name).any()]
    return [_strip(run, images[images["label"] == name], name) for name in listed]


def _strip(run: RunFolder, rows: pd.DataFrame, name: str) -> Strip:
    first = mixed(rows).head(SAMPLES)
    pictures = tuple(_picture(run, row) for row in first.to_dict("records"))
    return Strip(class_name(name), len(rows), first[["label", "sample_id"]], pictures)


def mixed(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows in an order that does not depend on theirs, every source in turn."""
    out = rows.assign(order=[_order(str(i)) for i in rows["sample_id"]]).sort_values("order")
    out["turn"] = out.groupby("source", dropna=False).cumcount()
    return out.sort_values(["turn", "order"])


def worst(run: RunFolder) -> tuple[pd.DataFrame, list[Picture]]:
    """The wrong predictions with the highest probability: their table, and a picture of each."""
    table = worst_errors(run.chosen(), run.classes)
    pictures = [_picture(run, row) for row in table.head(WORST).to_dict("records")]
    return table, pictures


def worst_errors(predictions: pd.DataFrame | None, classes: Sequence[str]) -> pd.DataFrame:
    """All wrong predictions, most confident first; several seeds' probabilities are averaged."""
    kept = ["sample_id", "path", "patient_id", "source", "label"]
    columns = [f"p_{name}" for name in classes]
    if predictions is None or not classes:
        return pd.DataFrame(columns=[*kept, "prediction", "probability"])
    first = predictions.groupby("sample_id", sort=False)[kept[1:]].first()
    mean = predictions.groupby("sample_id", sort=False)[columns].mean().to_numpy()
    winner = mean.argmax(axis=1)
    table = first.reset_index().assign(
        prediction=[classes[i] for i in winner], probability=mean[np.arange(len(winner)), winner]
    )
    wrong = table[table["label"].notna() & (table["prediction"] != table["label"])]
    return wrong.sort_values("probability", ascending=False, kind="stable").reset_index(drop=True)


def _picture(run: RunFolder, row: dict[str, object]) -> Picture:
    shown, patient = identity(row)
    truth = class_name(str(row["label"]))
    prediction = class_name(str(row.get("prediction", "")))
    p = row.get("probability")
    source = row.get("source")
    alt = f"Chest image {shown}, truth {truth}" + (
        f", predicted {prediction}" if prediction else ""
    )
    return Picture(
        uri=_thumbnail(run, str(row["sample_id"]), row.get("path")),
        alt=alt,
        truth=truth,
        patient=patient,
        source="not recorded" if pd.isna(source) else str(source),
        prediction=prediction,
        certainty=probability(p) if isinstance(p, float) else "",
        image=shown,
    )


def identity(row: dict[str, object]) -> tuple[str, str]:
    """(image, patient) as the page may show them: names of published data, codes of one's own.

    File names and patient numbers of a hospital's own files identify people, and a report is
    passed on; the tables next to the figures, which stay in the run folder, hold the key.
    """
    sample, patient = str(row["sample_id"]), row.get("patient_id")
    own = sample.split("/", 1)[0] in OWN_DATA
    shown = code("image", sample) if own else sample
    if patient is None or pd.isna(patient):
        return shown, "not recorded"
    return shown, code("patient", str(patient)) if own else str(patient)


def thumbnail(run: RunFolder, sample_id: str, path: object) -> Grey8 | None:
    """The thumbnail's pixels (height, width), or None where the image cannot be shown."""
    stored = _stored(run, sample_id, path)
    pixels = None if stored is None else cv2.imread(str(stored), cv2.IMREAD_GRAYSCALE)
    return None if pixels is None else np.asarray(pixels, dtype=np.uint8)


def _thumbnail(run: RunFolder, sample_id: str, path: object) -> str | None:
    stored = _stored(run, sample_id, path)
    return None if stored is None else data_uri(stored)


def _stored(run: RunFolder, sample_id: str, path: object) -> Path | None:
    """The thumbnail's file, made where it is not there yet and the image can be read."""
    stored = run.folder / "figures" / "thumbnails" / f"{_order(sample_id)[:24]}.jpg"
    done = stored.is_file() or _shrink(path, run.sha256(sample_id), stored)
    return stored if done else None


def _shrink(path: object, sha256: str, to: Path) -> bool:
    """Write a small JPEG of the image at `path`; False where it cannot be read."""
    if not isinstance(path, str) or not Path(path).is_file():
        return False
    try:
        pixels = eight_bits(open_source_images().read(path, sha256, SIDE))
    except (HilumError, OSError):
        return False
    scale = SIDE / max(pixels.shape)
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(pixels, size, interpolation=way)
    done, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 82])
    with files.atomic_write(to, synced=False) as draft:
        draft.write_bytes(data.tobytes())
    return bool(done)


def eight_bits(pixels: GreyImage) -> Grey8:
    """(height, width) of either kind -> uint8."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    return (np.clip(pixels, 0, 1) * 255).round().astype(np.uint8)


def _order(sample_id: str) -> str:
    return hashlib.sha256(sample_id.encode()).hexdigest()
