"""Heat maps from the very pass that makes the prediction."""

from functools import cached_property
from typing import TYPE_CHECKING

from hilum.explain import render
from hilum.inference.model import TrainedModel
from hilum.types import Floats, Grey8, HilumError

if TYPE_CHECKING:  # torch is loaded with the first heat map
    from hilum.explain.passes import Pass

METHOD = "gradcam"


class HeatmapSource:
    """A model ready to explain itself; the network for it is compiled with the first heat map."""

    def __init__(self, model: TrainedModel) -> None:
        self._model = model

    @property
    def reason(self) -> str:
        """Why this model has no heat maps, or ""."""
        return self._ready if isinstance(self._ready, str) else ""

    def one_pass(self) -> "Pass | None":
        """A pass that holds no maps yet, so that films of a pass that failed leave none behind."""
        return None if isinstance(self._ready, str) else self._ready.fresh()

    @cached_property
    def _ready(self) -> "Pass | str":
        graph = self._model.graph
        there = self._model.has_network if graph is None else graph.is_file()
        if not there:  # the library's words about it name the server's folders
            return "the server has no network to explain: its folder has changed."
        from hilum.explain import passes

        try:
            return passes.pass_of(self._model, METHOD)
        except HilumError as error:
            return str(error)


def share_of(one_pass: "Pass", film: Grey8, class_: int) -> Floats:
    """Heat in [0, 1] (height, width) of the next film of a pass for a class."""
    return render.relative(one_pass.heat(film, class_))
