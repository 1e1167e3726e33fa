"""What hilum parses itself: each reader, with small files that fuzzing begins from."""

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from hilum import datasets, images, recipes
from hilum.experiment import compare
from hilum.images import dicom, dicom_grayscale, read_image, tiff_planes
from hilum.images.header import read_tiff
from hilum.images.sniff import SNIFFED, sniff
from hilum.inference import model_folder, ood
from hilum.models import keras_files

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"


@dataclass(frozen=True, slots=True)
class Target:
    """A reader of bytes, and files that it can read."""

    read: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]


def header(data: bytes) -> None:
    """PNG, TIFF or JPEG up to its pixels."""
    with read_image._one_sentence(read_image.IN_MEMORY):
        name = sniff(data[:SNIFFED])
        if name != "DICOM":
            read_image._facts(read_image._checked_header(BytesIO(data), name))


def planes(data: bytes) -> None:
    """A TIFF taken apart into files of one channel each."""
    with read_image._one_sentence(read_image.IN_MEMORY):
        found = read_tiff(BytesIO(data))
        if found.planar:
            tiff_planes.apart(data, found, min(found.samples, 4))
        elif found.samples > 1:
            tiff_planes.side_by_side(data, found)


def dicom_header(data: bytes) -> None:
    """A DICOM file up to its pixels, with its tables and windows."""
    with read_image._one_sentence(read_image.IN_MEMORY):
        file, layout, _ = dicom.open_header(BytesIO(data))
        if layout.samples == 1:
            dicom_grayscale.display(file.elements, layout)


@cache
def scratch() -> Path:
    """A folder of this process's own, with a model in it that has no digests."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    shutil.copytree(GOLDEN / "model", folder / "model")
    return folder


def in_place(name: str, read: Callable[[Path], object]) -> Callable[[bytes], None]:
    """A reader of bytes that are first written below `scratch`."""

    def reader(data: bytes) -> None:
        file = scratch() / name
        whole = file.read_bytes() if file.exists() else None
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(data)
        try:
            read(file)
        finally:
            if whole is not None:
                file.write_bytes(whole)

    return reader


def golden(*names: str) -> Callable[[], list[bytes]]:
    """The content of these files of tests/golden."""
    return lambda: [(GOLDEN / name).read_bytes() for name in names]


def pictures() -> list[bytes]:
    """Small PNG, JPEG and TIFF files of several kinds."""
    made = []
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    colour = np.dstack([grey, grey + 1, grey + 2])
    deep = [layer.astype(np.uint16) * 900 for layer in (grey, colour)]
    for suffix in (".png", ".jpg", ".tif"):
        for pixels in (grey, colour, *deep[: 2 * (suffix != ".jpg")]):
            made.append(cv2.imencode(suffix, pixels)[1].tobytes())
    exif = Image.Exif()
    exif[274] = 6
    for name in ("JPEG", "PNG"):
        stream = BytesIO()
        Image.fromarray(grey).save(stream, name, exif=exif)
        made.append(stream.getvalue())
    return made


def stacks() -> list[bytes]:
    """TIFF files of several channels, planar and interleaved, also BigTIFF."""
    import tifffile

    made = []
    for big in (False, True):
        for order in "<>":
            for shape, planar in (((3, 4, 5), "separate"), ((4, 5, 5), "contig")):
                stream = BytesIO()
                tifffile.imwrite(
                    stream, np.zeros(shape, np.uint16), bigtiff=big, byteorder=order,
                    photometric="minisblack", planarconfig=planar, metadata=None,
                )  # fmt: skip
                made.append(stream.getvalue())
    return made


def films() -> list[bytes]:
    """DICOM files: plain, big-endian, implicit, and with a table and a window."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    made = []
    for syntax in (ExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian):
        for table in (False, True):
            film = Dataset()
            film.preamble = bytes(128)
            film.file_meta = FileMetaDataset()
            film.file_meta.TransferSyntaxUID = syntax
            film.Modality, film.PatientAge, film.ViewPosition = "CR", "062Y", "PA"
            film.Rows = film.Columns = 4
            film.BitsAllocated, film.BitsStored, film.HighBit = 16, 12, 11
            film.SamplesPerPixel, film.PixelRepresentation = 1, 0
            film.PhotometricInterpretation = "MONOCHROME1"
            film.PixelSpacing = [0.2, 0.1]
            film.WindowCenter, film.WindowWidth = "100", "50"
            if table:
                item = Dataset()
                item.add_new("LUTDescriptor", "US", [4, 0, 12])
                item.add_new("LUTData", "US", [0, 1, 2, 4095])
                film.VOILUTSequence = [item]
            film.add_new("PixelData", "OW", bytes(32))
            stream = BytesIO()
            film.save_as(stream, enforce_file_format=False, implicit_vr=syntax.is_implicit_VR,
                         little_endian=syntax.is_little_endian)  # fmt: skip
            made.append(stream.getvalue())
    return made


def browser_networks() -> list[bytes]:
    """A TensorFlow.js model.json."""
    entry = {"name": "conv1/kernel", "shape": [2, 3], "dtype": "float32"}
    layer = {"class_name": "BatchNormalization", "config": {"epsilon": 0.001}}
    tree = {
        "weightsManifest": [{"paths": ["a.bin"], "weights": [entry, {**entry, "name": "b/bias"}]}],
        "modelTopology": {"model_config": {"config": {"layers": [layer]}}},
    }
    return [json.dumps(tree).encode()]


def read_browser_network(file: Path) -> None:
    """The folder of a model.json, with 48 bytes of weights."""
    (file.parent / "a.bin").write_bytes(bytes(48))
    keras_files.read_keras(file.parent)


def results() -> list[bytes]:
    """A results.json for the table of predictions in tests/golden."""
    tree = {
        "recipe": "r", "title": "t", "classes": ["covid19", "normal"], "model": {"cell": "main"},
        "tasks": [], "scores": [{"cell": "main", "name": "auroc", "value": 0.9}],
    }  # fmt: skip
    return [json.dumps(tree).encode()]


def read_results(file: Path) -> None:
    """A run's folder as `hilum compare` reads it."""
    table = file.parent / "predictions.csv"
    if not table.exists():
        shutil.copy(GOLDEN / "demo" / "predictions.csv", table)
    compare._read(file.parent)


def manifests() -> list[bytes]:
    """A table of images that name a film next to it."""
    rows = "".join(f"{i}.png,{'ab'[i % 2]},{i // 3},PA,F,{40 + i}\n" for i in range(4))
    return [f"path,label,patient_id,view,sex,age\n{rows}".encode()]


def read_manifest(file: Path) -> None:
    """A table of images, whose films are there."""
    for number in range(4):
        if not (film := file.parent / f"{number}.png").exists():
            cv2.imwrite(str(film), np.full((9, 9), number, np.uint8))
    datasets.open_path(file)


def recipe_files() -> list[bytes]:
    """Built-in recipes, which are TOML."""
    folder = Path(recipes.__file__).parent / "builtin"
    return [(folder / f"{name}.toml").read_bytes() for name in ("demo", "robust")]


def read_model(file: Path) -> None:
    """The records of a model's folder, without its network."""
    model_folder._parts(file.parent)


TARGETS = {
    "header": Target(header, pictures),
    "planes": Target(planes, stacks),
    "dicom": Target(dicom_header, films),
    "image": Target(images.read, lambda: [*pictures(), *stacks()[:2], *films()[:2]]),
    "model": Target(in_place("model/model.json", read_model), golden("model/model.json")),
    "seen": Target(in_place("model/seen.csv", read_model), golden("model/seen.csv")),
    "tensors": Target(
        in_place("model/head.safetensors", read_model), golden("model/head.safetensors")
    ),
    "gate": Target(
        in_place("model/gate.safetensors", lambda file: ood.load_detector(file.parent)),
        golden("model/gate.safetensors"),
    ),
    "results": Target(in_place("run/results.json", read_results), results),
    "recipe": Target(
        in_place("recipe/a.toml", lambda file: recipes.load_recipe(str(file))), recipe_files
    ),
    "manifest": Target(in_place("table/a.csv", read_manifest), manifests),
    "tfjs": Target(in_place("tfjs/model.json", read_browser_network), browser_networks),
}
