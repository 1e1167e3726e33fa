"""Heat maps: which places of an image are evidence for a class."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from hilum.explain.explainer import ExplainableModel, FeaturesAndMaps
from hilum.inference.model import mirrored
from hilum.types import Floats, Grey8, HilumError, Stack8, nearest_name

WINDOWS = 7  # occluding squares along a side, each half over its neighbour
AT_ONCE = 32  # occluded copies of an image in memory


@dataclass(frozen=True, slots=True)
class Method:
    """One way to a heat map: (1, height, width), its maps, a class -> evidence (row, column)."""

    title: str
    # for the class above 0, against it below; from the maps where it needs them
    evidence: Callable[[ExplainableModel, Stack8, Sequence[Tensor], int], Floats]
    says: str
    source: str
    needs_map: bool = True


def compute_maps(
    explainable: ExplainableModel, stack: Stack8, method: str = "gradcam"
) -> list[FeaturesAndMaps]:
    """Prepared (image, height, width) -> features and last maps that `method` needs for any class.

    One entry for the images, and one for their mirror images where the model averages both; none
    for a method that needs no map. Raises HilumError for an unknown method, or where it needs a map
    and the network has none.
    """
    if not find_method(method).needs_map:
        return []
    try:
        if not explainable.mirror:
            return [explainable.see(stack)]
        both = explainable.see(np.concatenate([stack, mirrored(stack)]))
    except HilumError as error:
        raise HilumError(f"{error} Or take method occlusion, which needs none.") from None
    halves = np.s_[: len(stack)], np.s_[len(stack) :]
    return [FeaturesAndMaps(both.features[half], both.maps[half]) for half in halves]


def heat(
    explainable: ExplainableModel,
    image: Grey8,
    class_: int,
    method: str = "gradcam",
    seen: Sequence[Tensor] | None = None,
) -> Floats:
    """Prepared (height, width) -> evidence for a class, 0 and more, in the image's own pixels.

    Evidence against the class is left out (ReLU). `seen`: its map (1, channel, row, column),
    and that of its mirror image, from `compute_maps`, whose errors are raised here too.
    """
    maps = _maps(explainable, image, method) if seen is None else seen
    values = np.maximum(find_method(method).evidence(explainable, image[None], maps, class_), 0)
    height, width = image.shape  # upsampled bilinearly, as Selvaraju et al. 2017 do
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR))


def evidence(
    explainable: ExplainableModel, image: Grey8, class_: int, method: str = "gradcam"
) -> Floats:
    """The same with evidence against the class below 0, at the map's own size (row, column)."""
    maps = _maps(explainable, image, method)
    return find_method(method).evidence(explainable, image[None], maps, class_)


def require(explainable: ExplainableModel, method: str, shape: tuple[int, int]) -> None:
    """Raise HilumError where `method` is unknown or cannot be used on this network."""
    compute_maps(explainable, np.zeros((1, *shape), np.uint8), method)


def find_method(method: str) -> Method:
    """The row of METHODS called `method`; HilumError with the nearest name for another."""
    if method not in METHODS:
        hint = nearest_name(method, METHODS, "choose one.")
        raise HilumError(f"a method is one of {', '.join(METHODS)}; got {method!r}; {hint}")
    return METHODS[method]


def relative(values: Floats) -> Floats:
    """Heat (height, width) as a share of its own maximum; an empty map stays empty."""
    most = float(values.max())
    return values / most if most > 0 else np.zeros_like(values)


def _maps(explainable: ExplainableModel, image: Grey8, method: str) -> list[Tensor]:
    return [sight.maps for sight in compute_maps(explainable, image[None], method)]


def _gradcam(
    explainable: ExplainableModel, _: Stack8, maps: Sequence[Tensor], class_: int
) -> Floats:
    def attribute(maps_of_image: Tensor) -> Tensor:
        gradient = _gradient(explainable, maps_of_image, class_)
        return (gradient.mean((2, 3), keepdim=True) * maps_of_image).sum(1, keepdim=True)

    return _on_the_maps(maps, attribute)


def _hirescam(
    explainable: ExplainableModel, _: Stack8, maps: Sequence[Tensor], class_: int
) -> Floats:
    def attribute(maps_of_image: Tensor) -> Tensor:
        gradient = _gradient(explainable, maps_of_image, class_)
        return (gradient * maps_of_image).sum(1, keepdim=True)

    return _on_the_maps(maps, attribute)


def _gradient(explainable: ExplainableModel, maps: Tensor, class_: int) -> Tensor:
    """Of a class's logit by the last maps (image, channel, row, column), of the same shape."""
    variable = maps.detach().requires_grad_()
    logits = explainable.tail(variable)[:, class_].sum()
    return torch.autograd.grad(logits, variable)[0]


def _on_the_maps(maps: Sequence[Tensor], attribute: Callable[[Tensor], Tensor]) -> Floats:
    """Maps (1, channel, row, column) -> (row, column), averaged with the mirror image's."""
    plain, *turned = (_array(attribute(maps_of_image)) for maps_of_image in maps)
    if not turned:
        return plain
    return np.ascontiguousarray((plain + turned[0][:, ::-1]) / 2)


def _occlusion(
    explainable: ExplainableModel, stack: Stack8, _: Sequence[Tensor], class_: int
) -> Floats:
    """Fall of the logit where a square of mean grey hides the image -> (row, column)."""
    from captum.attr import Occlusion  # half a second that other methods do not wait

    sides = [max(2, round(n / WINDOWS)) for n in stack.shape[1:]]

    def logits(pixels: Tensor) -> Tensor:
        return torch.from_numpy(explainable.logits(pixels[:, 0].to(torch.uint8).numpy()))

    attribution = Occlusion(logits).attribute(
        torch.from_numpy(stack[:, None].astype(np.float32)),
        sliding_window_shapes=(1, *sides),
        strides=(1, *(max(1, side // 2) for side in sides)),
        baselines=float(np.rint(stack.mean())),
        target=class_,
        perturbations_per_eval=AT_ONCE,
    )
    return _array(attribution)


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


def _array(tensor: Tensor) -> Floats:
    """(1, 1, row, column) -> (row, column)."""
    return tensor.detach()[0, 0].float().cpu().numpy()
