"""The gate of a model: images unlike its training images are refused, not classified.

What the network sees is compared with what it saw in training: the distance of its features to
their neighbours there (Sun et al. 2022, arXiv:2204.06507), and a small head that separates upright
images from their negatives and from turned ones (Hendrycks et al. 2019, arXiv:1812.04606). On 200
films this refused more turned and inverted ones, at the same share of accepted films, than the
Mahalanobis distance does.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from hilum import files
from hilum.images.gray import negative
from hilum.inference.temperature import softmax
from hilum.preprocess.lungs import segmenter
from hilum.preprocess.step import as_uint8
from hilum.types import Floats, Grey8, GreyImage, HilumError, told_apart

Array: TypeAlias = npt.NDArray[np.float64]
NEIGHBOURS = 5
BANK = 1_000_000  # numbers of training features that are kept, in half precision
LEAST_SPREAD_INSIDE = 1e-3  # of a group, in standard deviations of the training images
LEAST_VARIANCE = 1e-9  # added to a variance of 1
WIDE, PLANE = 2048, 256  # features beyond which poses are separated in so many components
LEAST_SIDE, LEAST_SPREAD, MOST_COLOUR = 32, 2.0, 6.0  # pixels, grey levels, levels of chroma
CHECK_SIDE = 512  # pixels of the longer side that the lung finder is given
ORDINARY, FAR = 0.75, 0.98  # quantiles of validation distances
LEAST_FAR = 2e-3  # half precision resolves no smaller distances
FILE = "gate.safetensors"


def _rotate(pixels: GreyImage, quarters: int) -> GreyImage:
    return np.rot90(pixels, quarters)


# what the head was taught to recognise: how to make it of an upright image, and what it looks like
POSES: dict[str, tuple[Callable[[GreyImage], GreyImage], str]] = {
    "inverted": (negative, "it looks like a negative (black and white exchanged)"),
    "left": (partial(_rotate, quarters=1), "it looks turned by 90 degrees"),
    "upside down": (partial(_rotate, quarters=2), "it looks upside down"),
    "right": (partial(_rotate, quarters=3), "it looks turned by 90 degrees"),
}


def posed(pixels: GreyImage, pose: str) -> GreyImage:
    """(height, width) -> the same inverted or turned, as the row of POSES says."""
    return POSES[pose][0](pixels).copy()


@dataclass(frozen=True, slots=True)
class QuickCheck:
    """What an image shows before any network: a smaller copy, and what is wrong with it, if so."""

    small: Grey8
    fault: str = ""


def quick_check(pixels: GreyImage, colour: float = 0.0) -> QuickCheck:
    """Look at decoded pixels (height, width) of a file with this colourfulness (levels)."""
    side, longer = min(pixels.shape), max(pixels.shape)
    small = as_uint8(pixels)
    if longer > CHECK_SIDE:
        size = tuple(max(1, round(n * CHECK_SIDE / longer)) for n in pixels.shape[::-1])
        small = cv2.resize(small, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    if side < LEAST_SIDE:
        return QuickCheck(small, f"its shorter side has {side} pixels, fewer than {LEAST_SIDE}")
    if (spread := float(small.std())) < LEAST_SPREAD:
        measured, least = told_apart(spread, LEAST_SPREAD, 1)
        grey = f"it is almost uniformly grey (spread {measured} of 255 levels, at least {least})"
        return QuickCheck(small, grey)
    if colour > MOST_COLOUR:
        return QuickCheck(small, "it is a colour picture, not a radiograph or CT slice")
    return QuickCheck(small)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate(ABC):
    """The limits of what is refused; where distances and poses come from is left open."""

    ordinary: float  # distance that a quarter of validation images exceed
    far: float  # distance above which an image is refused
    turned: float  # probability of a pose above which an image is refused
    lungs: bool = False  # whether unusual images must show two lungs

    @abstractmethod
    def distances(self, features: Floats) -> Array:
        """(image, feature) -> 1 - cosine to the 5th nearest training image (image,)."""

    @abstractmethod
    def poses(self, features: Floats) -> Array:
        """(image, feature) -> probabilities (image, pose): upright first, then POSES."""

    def scores(self, features: Floats) -> Array:
        """(image, feature) -> how strange each is (image,); above 1 it is refused."""
        turned = self.poses(features)[:, 1:].max(1) / self.turned
        return np.maximum(self.distances(features) / self.far, turned)

    def faults(self, features: Floats) -> list[str]:
        """(image, feature) -> why each image is refused, in words, or ""."""
        pose_faults = [words for _, words in POSES.values()]
        p, distances = self.poses(features)[:, 1:], self.distances(features)
        return [self._fault(d, row, pose_faults) for d, row in zip(distances, p, strict=True)]

    def _fault(self, distance: float, p: Array, pose_faults: list[str]) -> str:
        if distance > self.far:
            measured, most = told_apart(distance, self.far)
            return (
                "it is unlike the images that the model was trained on (distance "
                f"{measured}, at most {most})"
            )
        return pose_faults[int(p.argmax())] if p.max() > self.turned else ""

    def lung_fault(self, distance: float, small: Grey8) -> str:
        """Why an unusual image (height, width) is no chest film, or "", where lungs are asked."""
        if not self.lungs or distance <= self.ordinary:
            return ""
        lungs = segmenter.load_segmenter()(small)
        return "" if lungs.good else f"it shows no pair of lungs ({lungs.status})"


@dataclass(frozen=True, slots=True)
class OodDetector(Gate):
    """Features of training images, the head of poses, and what both say of validation images."""

    bank: Floats  # (image, feature), of length 1
    mean: Floats  # (feature,)
    deviation: Floats  # (feature,)
    weights: Floats  # (pose, feature), the upright one first
    bias: Floats  # (pose,)

    def distances(self, features: Floats) -> Array:
        """(image, feature) -> 1 - cosine to the 5th nearest training image (image,).

        Sun et al. 2022, arXiv:2204.06507.
        """
        near = min(NEIGHBOURS, len(self.bank))
        alike = np.partition(_to_unit_length(features) @ self.bank.T, -near, axis=1)[:, -near]
        return np.asarray(1 - alike, np.float64)

    def poses(self, features: Floats) -> Array:
        """(image, feature) -> probabilities (image, pose): upright first, then POSES."""
        scaled = (features - self.mean) / self.deviation
        return np.asarray(softmax(scaled.astype(np.float64) @ self.weights.T + self.bias))


def rejection_reasons(
    gate: Gate | None, features: Floats, checks: Sequence[QuickCheck]
) -> list[str]:
    """Why each image of `features` (image, feature) is refused, or ""; no gate: the checks decide.

    The lungs are looked for last, and only where nothing else speaks against an unusual image.
    """
    if gate is None:
        return [check.fault for check in checks]
    rows = zip(checks, gate.faults(features), gate.distances(features), strict=True)
    return [
        check.fault or fault or gate.lung_fault(distance, check.small)
        for check, fault, distance in rows
    ]


def fit_detector(train: Floats, turned: Mapping[str, Floats], validation: Floats) -> OodDetector:
    """The gate of features (image, feature): training images, some of them in each pose of POSES,
    and validation images, which set the limits.

    An image is far beyond the 98th percentile of validation distances by more than that lies above
    their median: a margin for other hospitals' films. Raises HilumError without images.
    """
    if len(train) < 2 or not len(validation) or set(turned) != set(POSES):
        raise HilumError(
            "the out-of-distribution check needs two training images, a validation "
            f"image and every pose; got {len(train)}, {len(validation)} and "
            f"{', '.join(turned) or 'none'}; add images."
        )
    kept = evenly_spaced(len(train), max(64, BANK // train.shape[1]))
    mean, deviation = train[kept].mean(0), train[kept].std(0) + 1e-6  # some are constant
    standardised = [
        (group - mean) / deviation for group in (train[kept], *(turned[n] for n in POSES))
    ]
    weights, bias = _discriminants(standardised)
    gate = OodDetector(
        _to_unit_length(train[kept]).astype(np.float16).astype(np.float32),
        mean.astype(np.float32),
        deviation.astype(np.float32),
        weights,
        bias,
        ordinary=0.0,
        far=1.0,
        turned=0.5,
    )
    return _with_limits(gate, validation)


def _discriminants(groups: Sequence[Floats]) -> tuple[Floats, Floats]:
    """(group, feature) weights and (group,) bias of shrunk linear discriminants, groups alike.

    Shrinkage, group by group: Ledoit & Wolf 2004, doi:10.1016/S0047-259X(03)00096-4. Beyond WIDE
    features in the plane of their first components, where the covariance can still be solved for.
    """
    from scipy.linalg import solve

    tables = [np.asarray(group, np.float64) for group in groups]
    basis = None
    if tables[0].shape[1] > WIDE:
        basis = np.linalg.svd(np.concatenate(tables), full_matrices=False)[2][:PLANE]
        tables = [table @ basis.T for table in tables]
    means = np.stack([table.mean(0) for table in tables])
    inside = np.mean([_covariance(table) for table in tables], axis=0)
    # as correlations: what is all but constant in training may vary in a pose, and the other way
    size = np.maximum(np.sqrt(np.diag(inside)), LEAST_SPREAD_INSIDE)
    alike = inside / size[:, None] / size[None, :] + LEAST_VARIANCE * np.eye(len(size))
    # a shrunk covariance is positive: Cholesky, where scikit-learn solves least squares
    weights = solve(alike, (means / size).T, assume_a="pos").T / size
    bias = -0.5 * (means * weights).sum(1) - np.log(len(groups))
    full_weights = weights if basis is None else weights @ basis
    return full_weights.astype(np.float32), bias.astype(np.float32)


def _covariance(table: Array) -> Array:
    """(image, feature) -> (feature, feature), shrunk at unit variance."""
    from sklearn.covariance import ledoit_wolf

    scale = table.std(0)
    scale[scale == 0] = 1
    covariance, _ = ledoit_wolf((table - table.mean(0)) / scale, assume_centered=True)
    return np.asarray(scale[:, None] * covariance * scale[None, :])


def _with_limits(gate: OodDetector, validation: Floats) -> OodDetector:
    distances, p = gate.distances(validation), gate.poses(validation)[:, 1:].max(1)
    middle, ordinary, high = (float(q) for q in np.quantile(distances, (0.5, ORDINARY, FAR)))
    turned = max(0.5, float(np.quantile(p, FAR)))
    return replace(gate, ordinary=ordinary, far=max(2 * high - middle, LEAST_FAR), turned=turned)


def with_films(gate: OodDetector, features: Floats, patients: npt.NDArray[np.int64]) -> OodDetector:
    """The gate that also knows films (image, feature) of `patients` (image,).

    Each film's distance is to all known films but its patient's. Limits rise where these films
    ask for it, and never fall.
    """
    ours = _to_unit_length(features).astype(np.float16).astype(np.float32)
    distances = np.empty(len(features))
    for number in np.unique(patients):
        own = patients == number
        others = replace(gate, bank=np.concatenate([gate.bank, ours[~own]]))
        distances[own] = others.distances(features[own])
    middle, ordinary, high = (float(q) for q in np.quantile(distances, (0.5, ORDINARY, FAR)))
    turned = float(np.quantile(gate.poses(features)[:, 1:].max(1), FAR))
    return replace(
        gate,
        bank=np.concatenate([gate.bank, ours]),
        ordinary=max(gate.ordinary, ordinary),
        far=max(gate.far, 2 * high - middle),
        turned=max(gate.turned, turned),
    )


def evenly_spaced(count: int, most: int) -> npt.NDArray[np.int64]:
    """At most `most` of `count` positions, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def save_detector(gate: OodDetector, folder: Path) -> None:
    """Write `gate.safetensors` to a model folder."""
    with files.atomic_write(folder / FILE) as path:
        save_file({key: np.ascontiguousarray(value) for key, value in arrays(gate).items()}, path)


def arrays(gate: OodDetector) -> dict[str, npt.NDArray[np.floating]]:
    """Every array of a gate by name, as its file holds them."""
    statistics = {name: getattr(gate, name) for name in ("mean", "deviation", "weights", "bias")}
    limits = np.array([gate.ordinary, gate.far, gate.turned, gate.lungs], np.float64)
    return {**statistics, "bank": gate.bank.astype(np.float16), "limits": limits}


def load_detector(folder: Path) -> OodDetector | None:
    """The gate of a model folder; None where it was made without one."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        read = load_file(path)
        ordinary, far, turned, asks = (float(value) for value in read.pop("limits"))
        read["bank"] = read["bank"].astype(np.float32)
        return OodDetector(**read, ordinary=ordinary, far=far, turned=turned, lungs=bool(asks))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise HilumError(f"{path} must be readable; got {error}; restore the folder.") from None


def _to_unit_length(features: Floats) -> Floats:
    length = np.linalg.norm(features, axis=1, keepdims=True)  # 0 where a ReLU passes nothing
    return np.asarray(features / np.maximum(length, 1e-12), np.float32)
