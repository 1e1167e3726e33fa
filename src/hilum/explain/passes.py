"""What answers and explains a model's films: its network, or the graph of an exported one."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from hilum.inference.model import Features, TrainedModel
from hilum.types import Floats, Grey8, Stack8

if TYPE_CHECKING:  # torch: an exported model needs none
    from hilum.explain.explainer import ExplainableModel


class Pass(Protocol):
    """Answers of films, then their heat maps, film by film in order."""

    def fresh(self) -> "Pass":
        """The same for other films."""

    def features(self, stack: Stack8) -> Features:
        """What the model's own `features` gives of prepared films (image, height, width)."""

    def heat(self, film: Grey8, class_: int) -> Floats:
        """Prepared (height, width) -> evidence for a class, 0 and more, as large as the film."""


def pass_of(
    model: TrainedModel, method: str, explainable: "Callable[[], ExplainableModel] | None" = None
) -> Pass:
    """A pass by `method`; `explainable` makes the model ready where it is at hand already.

    Raises HilumError for an unknown method, or one that cannot explain this model.
    """
    if model.graph is not None:
        from hilum.explain.graph_heat import GraphHeat

        return GraphHeat.of(model, model.graph, method)
    from hilum.explain import explainer
    from hilum.explain.one_pass import OnePass

    ready = explainable() if explainable else explainer.make_explainable(model)
    return OnePass.of(model, ready, method)
