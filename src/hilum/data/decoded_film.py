"""One file decoded, prepared and fingerprinted: what a row of the pixel store is made of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from hilum import files, images
from hilum.data.fingerprints import fingerprint
from hilum.data.pixel_store import NUMBERS, RECORD
from hilum.data.source_images import Keep
from hilum.types import Grey8, GreyImage, HilumError, Image, Prepares

Fresh: TypeAlias = tuple[Grey8, npt.NDArray[np.void]]  # prepared image, its record
Hashed: TypeAlias = tuple[str, str]  # SHA-256, or "" and why the file cannot be read

_DARK, _BRIGHT = 8, 247  # grey levels that count as black and as white


class DecodedElsewhere(Protocol):
    """Files that other processes have hashed and decoded, in the order of a manifest's rows."""

    def hashes(self) -> Sequence[Hashed]:
        """Of every row."""

    def films(self, rows: Sequence[int]) -> Iterator[Fresh | str]:
        """What rows, in ascending order, were decoded to, or why they could not be."""


@dataclass(frozen=True, slots=True)
class DecodesFile:
    """What a thread does with one file: the prepared image and its record, or why not."""

    prepares: Prepares
    keep: Keep

    def __call__(self, path: str, sha256: str) -> Fresh | str:
        """Decode the file of this hash."""
        try:
            image = images.read(path, self.prepares.decode_side, hashed=True)
            prepared = self.prepares(image.pixels)
        except HilumError as error:
            return str(error).removeprefix(f"{path}: ")
        _require_promise(prepared, self.prepares.shape)
        if image.sha256 != sha256:
            return (
                "expected a file that does not change, got one that changed since it was "
                "hashed; try again."
            )
        self.keep(image, self.prepares.decode_side)
        return prepared, _record(sha256, image)


def _require_promise(prepared: Grey8, shape: tuple[int, int]) -> None:
    if prepared.shape != shape or prepared.dtype != np.uint8:
        raise HilumError(
            f"a preparation must give uint8 images of its shape {shape}; got "
            f"{prepared.dtype} of shape {prepared.shape}; correct its last step."
        )


def _record(sha256: str, image: Image) -> npt.NDArray[np.void]:
    prints = fingerprint(image.pixels)
    record = np.zeros((), RECORD)
    record["bytes_sha256"] = np.frombuffer(bytes.fromhex(sha256), np.uint8)
    record["pixels_sha256"] = prints.pixels_sha256
    record["perceptual"] = prints.perceptual
    record["thumbnail"] = prints.thumbnail
    record["format"] = str(image.facts.get("format", "")).encode("ascii", "replace")
    record["numbers"] = _numbers(image)
    record["white_guessed"] = images.white_is_guessed(image.facts)
    return record


def _numbers(image: Image) -> list[float]:
    """What NUMBERS names: the file's own figures, then grey levels (0-255) of what was decoded."""
    own = [float(image.facts.get(name) or np.nan) for name in NUMBERS[:4]]
    return [*own, *(_of_bytes if image.pixels.dtype == np.uint8 else _of_any)(image.pixels)]


def _of_bytes(pixels: GreyImage) -> list[float]:
    """Mean, standard deviation, shares of black and of white; by counting, as bytes are few."""
    counts = cv2.calcHist([pixels], [0], None, [256], [0, 256]).ravel().astype(np.float64)
    every, levels = counts.sum(), np.arange(256)
    mean = float(counts @ levels / every)
    std = float(np.sqrt(counts @ (levels - mean) ** 2 / every))
    black, white = counts[: _DARK + 1].sum(), counts[_BRIGHT:].sum()
    return [mean, std, float(black / every), float(white / every)]


def _of_any(pixels: GreyImage) -> list[float]:
    """The same of any grey levels; floating ones lie between 0 and 1."""
    scale = 255.0 if pixels.dtype.kind == "f" else 1.0
    dark, bright = pixels <= _DARK / scale, pixels >= _BRIGHT / scale
    mean = float(pixels.mean(dtype=np.float64)) * scale
    std = float(pixels.std(dtype=np.float64)) * scale
    return [mean, std, float(dark.mean()), float(bright.mean())]


def hash_file(path: str) -> Hashed:
    """SHA-256 of a file, or why it cannot be read."""
    try:
        return files.sha256(path), ""
    except OSError as error:
        return "", f"expected a file that can be read, got: {error.strerror or error}; check it."
