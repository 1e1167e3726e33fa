"""Heat maps from the very pass that makes the prediction."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from hilum.inference.answer import PreparedImage
from hilum.inference.model import Features, TrainedModel
from hilum.types import Floats, HilumError, Stack8

if TYPE_CHECKING:  # torch is loaded with the first heat map
    from torch import Tensor

    from hilum.explain.explainer import ExplainableModel

METHOD = "gradcam"


class HeatmapSource:
    """A model ready to explain itself; the network for it is compiled with the first heat map."""

    def __init__(self, model: TrainedModel) -> None:
        self.model = model

    @cached_property
    def explainer(self) -> "ExplainableModel":
        """The model's parts with their last map."""
        from hilum.explain import explainer

        return explainer.of(self.model)

    @cached_property
    def exact(self) -> bool:
        """Whether the pass that keeps maps has the very features of the prediction."""
        from hilum.explain import explainer

        return not self.reason and explainer.same_bits(self.explainer, self.model)

    @cached_property
    def reason(self) -> str:
        """Why this model has no heat maps, or ""."""
        from hilum.explain import cam

        try:
            _ = self.model.backbone  # read when it is first needed
        except HilumError:  # whose words name the server's folders
            return "the model's folder has changed since the server was started; start it again."
        try:
            cam.require(self.explainer, METHOD, self.model.pipeline.shape)
        except HilumError as error:
            return str(error)
        return ""


@dataclass(slots=True)
class HeatmapBatch:
    """The maps of one pass, kept for the heat maps of its films."""

    source: HeatmapSource
    maps: "list[tuple[Tensor, ...]]" = field(default_factory=list)  # each film's, and its mirror's

    def features(self, stack: Stack8) -> Features:
        """Prepared films (image, height, width) -> the model's own features (image, feature)."""
        if not self.source.exact:
            return self.source.model.features(stack)
        from hilum.explain import cam

        views = cam.look(self.source.explainer, stack, METHOD)
        self.maps = list(zip(*(view.maps[:, None] for view in views), strict=True))
        plain, *mirror = (view.features for view in views)
        return plain, mirror[0] if mirror else None

    def heat(self, index: int, film: PreparedImage, class_: int) -> Floats | None:
        """Heat in [0, 1] (height, width) of a film of the pass for a class; None without maps."""
        if self.source.reason:
            return None
        from hilum.explain import cam

        maps = self.maps[index] if self.maps else None
        return cam.relative(cam.heat(self.source.explainer, film.pixels, class_, METHOD, maps))
