"""One film's answer as DICOM objects: a report, a picture and the lungs."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from pydicom import Dataset

from hilum import __version__
from hilum.dicom import picture, secondary_capture, segmentation, source, sr
from hilum.dicom.identity import SHOWN, Identity
from hilum.dicom.picture import Panels
from hilum.dicom.source import Source
from hilum.explain import passes, render
from hilum.inference import cautions
from hilum.inference.answer import Prediction
from hilum.inference.digest import model_digest
from hilum.inference.model import TrainedModel
from hilum.types import HilumError

if TYPE_CHECKING:
    from hilum.explain.passes import Pass

METHOD = "gradcam"


class ModelInUse(Protocol):
    """A model and its folder, as `hilum.Model` has them."""

    folder: Path
    trained: TrainedModel


@dataclass(frozen=True, slots=True)
class ResultMaker:
    """A model ready to write results; its digest is computed and its heat compiled once."""

    trained: TrainedModel
    identity: Identity
    explains: "Pass | str"  # or why there is no heat

    @classmethod
    def of(cls, folder: Path, trained: TrainedModel) -> "ResultMaker":
        """Raises HilumError where the folder's tensors cannot be read."""
        identity = Identity(model_digest(folder), cautions.verdict_line(trained.facts.judged))
        try:
            return cls(trained, identity, passes.pass_of(trained, METHOD))
        except HilumError as error:
            return cls(trained, identity, str(error))

    def objects(self, dataset: Dataset, prediction: Prediction) -> list[Dataset]:
        """Report, picture and, where lungs are found, their segmentation; raises as below."""
        with warnings.catch_warnings():
            # highdicom quotes the patient's name where it lacks a "^": names stay out of logs
            warnings.simplefilter("ignore", UserWarning)
            return self._objects(dataset, prediction)

    def _objects(self, dataset: Dataset, prediction: Prediction) -> list[Dataset]:
        side = self.trained.pipeline.decode_side
        film = source.read_source(dataset, side and max(side, picture.SIDE))
        mask, without = segmentation.find_lungs(film)
        made = [
            sr.report(film, prediction, self.identity, without),
            secondary_capture.secondary_capture(
                film, self._picture(film, prediction), self.identity
            ),
        ]
        if mask is not None:
            made.append(segmentation.segmentation(film, mask, self.identity))
        return made

    def _picture(self, film: Source, prediction: Prediction) -> render.Colour8:
        identity = self.identity
        maker = f"hilum {__version__}, model {identity.digest[:SHOWN]}"
        return picture.draw(self._panels(film, prediction), prediction, identity.verdict, maker)

    def _panels(self, film: Source, prediction: Prediction) -> Panels:
        if film.image is None or not prediction.label:
            pixels = None if film.image is None else film.image.pixels
            return Panels(pixels, None, None, "the image was not assessed")
        prepared = self.trained.pipeline(film.image.pixels)
        if isinstance(self.explains, str):
            return Panels(film.image.pixels, prepared, None, self.explains)
        one_pass = self.explains.fresh()
        one_pass.features(prepared[None])
        heat = one_pass.heat(prepared, self.trained.facts.classes.index(prediction.label))
        return Panels(film.image.pixels, prepared, render.relative(heat))


_MAKERS: "WeakKeyDictionary[ModelInUse, ResultMaker]" = WeakKeyDictionary()


def maker_of(model: ModelInUse) -> ResultMaker:
    """The maker of a model's results, made with the first of them."""
    if model not in _MAKERS:
        _MAKERS[model] = ResultMaker.of(model.folder, model.trained)
    return _MAKERS[model]


def result_objects(model: ModelInUse, dataset: Dataset, prediction: Prediction) -> list[Dataset]:
    """Report, picture and lungs of a film, complete with file meta information.

    `dataset` is the film as `pydicom.dcmread` gives it. Lungs are left out where none can be
    trusted, and the report says why. Raises HilumError, in one sentence, where the film lacks what
    its results must refer to.
    """
    return maker_of(model).objects(dataset, prediction)
