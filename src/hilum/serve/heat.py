"""Heat maps from the very pass that makes the prediction."""

from collections import deque
from typing import TYPE_CHECKING

from hilum.inference.answer import PreparedImage
from hilum.inference.model import Features, TrainedModel
from hilum.types import Floats, HilumError, Stack8

if TYPE_CHECKING:  # torch is loaded with the first heat map
    from torch import Tensor

    from hilum.explain.explainer import ExplainableModel

METHOD = "gradcam"


class Heats:
    """A model that keeps the maps of what it sees, where its features stay the same bit by bit."""

    def __init__(self, model: TrainedModel) -> None:
        self._model = model
        self._explainer: ExplainableModel | None = None
        self._exact = False
        self._why = ""
        self._maps: deque[tuple[Tensor, ...]] = deque()

    def features(self, stack: Stack8) -> Features:
        """Prepared films (image, height, width) -> the model's own features, maps kept for `of`."""
        from hilum.explain import cam

        self._load()
        if self._explainer is None or not self._exact:
            return self._model.features(stack)
        sights = cam.look(self._explainer, stack, METHOD)
        self._maps.extend(zip(*(sight.maps[:, None] for sight in sights), strict=True))
        plain, *mirror = (sight.features for sight in sights)
        return plain, mirror[0] if mirror else None

    def of(self, film: PreparedImage, class_: int) -> tuple[Floats | None, str]:
        """The next film's heat in [0, 1] (height, width) for a class, or None and why."""
        from hilum.explain import cam

        if self._explainer is None or self._why:
            return None, self._why
        maps = self._maps.popleft() if self._exact else None
        return cam.relative(cam.heat(self._explainer, film.pixels, class_, METHOD, maps)), ""

    def _load(self) -> None:
        if self._explainer is not None:
            return
        from hilum.explain import cam, explainer

        self._explainer = explainer.of(self._model)
        self._exact = explainer.same_bits(self._explainer, self._model)
        try:
            cam.require(self._explainer, METHOD, self._model.pipeline.shape)
        except HilumError as error:
            self._why = str(error)
