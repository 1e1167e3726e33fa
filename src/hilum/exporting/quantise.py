"""A graph in int8, calibrated on images, as much of it as the proof allows.

NNCF's post-training quantisation with fast bias correction (Jacob et al. 2018, arXiv:1712.05877;
Nagel et al. 2019, arXiv:1906.04721). Weights keep seven bits: processors without VNNI add two
products in sixteen bits, which eight-bit weights overflow. What follows the network, head and gate,
is never quantised; of the network's layers the first ones stay in full precision where they must.
"""

import io
import logging
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from hilum.exporting.graph import INPUT
from hilum.exporting.onnx_file import NETWORK
from hilum.types import Stack8

if TYPE_CHECKING:
    import onnx
    from onnx import NodeProto

CALIBRATED = 128  # images: features from 300 are no nearer to those in full precision
SHARES = (0.0, 0.15, 0.3, 0.5, 0.75)  # of the network's layers that stay as they are, tried in turn
LAYERS = ("Conv", "Gemm", "MatMul")


def quantised(proto: "onnx.ModelProto", images: Stack8, kept: Sequence[str]) -> "onnx.ModelProto":
    """The same graph in int8, calibrated on prepared (image, height, width).

    `kept`: names of nodes that stay in float32 besides those that follow the network.
    """
    import nncf
    from nncf.quantization.advanced_parameters import OverflowFix
    from onnx import ModelProto

    nncf.set_log_level(logging.ERROR)
    source = ModelProto()
    source.CopyFrom(proto)
    names = [*(node.name for node in after_network(proto)), *kept]
    with redirect_stdout(io.StringIO()):  # its own progress bars would break into hilum's
        made: ModelProto = nncf.quantize(
            source,
            nncf.Dataset([{INPUT: image[None]} for image in images]),
            subset_size=len(images),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                overflow_fix=OverflowFix.ENABLE
            ),
            ignored_scope=nncf.IgnoredScope(names=names, validate=False),
        )
    return made


def layers(proto: "onnx.ModelProto") -> list[str]:
    """The network's layers with weights, from the input on."""
    return [
        node.name
        for node in proto.graph.node
        if node.op_type in LAYERS and any(name.startswith(NETWORK) for name in node.input)
    ]


def after_network(proto: "onnx.ModelProto") -> list["NodeProto"]:
    """The nodes that no weight of the network comes behind: means, head, gate, heat."""
    makers = {name: node for node in proto.graph.node for name in node.output}
    waiting = [n for n in proto.graph.node if any(i.startswith(NETWORK) for i in n.input)]
    before: set[str] = set()
    while waiting:
        node = waiting.pop()
        if node.name not in before:
            before.add(node.name)
            waiting += [makers[name] for name in node.input if name in makers]
    return [node for node in proto.graph.node if node.name not in before]
