"""Reading what a recipe names: labels merged before they are kept and drawn."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum import recipes
from hilum.experiment import dataset
from hilum.types import HilumError

COUNTS = {"normal": 4, "bacterial_pneumonia": 5, "viral_pneumonia": 3}
MERGED = 'rename={bacterial_pneumonia="pneumonia", viral_pneumonia="pneumonia"}'


def films(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, count in COUNTS.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (64, 64), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def labels(folder: Path, more: str) -> dict[str, int]:
    plan = recipes.load_recipe("default", changes=[f'data=[{{path="{folder}", {more}}}]'])
    found = dataset.load_manifest(plan, None, folder / "out")
    return found.table["label"].value_counts().to_dict()


def test_renamed_labels_can_be_kept_and_drawn(tmp_path: Path) -> None:
    films(tmp_path)
    assert labels(tmp_path, MERGED) == {"pneumonia": 8, "normal": 4}
    assert labels(tmp_path, f"{MERGED}, take={{pneumonia=6}}") == {"pneumonia": 6, "normal": 4}
    kept = f'{MERGED}, keep={{label=["pneumonia"]}}'
    assert labels(tmp_path, kept) == {"pneumonia": 8}


def test_a_label_that_is_not_there_cannot_be_renamed(tmp_path: Path) -> None:
    with pytest.raises(HilumError, match=r"labels of these images .*viral_pneumonia.*; got 'bact"):
        labels(films(tmp_path), 'rename={bact="pneumonia"}')


def test_the_draw_of_study_003s_three_classes(shared: Path, tmp_path: Path) -> None:
    """Spec S3-19: 255 / 234 / 200, all of them images of the four-class question."""
    whole = recipes.load_recipe("zhang2022")
    four = dataset.load_manifest(whole, shared, tmp_path).table
    three = dataset.load_manifest(recipes.tasks(whole)["three_classes"], shared, tmp_path).table
    counts = {"covid19": 255, "normal": 234, "pneumonia": 200}
    assert three["label"].value_counts().to_dict() == counts
    assert set(three["sample_id"]) <= set(four["sample_id"])
    bacteria = three["sample_id"].str.contains("bacteria") & (three["label"] == "pneumonia")
    assert 0 < bacteria.sum() < 200
