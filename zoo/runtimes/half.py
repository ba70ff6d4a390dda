"""fp16 and bf16: which operations run in half precision, in either runtime.

Convolutions and matrix products do, and operations that pass their results on without making them larger. All
others run in float32: local response normalisation sums squares, and the square of 256 is too large for fp16;
scores in half precision would tie.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx_ir
    from torch.overrides import TorchFunctionMode

ONNX_OPERATORS = frozenset(
    {
        *("Conv", "ConvTranspose", "Gemm", "MatMul"),
        *("Relu", "LeakyRelu", "PRelu", "Add", "Concat", "Dropout", "Identity"),
        *("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"),
        *("Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze"),
    }
)
# By name, because functions of torch, of torch.nn.functional and methods of a tensor have the same names.
# Batch normalisation keeps its statistics in float32 there.
TORCH_FUNCTIONS = frozenset(
    {
        *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
        *("linear", "matmul", "__matmul__", "bmm", "mm", "addmm"),
        *("relu", "relu_", "leaky_relu", "prelu", "add", "__add__", "__iadd__"),
        *("cat", "dropout", "batch_norm"),
        *("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"),
        *("flatten", "reshape", "view", "permute", "transpose", "squeeze", "unsqueeze", "contiguous"),
        # Attributes, such as the shape.
        *("__get__", "dim", "size"),
    }
)


def in_half_precision(net: Path) -> bytes:
    """The ONNX model in `net` with float32 input and output, computed in fp16 (see above).

    Weights are rounded to fp16; those beyond its range become its largest value.
    """
    import onnx_ir
    from onnx_ir.passes.common import RemoveUnusedNodesPass, ShapeInferencePass

    import converters

    model = converters.load(net)
    ShapeInferencePass()(model)
    halves: dict[onnx_ir.Value, onnx_ir.Value] = {}
    for node in list(model.graph):
        if node.domain or node.op_type not in ONNX_OPERATORS:
            continue
        for index, value in enumerate(node.inputs):
            if value is not None and value.dtype == onnx_ir.DataType.FLOAT:
                if value not in halves:
                    halves[value] = _rounded(value, node)
                node.replace_input_with(index, halves[value])
        for output in node.outputs:
            if output.dtype == onnx_ir.DataType.FLOAT:
                halves[_float32_of(output, node)] = output
    RemoveUnusedNodesPass()(model)
    content: bytes = onnx_ir.to_proto(model).SerializeToString()
    return content


def _rounded(value: onnx_ir.Value, user: onnx_ir.Node) -> onnx_ir.Value:
    """The fp16 counterpart of a float32 value, for `user` and later nodes."""
    import onnx_ir

    name = f"{value.name}/fp16"
    if value.const_value is None or not value.is_initializer():
        cast = onnx_ir.node("Cast", [value], {"to": onnx_ir.DataType.FLOAT16}, name=name)
        result = cast.outputs[0]
        result.name, result.dtype, result.shape = name, onnx_ir.DataType.FLOAT16, value.shape
        user.prepend(cast)
        return result
    most = np.finfo(np.float16).max
    weights = value.const_value.numpy().clip(-most, most).astype(np.float16)
    result = onnx_ir.val(name, const_value=onnx_ir.tensor(weights, name=name))
    assert value.graph is not None
    value.graph.register_initializer(result)
    return result


def _float32_of(output: onnx_ir.Value, node: onnx_ir.Node) -> onnx_ir.Value:
    """Makes an output of `node` fp16, and returns the float32 value that takes its name and place."""
    import onnx_ir

    name = output.name
    cast = onnx_ir.node("Cast", [output], {"to": onnx_ir.DataType.FLOAT}, name=f"{name}/float32")
    result = cast.outputs[0]
    result.dtype, result.shape = onnx_ir.DataType.FLOAT, output.shape
    node.append(cast)
    output.replace_all_uses_with(result, replace_graph_outputs=True)
    cast.replace_input_with(0, output)
    output.name, output.dtype, result.name = f"{name}/fp16", onnx_ir.DataType.FLOAT16, name
    return result


def float32_elsewhere() -> TorchFunctionMode:
    """While this mode is active, functions not in `TORCH_FUNCTIONS` get float32 instead of half precision."""
    import torch
    from torch.overrides import TorchFunctionMode
    from torch.utils._pytree import tree_map_only

    def widened(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor

    class Float32Elsewhere(TorchFunctionMode):
        def __torch_function__(
            self,
            func: Callable[..., object],
            types: object,
            args: tuple[object, ...] = (),
            kwargs: dict[str, object] | None = None,
        ) -> object:
            kwargs = kwargs or {}
            if getattr(func, "__name__", "") not in TORCH_FUNCTIONS:
                args, kwargs = tree_map_only(torch.Tensor, widened, (args, kwargs))
            return func(*args, **kwargs)

    return Float32Elsewhere()
