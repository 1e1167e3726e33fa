"""Heat maps from the very pass that makes the prediction."""

from collections import deque
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from hilum.inference.model import TrainedModel
from hilum.types import Floats, Grey8, HilumError

if TYPE_CHECKING:  # torch is loaded with the first heat map
    from hilum.explain.one_pass import OnePass

METHOD = "gradcam"


class HeatmapSource:
    """A model ready to explain itself; the network for it is compiled with the first heat map."""

    def __init__(self, model: TrainedModel) -> None:
        self._model = model

    @property
    def reason(self) -> str:
        """Why this model has no heat maps, or ""."""
        return self._ready if isinstance(self._ready, str) else ""

    def one_pass(self) -> "OnePass | None":
        """A pass that holds no maps yet, so that films of a pass that failed leave none behind."""
        return None if isinstance(self._ready, str) else replace(self._ready, maps=deque())

    @cached_property
    def _ready(self) -> "OnePass | str":
        if not self._model.has_network:  # the words about it name the server's folders
            return "the server has no network to explain: it was exported, or its folder changed."
        from hilum.explain import explainer
        from hilum.explain.one_pass import OnePass

        try:
            return OnePass.of(self._model, explainer.make_explainable(self._model), METHOD)
        except HilumError as error:
            return str(error)


def share_of(one_pass: "OnePass", film: Grey8, class_: int) -> Floats:
    """Heat in [0, 1] (height, width) of the next film of a pass for a class."""
    from hilum.explain import cam

    return cam.relative(one_pass.heat(film, class_))
