"""One film's answer as DICOM objects: a report, a picture and the lungs."""

from pathlib import Path
from typing import Protocol

from pydicom import Dataset

from hilum.inference.answer import Prediction
from hilum.inference.model import TrainedModel


class ModelInUse(Protocol):
    """A model and its folder, as `hilum.Model` has them."""

    folder: Path
    trained: TrainedModel


def result_objects(model: ModelInUse, dataset: Dataset, prediction: Prediction) -> list[Dataset]:
    """Report, picture and lungs of a film, complete with file meta information.

    `dataset` is the film as `pydicom.dcmread` gives it. Raises HilumError, in one sentence, where
    it lacks what its results must refer to.
    """
    raise NotImplementedError
