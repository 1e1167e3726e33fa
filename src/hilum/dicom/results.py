"""One film's answer as DICOM objects: a report, a picture and the lungs."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from pydicom import Dataset

from hilum import __version__
from hilum.dicom import picture, secondary_capture, segmentation, source, sr
from hilum.dicom.identity import SHOWN, Identity
from hilum.dicom.parts import parts_of, picture_side
from hilum.dicom.picture import Panels
from hilum.dicom.source import Source
from hilum.dicom.unquoted import unquoted
from hilum.explain import passes, render
from hilum.inference import cautions
from hilum.inference.answer import Prediction
from hilum.inference.digest import model_digest
from hilum.inference.model import TrainedModel
from hilum.types import Floats, Grey8, HilumError

if TYPE_CHECKING:
    from hilum.explain.passes import Pass

METHOD = "gradcam"


class ModelInUse(Protocol):
    """A model and its folder, as `hilum.Model` has them."""

    folder: Path
    trained: TrainedModel


@dataclass(frozen=True, slots=True)
class Seen:
    """What the network sees of a film, and its heat in [0, 1], or why there is none."""

    prepared: Grey8 | None  # (height, width)
    share: Floats | None
    without_heat: str = ""


@dataclass(frozen=True, slots=True)
class ResultMaker:
    """A model ready to write results; its digest is computed and its heat compiled once."""

    trained: TrainedModel
    identity: Identity
    explains: "Pass | str"  # or why there is no heat

    @classmethod
    def of(cls, folder: Path, trained: TrainedModel, heat: bool = True) -> "ResultMaker":
        """Raises HilumError where the folder's tensors cannot be read; `heat` is for `objects`."""
        identity = Identity(model_digest(folder), cautions.verdict_line(trained.facts.judged))
        try:
            return cls(trained, identity, passes.pass_of(trained, METHOD) if heat else "")
        except HilumError as error:
            return cls(trained, identity, str(error))

    @unquoted()
    def objects(self, dataset: Dataset, prediction: Prediction) -> list[Dataset]:
        """Report, picture and, where lungs are found, their segmentation; raises as below."""
        image = source.decoded(dataset, picture_side(self.trained.pipeline.decode_side))
        film = source.read_source(dataset, image, parts_of)
        seen = None
        if image is not None and prediction.label:
            seen = self.seen(self.trained.pipeline(image.pixels), prediction.label)
        return self.write(film, prediction, seen)

    @unquoted()
    def write(self, film: Source, prediction: Prediction, seen: Seen | None) -> list[Dataset]:
        """The same of a film that is decoded already, and of what the network saw of it."""
        shown = self._picture(film, prediction, seen)
        try:
            return self._written(film, prediction, shown)
        except (ValueError, TypeError, AttributeError) as error:  # its words may quote the film
            raise HilumError(
                "results as DICOM copy what the film's header says of patient and study; got "
                f"values that cannot be written ({type(error).__name__}); correct the header."
            ) from error

    def _written(
        self, film: Source, prediction: Prediction, shown: render.Colour8
    ) -> list[Dataset]:
        identity = self.identity
        made = [
            sr.report(film, prediction, identity, film.without_lungs),
            secondary_capture.secondary_capture(film, shown, identity),
        ]
        if film.lungs is not None:
            made.append(segmentation.segmentation(film, film.lungs, identity))
        return made

    def seen(self, prepared: Grey8, class_: str) -> Seen:
        """What the network sees of a prepared film (height, width), and its heat for a class."""
        if isinstance(self.explains, str):
            return Seen(prepared, None, self.explains)
        one_pass = self.explains.fresh()
        one_pass.features(prepared[None])
        heat = one_pass.heat(prepared, self.trained.facts.classes.index(class_))
        return Seen(prepared, render.relative(heat))

    def _picture(self, film: Source, prediction: Prediction, seen: Seen | None) -> render.Colour8:
        identity = self.identity
        maker = f"hilum {__version__}, model {identity.digest[:SHOWN]}"
        seen = seen or Seen(None, None, "the image was not assessed")
        panels = Panels(film.film, seen.prepared, seen.share, seen.without_heat)
        return picture.draw(panels, prediction, identity.verdict, maker)


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
