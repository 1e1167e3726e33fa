"""A graph in int8, calibrated on images, as much of it as the proof allows.

NNCF's post-training quantisation with fast bias correction (Jacob et al. 2018, arXiv:1712.05877;
Nagel et al. 2019, arXiv:1906.04721). Weights keep seven bits: processors without VNNI add two
products in sixteen bits, which eight-bit weights overflow. What follows the network, head and gate,
is never quantised; of the network's layers the first ones stay in full precision where they must.
"""

import io
import logging
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from hilum.exporting.graph import INPUT
from hilum.exporting.onnx_file import NETWORK
from hilum.progress import Advance
from hilum.types import Stack8

if TYPE_CHECKING:
    import onnx
    from onnx import NodeProto

CALIBRATED = 128  # images: features from 300 are no nearer to those in full precision
SHARES = (0.0, 0.25, 0.5, 0.75)  # of the network's layers that stay in float32, tried in turn
LAYERS = ("Conv", "Gemm", "MatMul")


def quantise(proto: "onnx.ModelProto", images: Stack8, advance: Advance) -> "onnx.ModelProto":
    """The same graph in int8, calibrated on prepared (image, height, width)."""
    import nncf
    from nncf.quantization.advanced_parameters import OverflowFix
    from onnx import ModelProto

    def calibration_input(i: int) -> dict[str, Stack8]:
        advance(i + 1, len(images))
        return {INPUT: images[i : i + 1]}

    nncf.set_log_level(logging.ERROR)
    source = ModelProto()
    source.CopyFrom(proto)
    with redirect_stdout(io.StringIO()):  # its own progress bars would break into hilum's
        result: ModelProto = nncf.quantize(
            source,
            nncf.Dataset(range(len(images)), calibration_input),
            subset_size=len(images),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                overflow_fix=OverflowFix.ENABLE
            ),
            ignored_scope=nncf.IgnoredScope(
                names=[node.name for node in after_network(proto)], validate=False
            ),
        )
    return result


def with_first_layers(
    in_int8: "onnx.ModelProto", proto: "onnx.ModelProto", layer: str
) -> "onnx.ModelProto":
    """The quantised graph with every node up to a `layer` as it was in the original `proto`.

    Layers are corrected one by one, so that none that stays quantised needs another calibration.
    """
    from onnx import ModelProto

    names = [node.name for node in proto.graph.node]
    first = proto.graph.node[: names.index(layer) + 1]
    restored = {node.name for node in first}
    nodes = [*first, *(n for n in in_int8.graph.node if n.name not in restored)]
    used = {output.name for output in proto.graph.output}
    needed = []
    for node in reversed(nodes):  # quantisers that nobody reads any more are left out
        if used.intersection(node.output):
            used.update(node.input)
            needed.append(node)
    result = ModelProto()
    result.CopyFrom(in_int8)
    for part in (result.graph.node, result.graph.initializer, result.graph.value_info):
        del part[:]
    result.graph.node.extend(reversed(needed))
    original = {name for node in first for name in node.input}  # biases were corrected in place
    sources = [(proto, original & used), (in_int8, used - original)]
    for source, tensors in sources:
        result.graph.initializer.extend(t for t in source.graph.initializer if t.name in tensors)
    return result


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
