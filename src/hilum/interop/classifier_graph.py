"""A trained model as one torch module from prepared pixels to calibrated probabilities."""

import warnings

import torch
from torch import Tensor, nn

from hilum.exporting.graph import HeadLayers
from hilum.inference.model import TrainedModel
from hilum.models.normalise import InputNormalisation
from hilum.types import HilumError


class ClassifierGraph(nn.Module):
    """uint8 (image, height, width), or (image, 1, height, width) -> probabilities (image, class).

    Raises HilumError for a model whose network computes in int8.
    """

    def __init__(self, model: TrainedModel) -> None:
        super().__init__()
        if model.facts.quantised:
            raise HilumError(
                "a torch module needs a model whose network computes in bf16 or fp32; got one in "
                "int8; train it with model.precision auto."
            )
        self.normalise = InputNormalisation(model.facts.normalise)
        self.backbone = model.backbone
        self.head = HeadLayers(model.head, model.facts.temperature)
        self.mirror = model.facts.mirror

    def forward(self, pixels: Tensor) -> Tensor:
        """(image, height, width) or (image, 1, height, width) -> (image, class)."""
        films = pixels.reshape(pixels.shape[0], 1, pixels.shape[-2], pixels.shape[-1])
        logits = self._logits(films)
        if self.mirror:
            logits = (logits + self._logits(films.flip(3))) / 2
        return self.head.calibrated(logits)

    def _logits(self, films: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(self.normalise(films)))
        return logits


def traced(model: TrainedModel) -> torch.jit.ScriptModule:
    """The module as TorchScript, for any number of films of the model's size.

    torch calls TorchScript deprecated since 2.9; a bundle's `model.ts` can be nothing else.
    """
    height, width = model.pipeline.shape
    example = torch.zeros(2, 1, height, width, dtype=torch.uint8)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.trace(ClassifierGraph(model).eval(), example)  # type: ignore[no-untyped-call]
