"""One torch module from prepared pixels to all that an answer is made of, with named outputs."""

from typing import TypeAlias

import torch
from torch import Tensor, nn

from hilum.exporting.gate_layers import GateLayers
from hilum.exporting.grad_cam import GradCam, grad_cam_of
from hilum.inference.exported import lowered
from hilum.inference.model import TrainedModel
from hilum.inference.ood import OodDetector
from hilum.models.backbone import Backbone
from hilum.models.head_layers import PositionMean
from hilum.models.normalise import InputNormalisation
from hilum.models.numpy_head import Array, NumpyHead
from hilum.types import HilumError

Outputs: TypeAlias = tuple[Tensor, ...]  # in the order of `ExportGraph.names`

INPUT = "pixels"  # uint8 (image, height, width), prepared
# every output that a graph may have: its axes, and what it is
OUTPUTS: dict[str, tuple[tuple[str, ...], str]] = {
    "probabilities": (("image", "class"), "calibrated probability of each class"),
    "possible": (("image", "class"), "1 where the class stays possible (conformal set), else 0"),
    "distance": (("image",), "1 - cosine to the 5th nearest training image: the refusal distance"),
    "poses": (("image", "pose"), "probability of upright, inverted, left, upside down, right"),
    "map": (("image", "channel", "row", "column"), "last feature map"),
    "map_mirrored": (("image", "channel", "row", "column"), "that of the mirrored image"),
    "heat": (
        ("image", "class", "row", "column"),
        "Grad-CAM: evidence for the class above 0, against it below (Selvaraju et al. 2017)",
    ),
}
NO_TOKENS = "tokens of a transformer make heat maps in the model folder alone, not in a graph"


class ExportGraph(nn.Module):
    """uint8 (image, height, width) -> the outputs of `names`; batches of any size."""

    def __init__(self, model: TrainedModel) -> None:
        """Raises HilumError for a model whose network computes in int8."""
        super().__init__()
        _require_full_precision(model)
        self.normalise = InputNormalisation(model.facts.normalise)
        self.backbone = model.backbone
        self.head = HeadLayers(model.head, model.facts.temperature)
        self.mirror = model.facts.mirror
        gate = model.gate
        self.gate = GateLayers(gate) if isinstance(gate, OodDetector) else None
        self.bounds = _bounds(model)
        self.maps, self.without_map = map_of(self.backbone, model.pipeline.shape)
        self.grad_cam: GradCam | None = None
        self.without_heat = self.without_map
        if self.maps is not None:
            self.grad_cam, self.without_heat = grad_cam_of(self.backbone, model.head, self.maps)

    @property
    def names(self) -> list[str]:
        """The outputs in their order; what this model lacks is left out."""
        absent = {
            "possible": self.bounds is None,
            "distance": self.gate is None,
            "poses": self.gate is None,
            "map": self.maps is None,
            "map_mirrored": self.maps is None or not self.mirror,
            "heat": self.grad_cam is None,
        }
        return [name for name in OUTPUTS if not absent.get(name, False)]

    def forward(self, pixels: Tensor) -> Outputs:
        """(image, height, width) uint8 -> one tensor for each of `names`."""
        both = torch.cat([pixels, pixels.flip(2)]) if self.mirror else pixels
        features, maps = self._features_and_maps(both)
        count = pixels.shape[0]
        p = self.head.calibrated(self._mean_of_views(self.head(features), count))
        outputs = {"probabilities": p}
        if self.bounds is not None:
            outputs["possible"] = possible(p, self.bounds)
        if self.gate is not None:
            outputs["distance"], outputs["poses"] = self.gate(features[:count])
        if maps is not None:
            outputs |= {"map": maps[:count], "map_mirrored": maps[count:]}
            if self.grad_cam is not None:
                evidence = self.grad_cam(self.head.gradient(features), maps)
                outputs["heat"] = self._mean_of_views(evidence, count, turned=True)
        return tuple(outputs[name] for name in self.names)

    def _features_and_maps(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """(image, height, width) -> features (image, feature), and the last map if there is one."""
        x = self.normalise(pixels.unsqueeze(1))
        if self.maps is None:
            return self.backbone(x), None
        maps = self.backbone.maps(x)
        return self.backbone.from_maps(maps), maps

    def _mean_of_views(self, values: Tensor, count: int, *, turned: bool = False) -> Tensor:
        """What is known of `count` images, then of their mirror images -> the mean of both."""
        if not self.mirror:
            return values
        mirrored = values[count:]
        return (values[:count] + (mirrored.flip(3) if turned else mirrored)) / 2


class HeadLayers(nn.Module):
    """A fitted head in float32: features (image, feature) -> logits (image, class)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, head: NumpyHead, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.positions = head.positions
        self.average = PositionMean(head.positions)
        for name in ("mean", "deviation"):
            values = torch.from_numpy(getattr(head.standardise, name)).float()
            self.register_buffer(name, values)
        self.layers = nn.ModuleList(_linear(*layer) for layer in head.layers)

    def forward(self, features: Tensor) -> Tensor:
        """(image, feature) -> (image, class)."""
        logits: Tensor = self._steps(features)[-1]
        return logits

    def calibrated(self, logits: Tensor) -> Tensor:
        """(image, class) -> probabilities (image, class); Guo et al. 2017, arXiv:1706.04599."""
        return (logits / self.temperature).softmax(1)

    def gradient(self, features: Tensor) -> Tensor:
        """(image, feature) -> gradient of each logit by each feature (image, class, feature)."""
        *hidden, _ = self._steps(features)
        *below, last = self._linear_layers
        gradient = last.weight.expand(features.shape[0], -1, -1)
        for layer, values in zip(reversed(below), reversed(hidden), strict=True):
            gradient = (gradient * (values > 0).to(gradient.dtype).unsqueeze(1)) @ layer.weight
        if self.positions > 1:  # a mean hands every position the same share
            gradient = gradient.repeat_interleave(self.positions, 2) / self.positions
        return gradient / self.deviation

    @property
    def _linear_layers(self) -> list[nn.Linear]:
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def _steps(self, features: Tensor) -> list[Tensor]:
        """(image, feature) -> what each layer gives (image, unit), before its ReLU."""
        x = (features - self.mean) / self.deviation
        x = self.average(x) if self.positions > 1 else x
        outputs: list[Tensor] = []
        for layer in self._linear_layers:
            x = layer(outputs[-1].relu() if outputs else x)
            outputs.append(x)
        return outputs


def possible(p: Tensor, bounds: Tensor) -> Tensor:
    """(image, class) probabilities -> uint8 (image, class): at or above its bound, or the largest.

    Mondrian conformal sets: Vovk 2012, arXiv:1209.2673.
    """
    largest = torch.arange(p.shape[1]) == p.argmax(1, keepdim=True)
    return ((p >= bounds) | largest).to(torch.uint8)


def map_of(backbone: Backbone, shape: tuple[int, int]) -> tuple[tuple[int, int, int] | None, str]:
    """(channel, row, column) of the last map for films of `shape`, or None and why not."""
    if backbone.tokens:
        return None, NO_TOKENS
    try:
        with torch.no_grad():
            maps = backbone.maps(torch.zeros(1, 3, *shape))
    except HilumError as error:
        return None, str(error)
    channel, row, column = maps.shape[1:]
    return (channel, row, column), ""


def _bounds(model: TrainedModel) -> Tensor | None:
    """(class,) the least probability from which on each class stays possible."""
    least = lowered(model.facts.conformal)
    return torch.tensor([least[name] for name in model.facts.classes]) if least else None


def _linear(weight: Array, bias: Array) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict(
        {"weight": torch.from_numpy(weight).float(), "bias": torch.from_numpy(bias).float()}
    )
    return layer


def _require_full_precision(model: TrainedModel) -> None:
    if model.facts.quantised:
        raise HilumError(
            "export needs a model whose network computes in bf16 or fp32; got one in int8; train "
            "it with model.precision auto, and give export --precision int8."
        )
