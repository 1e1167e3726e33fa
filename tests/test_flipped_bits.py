"""One flipped bit, a cut and an empty file: a cache is made anew with a note, a model refused."""

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from torch import nn

from hilum import files, preprocess
from hilum.data import feature_cache, prepared_dataset
from hilum.data.source_images import open_source_images
from hilum.inference import model as models
from hilum.inference import model_folder, model_json
from hilum.inference.model import ModelMetadata
from hilum.inference.ood import OodDetector
from hilum.models import backbones
from hilum.models.normalise import InputNormalisation
from hilum.models.numpy_head import NumpyHead, Standardise
from hilum.models.runtime import conversion
from hilum.types import (
    MANIFEST_COLUMNS,
    Floats,
    Grey8,
    GreyImage,
    HilumError,
    HilumWarning,
    Manifest,
)

SIDE = 224  # of the network
FILMS = 3
FEW, MANY = 5, 300  # bits flipped in each small file: in `make test`, in `make test-hard`
Damage = Callable[[bytes], bytes]
counts = pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.hard)])


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HILUM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def flips(size: int, count: int) -> list[Damage]:
    """`count` flips of one bit each, spread over a file of `size` bytes."""
    return [_flip(place, place % 8) for place in np.linspace(0, size - 1, count).astype(int)]


def _flip(place: int, bit: int) -> Damage:
    def damaged(content: bytes) -> bytes:
        changed = bytearray(content)
        changed[place] ^= 1 << bit
        return bytes(changed)

    return damaged


def cuts() -> list[Damage]:
    """A file cut at its end and in its middle, and an empty one."""
    return [lambda content: content[:-1], lambda content: content[: len(content) // 2],
            lambda content: b""]  # fmt: skip


def damage_file(file: Path, content: bytes, number: int) -> None:
    """Write to a file in place, at a time that differs however coarse the clock of the disk is."""
    file.write_bytes(content)
    os.utime(file, (number, number))


def made_anew(
    file: Path, damages: list[Damage], read: Callable[[], np.ndarray], same_bytes: bool = True
) -> int:
    """How many damages were said and answered with what the whole file gives.

    The file is the same again, byte by byte, unless what makes it writes other bytes every time.
    """
    want, whole, found = np.array(read()), file.read_bytes(), 0
    for number, damage in enumerate(damages):
        damage_file(file, damage(whole), number)
        with pytest.warns(HilumWarning, match="made anew"):
            again = read()
        restored = not same_bytes or file.read_bytes() == whole
        found += bool(np.array_equal(again, want)) and restored
    return found


@counts
def test_cached_features(count: int) -> None:
    values = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    computed: list[int] = []

    def compute() -> Floats:
        computed.append(1)
        return values

    def read() -> Floats:
        return feature_cache.cached("key", compute)

    read()
    file = feature_cache.store_path("key")
    damages = [*flips(file.stat().st_size, count), *cuts()]
    assert made_anew(file, damages, read) == len(damages) == count + 3
    assert len(computed) == 1 + len(damages)
    read()
    assert len(computed) == 1 + len(damages)


@dataclass(frozen=True)
class Small:
    """A preparation as simple as they come."""

    shape: tuple[int, int] = (24, 20)
    decode_side: int | None = None
    digest: str = "small"

    def __call__(self, pixels: GreyImage) -> Grey8:
        return np.asarray(cv2.resize(pixels, self.shape[::-1]), np.uint8)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    for number in range(FILMS):
        picture = np.random.default_rng(number).integers(0, 256, (60, 50), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
    table = pd.DataFrame(
        {name: pd.Series([pd.NA] * FILMS, dtype="str") for name in MANIFEST_COLUMNS}
    )
    table["path"] = [str(tmp_path / f"{number}.png") for number in range(FILMS)]
    table["sample_id"] = [f"set/{number}" for number in range(FILMS)]
    return Manifest(table)


@counts
@pytest.mark.parametrize("ending", [".pixels", ".records"])
def test_sealed_pixels(manifest: Manifest, own_cache: Path, ending: str, count: int) -> None:
    def read() -> np.ndarray:
        taken = prepared_dataset.prepare_dataset(manifest, Small())
        return np.concatenate([taken.pixels.stack.ravel(), taken.fingerprints.perceptual.ravel()])

    read()
    (file,) = (own_cache / "pixels").glob(f"*/*{ending}")
    damages = [*flips(file.stat().st_size, count), *cuts()]
    assert made_anew(file, damages, read) == len(damages)


@counts
def test_decoded_sources(manifest: Manifest, count: int) -> None:
    sources, path = open_source_images(), manifest.table["path"].iloc[0]

    def read() -> GreyImage:
        return sources.read(path, files.sha256(path), None)

    read()
    (file,) = (item for item in sources.folder.iterdir())
    damages = [*flips(file.stat().st_size, count), *cuts()]
    assert made_anew(file, damages, read) == len(damages)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, private_cache: Path) -> Path:
    """A model folder with all its files."""
    random = np.random.default_rng(1)
    head = NumpyHead(Standardise.none(64), ((random.normal(size=(2, 64)), np.zeros(2)),))
    pipeline = preprocess.from_list([{"step": "resize", "side": SIDE}])
    facts = ModelMetadata(["covid19", "normal"], "unit", "fp32", mirror=True, seen=("ab" * 32,))
    built = models.compile_model(
        facts, pipeline, backbones.build_backbone("wiklund_fc", "random"), head
    )
    gate = OodDetector(
        bank=random.normal(size=(9, 64)).astype(np.float32),
        mean=random.normal(size=64), deviation=random.normal(size=64),
        weights=random.normal(size=(5, 64)), bias=random.normal(size=5),
        ordinary=1.0, far=2.0, turned=0.5, lungs=False,
    )  # fmt: skip
    whole = replace(built, gate=gate)
    return model_folder.save_trained_model(whole, tmp_path_factory.mktemp("whole") / "model")


@pytest.mark.parametrize("ending", [".xml", ".bin"])
def test_converted_network(ending: str) -> None:
    shape = (16, 12)
    network = nn.Sequential(InputNormalisation("unit"), nn.Conv2d(3, 4, 3), nn.Flatten())
    file = conversion.converted(network, shape).with_suffix(ending)

    def read() -> np.ndarray:
        found = conversion.converted(network, shape).with_suffix(".bin")
        return np.frombuffer(found.read_bytes(), np.uint8)

    damages = [*flips(file.stat().st_size, 2), cuts()[-1]]
    same = ending == ".bin"  # a conversion numbers the nodes of its graph on
    assert made_anew(file, damages, read, same) == len(damages)


NAMES = ("backbone.safetensors", "head.safetensors", "gate.safetensors", "seen.csv")


@counts
@pytest.mark.parametrize("name", NAMES)
def test_model_is_refused(
    model: Path,
    name: str,
    count: int,
    tmp_path: Path,
    private_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HILUM_CACHE", str(private_cache))  # the network is converted there
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    whole, refused = (folder / name).read_bytes(), 0
    damages = [*flips(len(whole), count), *cuts()]
    for number, damage in enumerate(damages):
        damage_file(folder / name, damage(whole), number)
        with pytest.raises(HilumError, match="restore the folder"):
            model_folder.load_trained_model(folder)
        refused += 1
    (folder / name).write_bytes(whole)
    model_folder.load_trained_model(folder)
    assert refused == count + 3


def test_names_of_a_heads_arrays_are_no_reason_of_their_own(model: Path, tmp_path: Path) -> None:
    """The file is named, not what is missing in it."""
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    whole, file = (folder / "head.safetensors").read_bytes(), folder / "head.safetensors"
    names = [whole.index(name) for name in (b"mean", b"0.weight", b"0.bias", b"deviation")]
    for number, place in enumerate(names):
        damage_file(file, _flip(place + 1, 0)(whole), number)
        said = f"{file} must be the file that hilum wrote; got another; restore the folder"
        with pytest.raises(HilumError, match=re.escape(said)):
            model_folder.read_parts(folder)


def test_a_flip_in_the_record_is_refused(model: Path, tmp_path: Path) -> None:
    """Outside of the word "digests": without it a folder is an earlier version's."""
    whole, file = (model / "model.json").read_bytes(), tmp_path / "model.json"
    key = range(whole.index(b'"digests"'), whole.index(b'"digests"') + len(b'"digests"'))
    places = [place for place in range(0, len(whole), 5) if place not in key]
    for place in places:
        file.write_bytes(_flip(place, place % 8)(whole))
        with pytest.raises(HilumError):
            model_json.read_metadata(tmp_path)
    assert len(places) > 200


def test_a_folder_without_digests_loads(
    model: Path, tmp_path: Path, private_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HILUM_CACHE", str(private_cache))
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    record = json.loads((folder / "model.json").read_text())
    del record["digests"]
    (folder / "model.json").write_text(json.dumps(record))
    assert model_folder.load_trained_model(folder).facts.classes == ["covid19", "normal"]


def test_a_verdict_may_be_added(model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    before = model_json.read_metadata(folder)["digests"]
    model_json.amend(folder, {"judged": {"verdict": "Trust it."}})
    after = model_json.read_metadata(folder)
    assert after["judged"] == {"verdict": "Trust it."}
    assert after["digests"]["files"] == before["files"]
    assert set(before["files"]) == {*NAMES}
