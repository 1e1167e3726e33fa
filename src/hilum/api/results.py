"""What lets a prediction be written as DICOM: its model, and which film it is of."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum import files
from hilum.inference import exported
from hilum.inference.answer import Prediction
from hilum.inference.model import TrainedModel
from hilum.types import HilumError, MissingError

if TYPE_CHECKING:
    from pydicom import Dataset

    from hilum.dicom.results import ModelInUse


class Stored:
    """A model's folder, read again: what a prediction from another process has of its model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trained: TrainedModel = exported.load(folder)


class MadeBy:
    """The model of a prediction, and the digest of the film's file; pickled without the model."""

    def __init__(self, folder: Path, digest: str, model: "ModelInUse | None" = None) -> None:
        self.folder, self.digest, self.model = folder, digest, model

    def __reduce__(self) -> tuple[Callable[..., "MadeBy"], tuple[Any, ...]]:
        return MadeBy, (self.folder, self.digest)

    def objects(self, film: str | Path | bytes, prediction: Prediction) -> "list[Dataset]":
        """As `Prediction.to_dicom`; raises as it does."""
        from hilum.dicom import folder, results

        content = _content(film)
        if not self.digest or digest_of(content) != self.digest:
            raise HilumError(
                "results are written for the film that was predicted; got another file; predict "
                "this one."
            )
        dataset = folder.read_film(content)
        if self.model is None:
            self.model = Stored(self.folder)
        return results.result_objects(self.model, dataset, prediction)


def digest_of(film: str | Path | bytes) -> str:
    """SHA-256 of a file or its bytes; "" where there is no such file."""
    if isinstance(film, bytes):
        return hashlib.sha256(film).hexdigest()
    path = Path(film).expanduser()
    return files.sha256(path) if path.is_file() else ""


def _content(film: str | Path | bytes) -> Path | bytes:
    if isinstance(film, bytes):
        return film
    path = Path(film).expanduser()
    if not path.is_file():
        raise MissingError(
            f"to_dicom takes the film that was predicted; got {str(film)!r}, which is no file; "
            "check the path."
        )
    return path
