"""One image to its answer: prepared, computed, abstained from; wherever the image came from.

Files for `hilum predict`, bytes for a server and arrays from Python all go through here, so that
one film has one answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from hilum import images, notebook
from hilum.data.fingerprints import perceptual_hash
from hilum.inference import cautions, conformal, new_source, ood
from hilum.inference.model import Features, TrainedModel
from hilum.inference.new_source import NewSource, State
from hilum.inference.ood import QuickCheck
from hilum.inference.seen_before import Recognised
from hilum.inference.training_record import Print
from hilum.preprocess import Pipeline
from hilum.types import NOTICE, Floats, Grey8, GreyImage, HilumError, Image, Probabilities, Stack8

if TYPE_CHECKING:
    from pydicom import Dataset

See: TypeAlias = Callable[[Stack8], Features]
NOWHERE = float("nan")  # of an image that is compared with no source


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """An image ready for the network, what it showed before, and what it is recognised by."""

    pixels: Grey8  # (height, width), as the model's pipeline makes them
    check: QuickCheck
    fingerprint: Print


class WritesResults(Protocol):
    """What made a prediction, and can write it as DICOM."""

    def objects(self, film: str | Path | bytes, prediction: "Prediction") -> "list[Dataset]":
        """Report, picture and lungs; raises as `Prediction.to_dicom`."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's answer to one image; an image that cannot be read has a reason and no label.

    >>> import hilum
    >>> answer = hilum.load_model("out").predict("film.png")
    >>> answer.label in answer.probabilities, round(sum(answer.probabilities.values()), 6)
    (True, 1.0)
    """

    label: str  # the most probable class, or ""
    probabilities: dict[str, float]  # class -> calibrated probability, rounded to 8 decimals
    abstained: bool
    reason: str = ""  # why the model abstains, or why the image could not be read
    seen: str = ""  # "same file", "near duplicate" or "same patient": no test of this model
    path: str = ""  # of a file
    verdict: str = field(default="", compare=False, repr=False)  # on the model, one line
    new_source: State | Literal[""] = ""  # whether all images asked about are of a new source
    made_by: WritesResults | None = field(default=None, compare=False, repr=False)

    def to_dicom(self, film: str | Path | bytes) -> "list[Dataset]":
        """The answer as DICOM objects for the study of `film`, the file that was predicted.

        A report (Comprehensive 3D SR), a picture (Secondary Capture) and, where they are found,
        the lungs (Segmentation), each complete and ready to be stored or sent. Raises HilumError
        where `film` is no DICOM file or another one.
        """
        if self.made_by is None:
            raise HilumError(
                "results as DICOM name the model; got a prediction that knows none; take one from "
                "Model.predict."
            )
        return self.made_by.objects(film, self)

    def _repr_html_(self) -> str:
        return notebook.prediction(asdict(replace(self, made_by=None)), NOTICE)


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model makes of images, and what says of them together where they come from."""

    probabilities: Probabilities  # (image, class)
    reasons: list[str]  # why each image is abstained from, or ""
    points: Floats  # (image, component) see `new_source`; nan where it is not compared


def prepare_file(source: str | Path | bytes, pipeline: Pipeline) -> PreparedImage:
    """A PNG, JPEG, TIFF or DICOM file, or its bytes, made ready; HilumError as `images.read`."""
    return from_image(images.read(source, pipeline.decode_side, hashed=True), source, pipeline)


def from_image(image: Image, source: str | Path | bytes, pipeline: Pipeline) -> PreparedImage:
    """The same where the file is decoded already, at the pipeline's size and with its hash."""
    named = source if isinstance(source, bytes) else Path(source)
    return _prepare(image, pipeline, images.colourfulness(named, image.facts))


def refusal(error: HilumError, path: str | Path | None = None) -> str:
    """Why a film has no answer, without the path that stands next to the sentence.

    None: a film that came as bytes.
    """
    return str(error).removeprefix(f"{images.IN_MEMORY if path is None else path}: ")


def prepare_array(pixels: GreyImage, pipeline: Pipeline) -> PreparedImage:
    """Grey (height, width), uint8 or floats in [0, 1], made ready; HilumError for anything else."""
    if pixels.ndim == 2 and pixels.size and pixels.dtype == np.uint8:
        return _prepare(Image(pixels), pipeline, 0.0)
    if pixels.ndim != 2 or not pixels.size or pixels.dtype.kind != "f":
        raise HilumError(
            "an image in memory must be grey (height, width), uint8 or floats from 0 to 1; got "
            f"{pixels.dtype} of shape {pixels.shape}; convert it."
        )
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):  # NaN is neither
        raise HilumError(
            f"floats of an image must lie from 0 (black) to 1 (white); got {low:g} to {high:g}; "
            "divide by the value that is white."
        )
    return _prepare(Image(pixels.astype(np.float32)), pipeline, 0.0)


def _prepare(image: Image, pipeline: Pipeline, colour: float) -> PreparedImage:
    patient = image.facts.get("patient_id")
    fingerprint = Print(
        image.sha256, perceptual_hash(image.pixels), f"dicom:{patient}" if patient else None
    )
    return PreparedImage(pipeline(image.pixels), ood.quick_check(image.pixels, colour), fingerprint)


def answer(
    model: TrainedModel, films: Sequence[PreparedImage], features: See | None = None
) -> tuple[Probabilities, list[str]]:
    """Probabilities (image, class), and why each image is abstained from, or "".

    `features` takes the place of the model's own where maps are expected from the same pass.
    """
    answers = answer_each(model, films, features)
    return answers.probabilities, answers.reasons


def answer_each(
    model: TrainedModel, films: Sequence[PreparedImage], features: See | None = None
) -> Answers:
    """The same with what all images of a batch are compared with training's sources by."""
    stack = np.stack([film.pixels for film in films])
    return answer_features(model, films, (features or model.features)(stack))


def answer_features(
    model: TrainedModel, films: Sequence[PreparedImage], features: Features
) -> Answers:
    """The same of films whose features (image, feature), and their mirrors', are known."""
    plain, mirror = features
    p = model.calibrated(model.from_features(plain, mirror))
    refused = ood.rejection_reasons(model.gate, plain, [film.check for film in films])
    undecided = [""] * len(films)
    if model.facts.conformal:
        kept = conformal.prediction_sets(p, model.facts.classes, model.facts.conformal)
        undecided = [conformal.abstention_reason(row, model.facts.classes) for row in kept]
    reasons = [first or second for first, second in zip(refused, undecided, strict=True)]
    faulty = [film.check.fault != "" for film in films]
    return Answers(p, reasons, source_points(model, plain, np.array(faulty)))


def source_points(model: TrainedModel, features: Floats, faulty: npt.NDArray[np.bool_]) -> Floats:
    """(image, feature) -> (image, component) as `new_source.judge` takes them.

    Images that are `faulty` (image,) or turned say nothing about where they come from.
    """
    if isinstance(model.sources, str):
        return np.zeros((len(features), 0), np.float32)
    if model.gate is not None:
        faulty = faulty | (model.gate.poses(features)[:, 1:].max(1) > model.gate.turned)
    return np.where(faulty[:, None], np.float32(NOWHERE), model.sources.project(features))


def predict(
    model: TrainedModel, films: Sequence[PreparedImage], features: See | None = None
) -> list[Prediction]:
    """The whole answer to each film, with what the model has seen of it; `features` as above."""
    return predict_each(model, films, features)[0]


def predict_each(
    model: TrainedModel, films: Sequence[PreparedImage], features: See | None = None
) -> tuple[list[Prediction], Floats]:
    """The same, and the points (image, component) that `with_source` judges them together by."""
    answers = answer_each(model, films, features)
    p, reasons = answers.probabilities, answers.reasons
    kinds = cautions.recognise(model, [film.fingerprint for film in films]).kinds
    classes = model.facts.classes
    predictions = [
        Prediction(
            classes[int(row.argmax())],
            dict(zip(classes, map(float, row), strict=True)),
            reason != "",
            reason,
            seen,
        )
        for row, reason, seen in zip(p, reasons, kinds, strict=True)
    ]
    return predictions, answers.points


def judge_source(
    model: TrainedModel,
    patients: Sequence[str | None],
    points: Sequence[Floats],
    known: Recognised,
) -> NewSource:
    """Whether images together are of a new source; those that the model was built on say nothing.

    `patients` (image,) are those of their prints; `points` those of `answer_each`, in pieces.
    """
    table = points[0] if len(points) == 1 else _together(points)
    new = np.flatnonzero(~known.met)
    asked = [patients[i] for i in new.tolist()]
    return new_source.judge(model.sources, new_source.rows_at(table, new), asked)


def _together(points: Sequence[Floats]) -> Floats:
    return np.concatenate(points) if points else np.zeros((0, 0), np.float32)


def with_source(prediction: Prediction, judged: NewSource, accept: bool) -> Prediction:
    """A prediction with what its batch says of its source; abstained from unless accepted."""
    if not prediction.label:
        return prediction
    reason = prediction.reason or ("" if accept else judged.reason)
    return replace(prediction, new_source=judged.state, reason=reason, abstained=reason != "")
