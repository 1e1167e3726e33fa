"""Gradients of depthwise convolutions: torch's own in fp64 are the second opinion."""

import pytest
import torch
from torch import Tensor, nn

from hilum.training.depthwise import Depthwise, Pair

# (image side, kernel, stride, padding)
CASES = [
    ((12, 12), (3, 3), (1, 1), (1, 1)),
    ((13, 13), (3, 3), (2, 2), (0, 0)),
    ((12, 14), (3, 3), (2, 2), (1, 1)),  # a stride passes the last row and column by
    ((14, 14), (5, 5), (1, 1), (2, 2)),
    ((15, 17), (5, 5), (2, 2), (0, 0)),
    ((16, 13), (5, 3), (2, 1), (2, 0)),
    ((11, 11), (7, 7), (1, 1), (3, 3)),
    ((18, 17), (7, 4), (3, 2), (1, 2)),
]


def layer(kernel: Pair, stride: Pair, padding: Pair) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(16, 16, kernel, stride, padding, groups=16)


def slopes(
    net: nn.Conv2d, images: Tensor, mode: bool, bf16: bool = False
) -> tuple[Tensor, list[Tensor]]:
    """Output, and the gradients of images, weight and bias for a loss that tells pixels apart."""
    images = images.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        if mode:
            with Depthwise():
                out = net(images)
        else:
            out = net(images)
    loss = (out.to(images.dtype) * torch.linspace(0, 1, out.numel()).reshape(out.shape)).sum()
    return out, list(torch.autograd.grad(loss, [images, net.weight, net.bias]))


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_torch_s_own(case: tuple[Pair, Pair, Pair, Pair]) -> None:
    side, *kind = case
    net = layer(*kind).double()
    images = torch.randn(3, 16, *side, dtype=torch.float64)
    out, found = slopes(net, images, mode=True)
    wanted_out, wanted = slopes(net, images, mode=False)
    torch.testing.assert_close(out, wanted_out)
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("case", CASES)
def test_gradients_in_bf16_are_those_of_fp32_rounded(case: tuple[Pair, Pair, Pair, Pair]) -> None:
    side, *kind = case
    net = layer(*kind)
    images = torch.randn(3, 16, *side).to(memory_format=torch.channels_last)
    out, found = slopes(net, images, mode=True, bf16=True)
    wanted_out, wanted = slopes(net, images, mode=False)
    assert out.dtype == torch.bfloat16
    for ours, theirs in zip([out, *found], [wanted_out, *wanted], strict=True):
        error = (ours.float() - theirs).norm() / theirs.norm()
        assert error < 0.01


@pytest.mark.parametrize(
    "net",
    [
        nn.Conv2d(16, 16, 3),
        nn.Conv2d(16, 16, 3, groups=4),
        nn.Conv2d(16, 32, 3, groups=16),
        nn.Conv2d(16, 16, 1, groups=16),
        nn.Conv2d(16, 16, 3, dilation=2, groups=16),
        nn.Conv2d(16, 16, 3, padding="same", groups=16),
        nn.Conv2d(16, 16, 3, padding=4, groups=16),
    ],
    ids=str,
)
def test_other_convolutions_are_left_to_torch(net: nn.Conv2d) -> None:
    with Depthwise():
        assert net(torch.randn(1, 16, 9, 9)).grad_fn.name() != "_ConvolutionBackward"
    own = nn.Conv2d(16, 16, 3, groups=16)
    with Depthwise():
        assert own(torch.randn(1, 16, 9, 9)).grad_fn.name() != "ConvolutionBackward0"


def test_frozen_weights_get_no_gradient() -> None:
    net = nn.Conv2d(16, 16, 5, groups=16, bias=False).requires_grad_(requires_grad=False)
    images = torch.randn(1, 16, 9, 9, requires_grad=True)
    with Depthwise():
        net(images).sum().backward()
    assert net.weight.grad is None
    assert images.grad is not None
