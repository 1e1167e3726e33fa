"""Heat maps: which places of an image speak for a class.

A backbone runs forward once, without gradient, to its last map; only what follows that map (the
pooling and the head) is differentiated. So a heat map costs about one forward pass, and the
network that makes it can be a compiled one.
"""

import copy
import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from hilum.evaluate import model as models
from hilum.evaluate.model import Facts, Model, mirrored
from hilum.models.backbones import Backbone
from hilum.models.engine import Runtime
from hilum.models.heads import Head
from hilum.models.layers import Average, blank
from hilum.models.normalise import Door
from hilum.types import Floats, Grey8, HilumError, Probabilities, Stack8

WINDOWS = 7  # occluding squares along a side, each half over its neighbour
AT_ONCE = 32  # occluded copies of an image in memory


Mapper: TypeAlias = Callable[[Stack8], Tensor]  # films to maps (image, channel, row, column)


class Tail(nn.Module):
    """The last map (image, channel, row, column) -> logits (image, class), in float64."""

    def __init__(self, backbone: Backbone, head: Head) -> None:
        super().__init__()
        self.seam = nn.Identity()  # where captum reads the map and its gradient
        self.backbone = backbone
        self.head = _as_module(head)

    def forward(self, found: Tensor) -> Tensor:
        """(image, channel, row, column) -> (image, class)."""
        logits: Tensor = self.head(self.backbone.from_maps(self.seam(found)).double())
        return logits


@dataclass(frozen=True, slots=True)
class Subject:
    """A model that is asked for its reasons; `logits` takes prepared images as the model does."""

    door: Door
    tail: Tail
    mirror: bool
    maps: Mapper  # without gradient
    logits: Callable[[Stack8], Probabilities]

    def last_map(self, image: Grey8) -> Tensor:
        """(height, width) -> (1, channel, row, column), without gradient."""
        return self.maps(image[None])


@dataclass(frozen=True, slots=True)
class Method:
    """One way to a heat map: (1, height, width) and a class's index -> evidence (row, column)."""

    title: str
    evidence: Callable[[Subject, Stack8, int], Floats]  # for the class above 0, against it below
    says: str
    source: str
    needs_map: bool = True


def of(model: Model) -> Subject:
    """A model's parts made ready, its maps and logits by compiled networks."""
    plain = subject(model.facts, model.backbone, model.head, model.logits)
    return replace(plain, maps=compiled_maps(lambda: models.compiled_maps(model), plain.maps))


def subject(
    facts: Facts,
    backbone: Backbone,
    head: Head,
    logits: Callable[[Stack8], Probabilities] | None = None,
) -> Subject:
    """A model's parts made ready; `logits` where a compiled model answers faster than torch."""
    copied = copy.deepcopy(backbone).eval()
    copied.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for layer in copied.modules():
        if hasattr(layer, "inplace"):  # two of them in a row would overwrite what a gradient needs
            layer.inplace = False  # type: ignore[assignment]
    door, tail = Door(facts.normalise), Tail(copied, head).eval()
    answer = logits or torch_logits(door, tail, facts.mirror)
    return Subject(door, tail, facts.mirror, torch_maps(door, copied), answer)


def torch_maps(door: Door, backbone: Backbone) -> Mapper:
    """Prepared films (image, height, width) -> their last maps, by torch itself."""

    def one(film: Grey8) -> Tensor:
        return backbone.maps(door(_pixels(film)).contiguous(memory_format=torch.channels_last))

    def maps(stack: Stack8) -> Tensor:
        with torch.no_grad():
            return torch.cat([one(film) for film in stack])

    return maps


def compiled_maps(compiled: Callable[[], Runtime], plain: Mapper) -> Mapper:
    """The same by a network that hands them out flattened, compiled when it is first asked.

    `plain` is asked once, for their size.
    """

    @cache
    def ready(shape: tuple[int, ...]) -> tuple[Runtime, list[int]]:
        size = plain(np.zeros((1, *shape), np.uint8)).shape[1:]
        return compiled(), list(size)

    def maps(stack: Stack8) -> Tensor:
        runtime, size = ready(stack.shape[1:])
        return torch.from_numpy(runtime(stack)).reshape(len(stack), *size)

    return maps


def torch_logits(door: Door, tail: Tail, mirror: bool) -> Callable[[Stack8], Probabilities]:
    """Prepared films (image, height, width) -> logits (image, class), by torch itself."""

    def one(film: Grey8) -> Probabilities:
        found: Tensor = tail.head(tail.backbone(door(_pixels(film))).double())
        return found[0].numpy()

    def logits(stack: Stack8) -> Probabilities:
        with torch.inference_mode():
            plain = np.stack([one(film) for film in stack])
            if not mirror:
                return plain
            return (plain + np.stack([one(film) for film in mirrored(stack)])) / 2

    return logits


def heat(asked: Subject, image: Grey8, class_: int, method: str = "gradcam") -> Floats:
    """Prepared (height, width) -> evidence for a class, 0 and more, in the image's own pixels.

    What speaks against the class is left out (ReLU). Raises HilumError for an unknown method, or
    where the method needs a spatial map and the network has none.
    """
    found = np.maximum(evidence(asked, image, class_, method), 0)
    height, width = image.shape
    return np.asarray(cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR))


def evidence(asked: Subject, image: Grey8, class_: int, method: str = "gradcam") -> Floats:
    """The same with what speaks against the class below 0, at the map's own size (row, column)."""
    return known(method).evidence(asked, image[None], class_)


def require(asked: Subject, method: str, shape: tuple[int, int]) -> None:
    """Raise HilumError where `method` is unknown or cannot be used on this network."""
    if known(method).needs_map:
        _required(asked, np.zeros((1, *shape), np.uint8))


def known(method: str) -> Method:
    """The row of METHODS called `method`; HilumError with the nearest name for another."""
    if method not in METHODS:
        near = difflib.get_close_matches(method, METHODS, 1)
        hint = f"did you mean {near[0]!r}?" if near else "choose one."
        raise HilumError(f"a method is one of {', '.join(METHODS)}; got {method!r}; {hint}")
    return METHODS[method]


def relative(found: Floats) -> Floats:
    """Heat (height, width) as a share of its own maximum; an empty map stays empty."""
    most = float(found.max())
    return found / most if most > 0 else np.zeros_like(found)


def _gradcam(asked: Subject, stack: Stack8, class_: int) -> Floats:
    from captum.attr import LayerGradCam  # half a second that predictions without maps do not wait

    method = LayerGradCam(asked.tail, asked.tail.seam)
    return _on_the_map(asked, stack, lambda found: method.attribute(found, class_))


def _hirescam(asked: Subject, stack: Stack8, class_: int) -> Floats:
    from captum.attr import LayerGradientXActivation

    method = LayerGradientXActivation(asked.tail, asked.tail.seam)
    return _on_the_map(
        asked, stack, lambda found: method.attribute(found, class_).sum(1, keepdim=True)
    )


def _on_the_map(asked: Subject, stack: Stack8, attribute: Callable[[Tensor], Tensor]) -> Floats:
    """(1, height, width) -> (row, column); with the mirror image's map where the model uses it."""
    seen = np.concatenate([stack, mirrored(stack)]) if asked.mirror else stack
    plain, *turned = (_array(attribute(found[None])) for found in _required(asked, seen))
    if not turned:
        return plain
    return np.ascontiguousarray((plain + turned[0][:, ::-1]) / 2)


def _required(asked: Subject, stack: Stack8) -> Tensor:
    try:
        return asked.maps(stack)
    except HilumError as error:
        raise HilumError(f"{error} Or take method occlusion, which needs none.") from None


def _occlusion(asked: Subject, stack: Stack8, class_: int) -> Floats:
    """How far the logit falls where a square of the image's mean grey hides what lies there."""
    from captum.attr import Occlusion

    sides = [max(2, round(n / WINDOWS)) for n in stack.shape[1:]]

    def logits(pixels: Tensor) -> Tensor:
        return torch.from_numpy(asked.logits(pixels[:, 0].to(torch.uint8).numpy()))

    found = Occlusion(logits).attribute(
        torch.from_numpy(stack[:, None].astype(np.float32)),
        sliding_window_shapes=(1, *sides),
        strides=(1, *(max(1, side // 2) for side in sides)),
        baselines=float(np.rint(stack.mean())),
        target=class_,
        perturbations_per_eval=AT_ONCE,
    )
    return _array(found)


METHODS: dict[str, Method] = {
    "gradcam": Method(
        "Grad-CAM",
        _gradcam,
        "the last map's channels, each weighted by the mean of its gradient",
        "Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74",
    ),
    "hirescam": Method(
        "HiResCAM",
        _hirescam,
        "the last map's channels, weighted place by place by the gradient",
        "Draelos & Carin 2020, arXiv:2011.08891",
    ),
    "occlusion": Method(
        "Occlusion",
        _occlusion,
        "how far the logit falls when a grey square hides the place",
        "Zeiler & Fergus 2014, doi:10.1007/978-3-319-10590-1_53",
        needs_map=False,
    ),
}


def _as_module(head: Head) -> nn.Sequential:
    """The executor's head as a differentiable module: standardise, average, linear with ReLU."""
    layers: list[nn.Module] = [_Standard(head)]
    if head.positions > 1:
        layers.append(Average(head.positions))
    for weight, bias in head.layers:
        layer = blank(weight.shape[1], weight.shape[0]).double()
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class _Standard(nn.Module):
    """(image, feature) -> the same, standardised as the head wants it."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(head.standardise.mean))
        self.register_buffer("deviation", torch.from_numpy(head.standardise.deviation))

    def forward(self, x: Tensor) -> Tensor:
        """(image, feature) -> (image, feature)."""
        return (x - self.mean) / self.deviation


def _pixels(image: Grey8) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image))[None, None]


def _array(found: Tensor) -> Floats:
    """(1, 1, row, column) -> (row, column)."""
    return found.detach()[0, 0].float().cpu().numpy()
