"""Datasets with TorchXRayVision's interface become images with a table, without a change."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

import hilum
from hilum.interop import read_torchxrayvision

NAMES = ["Pneumonia", "COVID-19", "Effusion", "Hernia"]
NAN = float("nan")
LABELS = np.array(
    [
        [1, 0, 0, NAN],  # pneumonia
        [0, 1, 0, NAN],  # COVID-19
        [1, 1, 0, NAN],  # both
        [0, 0, 0, NAN],  # no finding
        [0, 0, 1, NAN],  # a finding of no class
        [NAN, 0, 0, NAN],  # uncertain
        [1, 0, 1, NAN],  # pneumonia with an effusion
        [1, NAN, 0, NAN],  # pneumonia, perhaps COVID-19
    ]
)
CLASSES = {"Pneumonia": "pneumonia", "COVID-19": "covid19"}


def normalised(pixels: np.ndarray, white: float) -> np.ndarray:
    """Grey levels from 0 to `white` as that library hands them out: float32 in -1024..1024."""
    return ((2 * (pixels.astype(np.float32) / white) - 1.0) * 1024)[None]


class Films:
    """The documented interface and nothing else."""

    def __init__(self, labels: np.ndarray = LABELS, white: int = 255) -> None:
        self.pathologies = list(NAMES)
        self.labels = labels
        random = np.random.default_rng(3)
        kind = np.uint8 if white == 255 else np.uint16
        self.films = random.integers(0, white + 1, (len(labels), 20, 16)).astype(kind)
        self.films[:, 0, :2] = 0, white
        self.white = white
        count = len(labels)
        self.csv = pd.DataFrame(
            {
                "patientid": [f"p{i // 2}" for i in range(count)],
                "view": ["PA", "AP"] * (count // 2),
                "age_years": [50.0, NAN] * (count // 2),
                "sex_male": [True, False] * (count // 2),
                "sex_female": [False, True] * (count // 2),
            },
            index=range(100, 100 + count),
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict:
        img = normalised(self.films[index], self.white)
        return {"idx": index, "lab": self.labels[index], "img": img}


class Subset:
    """As that library makes one of some positions."""

    def __init__(self, dataset: Films, idxs: list[int]) -> None:
        self.dataset, self.idxs = dataset, idxs
        self.pathologies, self.labels = dataset.pathologies, dataset.labels[idxs]
        self.csv = dataset.csv.iloc[idxs].reset_index(drop=True)

    def __len__(self) -> int:
        return len(self.idxs)

    def __getitem__(self, index: int) -> dict:
        return self.dataset[self.idxs[index]]


def test_images_labels_and_facts_come_through(tmp_path: Path) -> None:
    films = Films()
    manifest = read_torchxrayvision(films, tmp_path / "read", classes=CLASSES)
    table = manifest.table
    assert table["label"].tolist() == ["pneumonia", "covid19", "normal", "pneumonia"]
    kept = [0, 1, 3, 6]
    for path, index in zip(table["path"], kept, strict=True):
        np.testing.assert_array_equal(cv2.imread(path, cv2.IMREAD_UNCHANGED), films.films[index])
    assert table["patient_id"].tolist() == ["table:p0", "table:p0", "table:p1", "table:p3"]
    assert table["view"].tolist() == ["PA", "AP", "AP", "PA"]
    assert table["sex"].tolist() == ["M", "F", "F", "M"]
    assert table["age"].tolist() == pytest.approx([50, NAN, NAN, 50], nan_ok=True)
    assert set(table["source"]) == {"Films"}
    reasons = {item.what: item.reason for item in manifest.left_out}
    assert reasons == {
        "image 2": "has findings of several classes",
        "image 4": "has findings of none of the classes",
        "image 5": "has no finding for certain, but is uncertain about one",
        "image 7": "is uncertain about another class",
    }
    again = hilum.open_data(tmp_path / "read").table  # what `hilum train` is given
    pd.testing.assert_frame_equal(again, table)


def test_films_of_sixteen_bits_keep_them(tmp_path: Path) -> None:
    films = Films(white=65535)
    manifest = read_torchxrayvision(films, tmp_path, classes=CLASSES)
    stored = cv2.imread(manifest.table["path"].iloc[0], cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16
    assert np.abs(stored.astype(int) - films.films[0]).max() <= 1  # float32 has 24 bits


def test_a_subset_is_read_as_the_images_that_it_names(tmp_path: Path) -> None:
    films = Films()
    manifest = read_torchxrayvision(Subset(films, [6, 3]), tmp_path, classes=CLASSES)
    assert manifest.table["label"].tolist() == ["pneumonia", "normal"]
    assert set(manifest.table["source"]) == {"Films"}
    first = cv2.imread(manifest.table["path"].iloc[0], cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(first, films.films[6])


def _of(change: str) -> object:
    films = Films()
    if change == "img":
        films.films = films.films.astype(np.int32) * 3
    elif change == "labels":
        films.labels = films.labels[:, :2]
    elif change == "values":
        films.labels = np.where(LABELS == 1, 0.5, LABELS)
    else:
        del films.csv
    return films


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("img", "img must lie between -1024 and 1024"),
        ("labels", r"labels must be \(image, pathology\), here \(8, 4\)"),
        ("values", "labels must be 1, 0 or nan; got 0.5"),
        ("csv", "got a Films without csv"),
    ],
)
def test_what_is_no_such_dataset_is_named(change: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(hilum.HilumError, match=message):
        read_torchxrayvision(_of(change), tmp_path, classes=CLASSES)


def test_an_unknown_pathology_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(hilum.HilumError, match="got 'Pneumona'; did you mean 'Pneumonia'"):
        read_torchxrayvision(Films(), tmp_path, classes={"Pneumona": "pneumonia"})
    with pytest.raises(hilum.HilumError, match="got 'Hernia'"):  # nan throughout: not labelled
        read_torchxrayvision(Films(), tmp_path, classes={"Hernia": "hernia"})
