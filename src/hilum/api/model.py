"""A trained model in use: `load_model`, `Model.predict`, `Model.explain`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import cv2
import numpy as np
from PIL import Image as Pillow

from hilum import notebook
from hilum.api import films, results
from hilum.api.films import Source
from hilum.inference import answer, cautions, exported
from hilum.inference.answer import Prediction, PreparedImage
from hilum.inference.model import TrainedModel
from hilum.inference.model_json import find_model_folder
from hilum.inference.training_record import Print
from hilum.preprocess import Pipeline
from hilum.types import (
    CLASS_NAMES,
    NOTICE,
    Floats,
    Grey8,
    HilumError,
    MissingError,
    given_path,
    nearest_name,
    shown_probability,
)

if TYPE_CHECKING:
    from hilum.explain.explainer import ExplainableModel
    from hilum.explain.passes import Pass
    from hilum.explain.render import Colour8


@dataclass(frozen=True, slots=True)
class Heatmap:
    """What of one image speaks for a class: `array` in [0, 1], as large as the prepared `film`.

    >>> import hilum, numpy as np
    >>> film = np.full((8, 8), 90, np.uint8)
    >>> heat = hilum.Heatmap(np.eye(8, dtype=np.float32), film, "covid19", 0.8, "gradcam")
    >>> heat.render().shape
    (8, 8, 3)
    """

    array: Floats  # (height, width), 0: none, 1: the most of this image
    film: Grey8  # (height, width), as the network sees it
    class_: str  # the class that is explained
    probability: float  # of that class
    method: str
    verdict: str = ""  # how the model was judged, one line

    def render(self, rendering: str = "overlay", colours: str = "plasma") -> "Colour8":
        """Film and heat as colours (height, width, 3); HilumError for an unknown rendering."""
        from hilum.explain.render import render_heat

        return render_heat(self.film, self.array, rendering, colours)

    def save(self, path: str | Path, rendering: str = "overlay", colours: str = "plasma") -> Path:
        """Write film, heat map, colour bar and notice as one PNG; HilumError if unknown."""
        target = given_path(path)
        if target.suffix.lower() not in Pillow.registered_extensions() or target.is_dir():
            better = target / "heat.png" if target.is_dir() else target.with_suffix(".png")
            raise HilumError(
                f"a heat map is written to the file of a picture; got {str(path)!r}; "
                f"use {str(better)!r}."
            )
        from hilum.explain import cam
        from hilum.explain import heatmap_sheets as sheets

        style = sheets.HeatmapStyle(rendering, colours)
        style.check()
        words = (f"Evidence for {CLASS_NAMES.get(self.class_, self.class_)}, "
                 f"p {shown_probability(self.probability)}",)  # fmt: skip
        tile = sheets.HeatmapTile(self.film, self.array, words)
        title = cam.find_method(self.method).title
        sheets.save_page(sheets.single(tile, style, title, self.verdict), target)
        return target

    def _repr_html_(self) -> str:
        """The film, and the film under its heat."""
        from hilum.explain import cam

        method = cam.find_method(self.method).title
        title = (
            f"{method}: evidence for {CLASS_NAMES.get(self.class_, self.class_)}, "
            f"p {shown_probability(self.probability)}"
        )
        pictures = {"film": self.film, "heat on the film": self.render()[..., ::-1]}  # cv2: BGR
        shown = {caption: _png(pixels) for caption, pixels in pictures.items()}
        return notebook.heatmap(title, shown, self.verdict, NOTICE)


def _png(pixels: "Grey8 | Colour8") -> bytes:
    """(height, width) grey, or (height, width, 3) as OpenCV orders colours, as a PNG file."""
    return cv2.imencode(".png", pixels)[1].tobytes()


@dataclass(frozen=True, slots=True)
class _Answered:
    """A prediction, and what a batch is judged by where the film could be read."""

    prediction: Prediction
    fingerprint: Print | None = None
    points: Floats | None = None  # (1, component)


class Model:
    """A trained classifier with the preparation, refusals and verdict that belong to it.

    >>> import hilum
    >>> model = hilum.load_model("out")
    >>> model.classes
    ['covid19', 'normal']
    >>> heat = model.explain("film.png", class_="covid19")
    >>> heat.array.shape
    (224, 224)
    """

    def __init__(self, folder: str | Path) -> None:
        """Raises MissingError where `folder` is no model's or run's, HilumError if damaged."""
        self.folder = find_model_folder(given_path(folder).expanduser())
        self.trained: TrainedModel = exported.load(self.folder)
        self._explainable: ExplainableModel | None = None  # made when it is first expected
        self._passes: dict[str, Pass] = {}  # by method

    @property
    def classes(self) -> list[str]:
        """The classes, in the order of the probabilities."""
        return list(self.trained.facts.classes)

    @property
    def preparation(self) -> Pipeline:
        """What makes any image ready for the network; `interop.ManifestDataset` takes it."""
        return self.trained.pipeline

    @property
    def verdict(self) -> str:
        """How the model was judged, by what, and when: one line."""
        return cautions.verdict_line(self.trained.facts.judged)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Provenance: recipe, sources, numbers of images, versions."""
        return dict(self.trained.facts.provenance)

    @overload
    def predict(  # type: ignore[overload-overlap]
        self, source: Source, *, accept_new_source: bool = False
    ) -> Prediction: ...
    @overload
    def predict(
        self, source: Sequence[Source], *, accept_new_source: bool = False
    ) -> list[Prediction]: ...
    def predict(
        self, source: Source | Sequence[Source], *, accept_new_source: bool = False
    ) -> Prediction | list[Prediction]:
        """The answer to a film, or to each of a list, as `hilum predict` writes it.

        Films of a list that together are of a source new to the model are abstained from, unless
        `accept_new_source`. An image that cannot be read has its reason and no label. Raises
        MissingError for a file that does not exist.
        """
        several = films.several(source)
        if several is None:
            return self._batch([films.one_film(source)], accept_new_source)[0]
        return self._batch([films.one_film(one) for one in several], accept_new_source)

    def explain(
        self, source: Source, *, method: str = "gradcam", class_: str | None = None
    ) -> Heatmap:
        """The heat map of the predicted class, or of `class_`, for one film.

        Raises HilumError for an unreadable image, an unknown method or class, or a network that
        the method cannot explain.
        """
        from hilum.explain import render

        if class_ is not None and class_ not in self.classes:
            raise HilumError(
                f"class_ must be one of {', '.join(self.classes)}; got {class_!r}; "
                + nearest_name(class_, self.classes, "choose one of these.")
            )
        film = self._prepared(films.one_film(source))
        one_pass = self._one_pass(method)
        (p,), _ = answer.answer(self.trained, [film], one_pass.features)
        index = int(p.argmax()) if class_ is None else self.classes.index(class_)
        heat = one_pass.heat(film.pixels, index)
        name, share = self.classes[index], render.relative(heat)
        return Heatmap(share, film.pixels, name, float(p[index]), method, self.verdict)

    def _one_pass(self, method: str) -> "Pass":
        from hilum.explain import passes

        if method not in self._passes:
            self._passes[method] = passes.pass_of(self.trained, method, self._made_explainable)
        return self._passes[method]

    def _made_explainable(self) -> "ExplainableModel":
        from hilum.explain import explainer

        self._explainable = self._explainable or explainer.make_explainable(self.trained)
        return self._explainable

    def _prepared(self, source: Source) -> PreparedImage:
        if isinstance(source, np.ndarray):
            return answer.prepare_array(source, self.trained.pipeline)
        if isinstance(source, str | Path):
            source = Path(source).expanduser()
            if not source.exists():
                raise MissingError(
                    f"predict and explain take an image; got {str(source)!r}, which does not "
                    "exist; check the path."
                )
        return answer.prepare_file(source, self.trained.pipeline)

    def _batch(self, sources: Sequence[Source], accept_new_source: bool) -> list[Prediction]:
        """Each answer by itself, then what all together say of their source."""
        rows = [self._one(source) for source in sources]
        prints = [row.fingerprint for row in rows if row.fingerprint is not None]
        points = [row.points for row in rows if row.points is not None]
        known = cautions.recognise(self.trained, prints)
        patients = [one.patient for one in prints]
        judged = answer.judge_source(self.trained, patients, points, known)
        return [answer.with_source(row.prediction, judged, accept_new_source) for row in rows]

    def _one(self, source: Source) -> "_Answered":
        path = str(source) if isinstance(source, (str, Path)) else ""
        try:
            film = self._prepared(source)
        except MissingError:
            raise
        except HilumError as error:
            reason = answer.refusal(error, Path(path).expanduser() if path else None)
            refused = Prediction("", {}, abstained=True, reason=reason)
            digest = results.digest_of(source) if not isinstance(source, np.ndarray) else ""
            return _Answered(self._signed(refused, path, digest))
        (prediction,), points = answer.predict_each(self.trained, [film])
        signed = self._signed(prediction, path, film.fingerprint.sha256)
        return _Answered(signed, film.fingerprint, points)

    def _signed(self, prediction: Prediction, path: str, digest: str) -> Prediction:
        """The same with the film's path, and with this model for results as DICOM."""
        made_by = results.MadeBy(self.folder, digest, self)
        return replace(prediction, path=path, verdict=self.verdict, made_by=made_by)

    def __repr__(self) -> str:
        return f"Model({str(self.folder)!r}, classes={self.classes})"


def load_model(folder: str | Path) -> Model:
    """The model of a finished run's folder, or of its model/ folder.

    Raises MissingError where there is none, HilumError where it is damaged.

    >>> import hilum
    >>> model = hilum.load_model("out")
    >>> model.predict("film.png").label in model.classes
    True
    >>> [answer.label in model.classes for answer in model.predict(["film.png", "film.png"])]
    [True, True]
    """
    return Model(folder)
