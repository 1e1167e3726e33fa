"""One pass through the network for an answer and its heat map, where both have the same bits."""

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hilum.explain import cam, explainer
from hilum.explain.explainer import ExplainableModel
from hilum.inference.model import Features, TrainedModel
from hilum.types import Floats, Grey8, Stack8

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(slots=True)
class OnePass:
    """`features` keeps the maps of each film until `heat` takes them, film by film in order."""

    model: TrainedModel
    explainable: ExplainableModel
    method: str
    exact: bool  # the pass for the maps gives the prediction bit by bit
    maps: "deque[tuple[Tensor, ...]]" = field(default_factory=deque)

    @classmethod
    def of(cls, model: TrainedModel, explainable: ExplainableModel, method: str) -> "OnePass":
        """Raises HilumError for an unknown method, or one that cannot explain this network."""
        cam.require(explainable, method, model.pipeline.shape)
        exact = cam.find_method(method).needs_map and explainer.same_bits(explainable, model)
        return cls(model, explainable, method, exact)

    def fresh(self) -> "OnePass":
        """The same, holding no maps yet."""
        return replace(self, maps=deque())

    def features(self, stack: Stack8) -> Features:
        """What the model's own `features` gives of prepared films (image, height, width)."""
        if not self.exact:
            return self.model.features(stack)
        sights = cam.compute_maps(self.explainable, stack, self.method)
        self.maps.extend(zip(*(sight.maps[:, None] for sight in sights), strict=True))
        plain, *mirror = (sight.features for sight in sights)
        return plain, mirror[0] if mirror else None

    def heat(self, film: Grey8, class_: int) -> Floats:
        """Prepared (height, width) -> evidence for a class, 0 and more, as large as the film."""
        maps = self.maps.popleft() if self.exact else None
        return cam.heat(self.explainable, film, class_, self.method, maps)
