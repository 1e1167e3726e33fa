"""Weights of a network in bf16: half the file, read by every engine as float32 again.

What the format keeps of a weight: Kalamkar et al. 2019, arXiv:1905.12322.
"""

from typing import TYPE_CHECKING, Any

from hilum.exporting.onnx_file import NETWORK

if TYPE_CHECKING:
    import onnx


def round_weights(proto: "onnx.ModelProto") -> "onnx.ModelProto":
    """The same graph, its network's kernels and matrices in bf16 with a Cast behind each.

    Head, gate and biases stay in float32: the refusal distance is a small difference.
    """
    import ml_dtypes
    from onnx import ModelProto, TensorProto, helper, numpy_helper

    result = ModelProto()
    result.CopyFrom(proto)
    casts = []
    for tensor in result.graph.initializer:
        if not _is_kernel(tensor, TensorProto.FLOAT):
            continue
        name = tensor.name
        rounded = numpy_helper.to_array(tensor).astype(ml_dtypes.bfloat16)
        tensor.CopyFrom(numpy_helper.from_array(rounded, f"{name}.bf16"))
        casts.append(
            helper.make_node("Cast", [tensor.name], [name], f"{name}.cast", to=TensorProto.FLOAT)
        )
    nodes = [*casts, *result.graph.node]
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    return result


def _is_kernel(tensor: Any, float32: int) -> bool:
    return tensor.name.startswith(NETWORK) and tensor.data_type == float32 and len(tensor.dims) > 1
