"""Depthwise convolutions in bf16 on a CPU, by kernels that are made for them.

oneDNN has gradients of its own for weights of 3 x 3, and for images where the stride is 1; others
it computes as if channels were mixed in blocks of sixteen, which took most of a training step.
Depthwise separable convolutions: Chollet 2017, doi:10.1109/CVPR.2017.195.
"""

from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.amp import custom_bwd, custom_fwd
from torch.overrides import TorchFunctionMode

Pair: TypeAlias = tuple[int, int]
CHANNELS_LAST = torch.channels_last
BLOCK = 3  # side of the kernels whose gradients are fast


class Depthwise(TorchFunctionMode):
    """While it lasts, depthwise convolutions of torch's differentiate as this file does."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Pass on what is not such a convolution."""
        if func is not torch.conv2d or kwargs or len(args) != 7 or not _suits(*args):
            return func(*args, **(kwargs or {}))
        images, weight, bias, stride, padding, _, _ = args
        out = _Convolution.apply(images, weight, stride, padding)  # type: ignore[no-untyped-call]
        return out if bias is None else out + bias.to(out.dtype)[:, None, None]


class _Convolution(torch.autograd.Function):
    @staticmethod
    @custom_fwd(device_type="cpu", cast_inputs=torch.bfloat16)  # type: ignore[untyped-decorator]
    def forward(ctx: Any, images: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(images, weight, None, stride, padding, 1, len(weight))

    @staticmethod
    @custom_bwd(device_type="cpu")  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        images, weight = ctx.saved_tensors
        slope = slopes[0].contiguous(memory_format=CHANNELS_LAST)
        of_images = of_weight = None
        if ctx.needs_input_grad[0]:
            of_images = _of_images(slope, images, weight, ctx.stride, ctx.padding)
        if ctx.needs_input_grad[1]:
            of_weight = _of_weight(slope, images, weight, ctx.stride, ctx.padding)
        return of_images, of_weight, None, None


def _suits(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Pair,
    padding: Pair | str,
    dilation: Pair,
    groups: int,
) -> bool:
    """Whether each channel has a kernel of its own, without holes and at least 3 x 3."""
    sides = weight.shape[2:]
    return (
        1 < groups == len(weight) == images.shape[1]
        and min(sides) >= BLOCK
        and tuple(dilation) == (1, 1)
        and not isinstance(padding, str)
        and all(edge < side for edge, side in zip(padding, sides, strict=True))
    )


def _of_images(
    slope: Tensor, images: Tensor, weight: Tensor, stride: Pair, padding: Pair
) -> Tensor:
    """What each pixel adds to the loss: the slope, spread by the stride, convolved backwards."""
    if tuple(stride) == (1, 1):
        return _native(slope, images, weight, stride, padding, images=True)
    sides = weight.shape[2:]
    reach = [
        seen + 2 * edge - side + 1  # where a kernel may begin: a stride skips some, and the last
        for seen, edge, side in zip(images.shape[2:], padding, sides, strict=True)
    ]
    shape = (*slope.shape[:2], *reach)
    spread = torch.empty(shape, dtype=slope.dtype, memory_format=CHANNELS_LAST).zero_()
    spread[:, :, :: stride[0], :: stride[1]] = slope
    around = [side - 1 - edge for side, edge in zip(sides, padding, strict=True)]
    return F.conv2d(spread, weight.flip(2, 3), None, 1, around, 1, len(weight))


def _of_weight(
    slope: Tensor, images: Tensor, weight: Tensor, stride: Pair, padding: Pair
) -> Tensor:
    """What each weight adds to the loss: larger kernels from overlapping blocks of 3 x 3."""
    if tuple(weight.shape[2:]) == (BLOCK, BLOCK):
        return _native(slope, images, weight, stride, padding, images=False)
    framed = images
    if any(padding):  # else it would be copied all the same
        framed = F.pad(images, (padding[1], padding[1], padding[0], padding[0]))
    height, width = (
        (steps - 1) * step + BLOCK for steps, step in zip(slope.shape[2:], stride, strict=True)
    )
    out, small = torch.empty_like(weight), weight[:, :, :BLOCK, :BLOCK]
    for i in _starts(weight.shape[2]):
        for j in _starts(weight.shape[3]):
            seen = framed[:, :, i : i + height, j : j + width]
            seen = seen.contiguous(memory_format=CHANNELS_LAST)
            gradient = _native(slope, seen, small, stride, (0, 0), images=False)
            out[:, :, i : i + BLOCK, j : j + BLOCK] = gradient
    return out


def _starts(side: int) -> list[int]:
    """Where blocks begin that together cover a kernel's side."""
    return sorted({*range(0, side - BLOCK + 1, BLOCK), side - BLOCK})


def _native(
    slope: Tensor, seen: Tensor, weight: Tensor, stride: Pair, padding: Pair, *, images: bool
) -> Tensor:
    """torch's own gradient, of the images or of the weight."""
    gradients = torch.ops.aten.convolution_backward(
        slope, seen, weight, None, stride, padding,
        dilation=(1, 1), transposed=False, output_padding=(0, 0), groups=len(weight),
        output_mask=(images, not images, False),
    )  # fmt: skip
    gradient: Tensor = gradients[0] if images else gradients[1]
    return gradient
