"""Reads what Keras wrote: .h5 files, and TensorFlow.js folders or archives, as plain arrays."""

import json
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from hilum.models import h5_process
from hilum.models.h5_worker import DAMAGE
from hilum.types import HilumError, MissingError

Array: TypeAlias = npt.NDArray[np.float32]
Layers: TypeAlias = dict[str, dict[str, Array]]  # layer -> kernel, bias, gamma, ... -> values

MAX_BYTES = 4 << 30  # of one weight file; ResNet152 has 240 MB
RATIO, FREE = 100, 16 << 20  # unpacked bytes of one, and those that are always allowed


@dataclass(frozen=True, slots=True)
class KerasFile:
    """A Keras network's arrays by layer and kind, and its BatchNorm epsilon where it says so."""

    path: Path
    layers: Layers
    epsilon: float | None = None


def read_keras(path: Path) -> KerasFile:
    """Read .h5, a TensorFlow.js folder, or its .tgz. Raises HilumError for anything else."""
    if path.is_dir():
        return _read_folder(path)
    if path.name.lower().endswith((".tgz", ".tar.gz")):
        return _read_archive(path)
    return _read_h5(path)


def _read_h5(path: Path) -> KerasFile:
    try:
        import_module("h5py")
    except ImportError as error:
        raise MissingError(
            f"Keras weights in .h5 need the package h5py; got {path.name!r} without it; "
            "run: pip install 'hilum[keras]'."
        ) from error
    try:
        weights, description = h5_process.read(path, _most(path))
        epsilon = _epsilon(description) if description else None
    except DAMAGE as error:
        raise HilumError(
            f"{path} must be weights or a model that Keras 2 or 3 saved as .h5; got: "
            f"{_in_a_line(error)}; "
            "save it again with model.save_weights('name.h5')."
        ) from error
    return KerasFile(path, _by_layer(weights), epsilon)


def _in_a_line(error: Exception) -> str:
    """A library's words; tarfile has a line for each compression that it tried."""
    return " ".join(str(error).split())[:160]


def _most(path: Path) -> int:
    """Bytes that the weights of a file may have once they are unpacked."""
    return min(MAX_BYTES, max(FREE, RATIO * path.stat().st_size))


def _read_folder(path: Path) -> KerasFile:
    def fetch(name: str) -> bytes:
        file = path / name
        if not file.is_file():
            raise HilumError(
                f"a TensorFlow.js folder must hold {name!r}; got {str(path)!r} without it; "
                "fetch the folder again."
            )
        return file.read_bytes()

    return _read_tfjs(path, fetch)


def _read_archive(path: Path) -> KerasFile:
    try:
        with tarfile.open(path) as archive:
            members = _members(path, archive)
            root = _only_model(path, members)

            def fetch(name: str) -> bytes:
                content = archive.extractfile(members[str(root / name)])
                return content.read() if content else b""

            return _read_tfjs(path, fetch)
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, *DAMAGE) as error:
        raise HilumError(
            f"{path} must be an archive with a TensorFlow.js model; got: {_in_a_line(error)}; "
            "fetch it again."
        ) from error


def _members(path: Path, archive: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    """The files by name; HilumError at the first that is beyond what weights unpack to."""
    most = _most(path)
    members: dict[str, tarfile.TarInfo] = {}
    for member in archive:
        most -= member.size
        if most < 0:
            raise HilumError(
                f"{path} must unpack to {MAX_BYTES} bytes at most, and to {RATIO} times what it "
                f"weighs; got more at {member.name!r}; check it."
            )
        if member.isfile():
            members[member.name] = member
    return members


def _only_model(path: Path, members: dict[str, tarfile.TarInfo]) -> PurePosixPath:
    """The folder inside the archive that holds model.json."""
    descriptions = [name for name in members if PurePosixPath(name).name == "model.json"]
    if len(descriptions) != 1:
        raise HilumError(
            f"{path} must hold one model.json; got {len(descriptions)} of them; "
            "unpack it and pass the folder of the model that you mean."
        )
    return PurePosixPath(descriptions[0]).parent


def _read_tfjs(path: Path, fetch: Callable[[str], bytes]) -> KerasFile:
    """TensorFlow.js "layers-model": model.json names the shards and what lies in them in order.

    https://www.tensorflow.org/js/guide/save_load
    """
    try:
        model = json.loads(fetch("model.json"))
        weights = [
            pair
            for group in model["weightsManifest"]
            for pair in _unpack(
                group["weights"], b"".join(map(fetch, _checked_names(group["paths"])))
            )
        ]
        topology = model.get("modelTopology", {}).get("model_config")
        epsilon = _epsilon(topology) if topology else None
        layers = _by_layer(weights)
    except DAMAGE as error:
        raise HilumError(
            f"{path} must be a TensorFlow.js layers model with float32 weights; got: {error!r}; "
            "convert it again with tensorflowjs_converter."
        ) from error
    return KerasFile(path, layers, epsilon)


def _checked_names(names: list[str]) -> list[str]:
    """Shard names, refused where they lead out of the folder."""
    for name in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ValueError(f"shard {name!r} outside its folder")
    return names


def _unpack(entries: list[dict[str, Any]], raw: bytes) -> Iterator[tuple[str, Array]]:
    at = 0
    for entry in entries:
        if entry["dtype"] != "float32" or "quantization" in entry:
            raise ValueError(f"{entry['name']} is not stored as float32")
        count = prod(entry["shape"])
        if min(entry["shape"], default=0) < 0:
            raise ValueError(f"{entry['name']} has the shape {entry['shape']}")
        yield entry["name"], np.frombuffer(raw, "<f4", count, at).reshape(entry["shape"])
        at += 4 * count
    if at != len(raw):
        raise ValueError(f"{len(raw)} bytes of weights where {at} are declared")


def _by_layer(weights: list[tuple[str, Array]]) -> Layers:
    """("conv1/conv/kernel:0", values) -> layers["conv1_conv"]["kernel"]; Keras 3 writes no ":0"."""
    layers: Layers = {}
    for name, values in weights:
        layer, _, kind = name.partition(":")[0].rpartition("/")
        layers.setdefault(layer.replace("/", "_"), {})[kind] = values
    return layers


def _epsilon(topology: Any) -> float | None:
    """The first BatchNorm's epsilon; Keras's networks use one throughout."""
    for layer in topology.get("config", {}).get("layers", []):
        settings = layer.get("config", {})
        if layer.get("class_name", "").startswith("BatchNormalization"):
            return float(settings["epsilon"])
        if "layers" in settings and (nested := _epsilon(layer)) is not None:
            return nested
    return None
