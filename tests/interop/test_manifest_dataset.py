"""A manifest as a torch Dataset: the model's own pixels, in any loader."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader

import hilum
from hilum.api.model import Model
from hilum.interop import ManifestDataset


def test_the_pixels_are_those_that_the_model_sees(out: Path, model: Model) -> None:
    dataset = ManifestDataset(hilum.open_data(out), None, model.preparation)
    row = dataset.table.iloc[3]
    film = dataset[3]
    expected = model.preparation(hilum.read_image(row["path"]).pixels)
    np.testing.assert_array_equal(film.pixels[0].numpy(), expected)
    assert film.sample_id == row["sample_id"]
    assert dataset.classes[film.label] == row["label"]


def test_workers_read_the_parts_of_a_split(out: Path, model: Model) -> None:
    splits = pd.read_csv(out / "splits.csv").query("seed == 0")
    manifest = hilum.open_data(out)
    part = ManifestDataset(manifest, splits, model.preparation, "validation", transform=halved)
    packed = pickle.dumps(part)  # what a spawned worker is sent
    assert len(packed) < part._stack.nbytes / 10  # it maps the file
    assert torch.equal(pickle.loads(packed)[2].pixels, part[2].pixels)  # noqa: S301
    batches = list(DataLoader(part, 3, num_workers=1))
    names = [name for batch in batches for name in batch.sample_id]
    assert sorted(names) == sorted(splits.loc[splits["part"] == "validation", "sample_id"])
    pixels = torch.cat([batch.pixels for batch in batches])
    np.testing.assert_array_equal(pixels[:, 0].numpy(), part._stack // 2)
    labels = torch.cat([batch.label for batch in batches])
    known = manifest.table.set_index("sample_id")["label"]
    assert [part.classes[i] for i in labels] == known.loc[names].tolist()


def halved(pixels: torch.Tensor) -> torch.Tensor:
    return pixels // 2


def test_what_cannot_be_read_is_left_out_and_named(out: Path, tmp_path: Path) -> None:
    manifest = hilum.open_data(out)
    table = manifest.table.head(4).copy()
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    table.loc[1, "path"] = str(broken)
    steps = [{"step": "letterbox", "side": 32}]
    dataset = ManifestDataset(hilum.Manifest(table), None, steps)
    assert len(dataset) == 3
    assert [item.what for item in dataset.left_out] == [str(broken)]
    assert dataset[0].pixels.shape == (1, 32, 32)


def test_wrong_parts_folds_and_manifests_are_named(out: Path, model: Model) -> None:
    splits = pd.read_csv(out / "splits.csv")
    manifest = hilum.open_data(out)
    with pytest.raises(hilum.HilumError, match=r"part must be one of .*; got 'val'"):
        ManifestDataset(manifest, splits, model.preparation, "val")
    with pytest.raises(hilum.HilumError, match="fold must be one of 0; got 4"):
        ManifestDataset(manifest, splits, model.preparation, fold=4)
    few = hilum.Manifest(manifest.table.head(2))
    with pytest.raises(hilum.HilumError, match="every film of the split must be in the manifest"):
        ManifestDataset(few, splits, model.preparation)
    with pytest.raises(hilum.HilumError, match="columns sample_id, fold, part"):
        ManifestDataset(manifest, splits.drop(columns="part"), model.preparation)
