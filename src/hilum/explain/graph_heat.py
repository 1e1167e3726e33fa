"""Heat maps of an exported model, by an output of its graph; torch is not needed."""

from dataclasses import dataclass
from pathlib import Path

from hilum.explain import render
from hilum.inference import exported
from hilum.inference.model import Features, TrainedModel
from hilum.models.runtime.base import Runtime
from hilum.types import Floats, Grey8, HilumError, Stack8

METHOD = "gradcam"  # what the graph holds


@dataclass(frozen=True, slots=True)
class GraphHeat:
    """An exported model that answers by its graph and explains by another output of it."""

    model: TrainedModel
    network: Runtime  # prepared films (image, height, width) -> evidence of every class, flattened
    shape: tuple[int, ...]  # of that of one film: (class, row, column)

    @classmethod
    def of(cls, model: TrainedModel, graph: Path, method: str) -> "GraphHeat":
        """Raises HilumError for another method, or a graph without the output."""
        if method != METHOD:
            raise HilumError(
                f"an exported model has heat maps by {METHOD} only; got method {method!r}; take "
                f"{METHOD}, or name the model folder that it was made from."
            )
        return cls(model, *exported.compiled_heat(graph, model.pipeline))

    def fresh(self) -> "GraphHeat":
        """Itself: nothing is kept between answers and heat maps."""
        return self

    def features(self, stack: Stack8) -> Features:
        """What the model's own `features` gives of prepared films (image, height, width)."""
        return self.model.features(stack)

    def heat(self, film: Grey8, class_: int) -> Floats:
        """Prepared (height, width) -> evidence for a class, 0 and more, as large as the film."""
        evidence = self.network(film[None])[0].reshape(self.shape)[class_]
        return render.enlarged(evidence, film.shape)
