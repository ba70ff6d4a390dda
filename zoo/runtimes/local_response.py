"""Local response normalisation without a power of every value: how a processor computes it fast.

LRN divides x by (bias + alpha / size * sum of the squares of x over `size` neighbouring channels) ** beta.
Neither ONNX Runtime's nor PyTorch's kernel has a fast power; LRN takes 41 % of the time of GoogLeNet in ONNX
Runtime. For the usual beta, 0.75, the power is the product of a square root and a fourth root.

This belongs where a net is opened, not into the file: one LRN node is what people and other runtimes read and
have kernels for, and a GPU computes powers fast.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from converters import ConverterError, SourceFile, wire

if TYPE_CHECKING:
    import onnx
    from torch import Tensor
    from torch.nn import Module

BETA = 0.75
# The sums over channels are a 1x1 convolution, whose work grows with their square. Known nets have up to 256.
MOST_CHANNELS = 512
# Field numbers of onnx.proto: ModelProto.graph; GraphProto.node and initializer; NodeProto.op_type.
GRAPH, NODE, INITIALIZER, OP_TYPE = 7, 1, 5, 4
# TensorProto.dims, data_type and name.
HEADER_OF_TENSOR = (1, 2, 8)
# Larger initialisers are weights; smaller ones may be shapes, which shape inference reads.
SMALL = 1024


def onnx_without_powers(net: Path) -> bytes | None:
    """The content of an .onnx file, with other nodes for each LRN that can do without a power.

    None if there is none, or if the file cannot be read as ONNX, which its runtime reports. Weights are
    copied once, and never parsed.
    """
    try:
        return _rewritten(wire.Buffer(SourceFile(net).view, str(net), max_fields=None))
    except (OSError, ValueError, ConverterError):
        return None


def _rewritten(model: wire.Buffer) -> bytes | None:
    graphs = [field for field in model.fields() if field.number == GRAPH]
    if len(graphs) != 1:
        return None
    (graph,) = graphs
    parts = list(model.fields(graph.start, graph.end))
    if not any(_op_type(model, part) == b"LRN" for part in parts if part.number == NODE):
        return None
    weights = [part for part in parts if part.number == INITIALIZER]
    head = [model.bytes(part.begin, part.end) for part in parts if part.number != INITIALIZER]
    outer = [model.bytes(field.begin, field.end) for field in model.fields() if field.number != GRAPH]
    skeleton = _with_graph(outer, [*head, *(_header(model, tensor) for tensor in weights)])
    changed = _replace_nodes(skeleton)
    if changed is None:
        return None
    # Protobuf joins the parts of a repeated field, wherever they are in the message.
    stored = [model.bytes(tensor.begin, tensor.end) for tensor in weights]
    return _with_graph(outer, [changed, *stored])


def _op_type(model: wire.Buffer, node: wire.Field) -> bytes:
    found = [field for field in model.fields(node.start, node.end) if field.number == OP_TYPE]
    return model.bytes(found[-1].start, found[-1].end) if found else b""


def _header(model: wire.Buffer, tensor: wire.Field) -> bytes:
    """An initialiser without its numbers, unless they are few."""
    if tensor.end - tensor.start <= SMALL:
        return model.bytes(tensor.begin, tensor.end)
    fields = model.fields(tensor.start, tensor.end)
    kept = [model.bytes(field.begin, field.end) for field in fields if field.number in HEADER_OF_TENSOR]
    return _tagged(INITIALIZER, kept)


def _with_graph(outer: list[bytes], graph: list[bytes]) -> bytes:
    return b"".join([*outer, _tagged(GRAPH, graph)])


def _tagged(number: int, parts: list[bytes]) -> bytes:
    """A message as field `number` of another one."""
    return b"".join([_varint(number << 3 | wire.LENGTH), _varint(sum(map(len, parts))), *parts])


def _varint(value: int) -> bytes:
    digits = []
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def _replace_nodes(skeleton: bytes) -> bytes | None:
    """The graph of a model without its initialisers, LRN replaced; None if no LRN can be."""
    import onnx

    model = onnx.ModelProto.FromString(skeleton)
    channels = _channels(onnx.shape_inference.infer_shapes(model).graph)
    graph = model.graph
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    for node in graph.node:
        if node.op_type == "LRN" and node.domain == "" and (known := channels.get(node.input[0])):
            made = _without_power(node, known)
            if made is not None:
                nodes += made[0]
                constants += made[1]
                continue
        nodes.append(node)
    if not constants:
        return None
    del graph.node[:]
    del graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
    content: bytes = graph.SerializeToString()
    return content


def _channels(graph: onnx.GraphProto) -> dict[str, int]:
    """The size of the second axis of each value that has one, where it is known."""
    shapes = {value.name: value.type.tensor_type.shape.dim for value in [*graph.value_info, *graph.input]}
    return {name: shape[1].dim_value for name, shape in shapes.items() if len(shape) > 1}


def _without_power(
    node: onnx.NodeProto, channels: int
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]] | None:
    """(nodes, constants) that compute what an LRN node does; None if its settings need a power."""
    from onnx import helper, numpy_helper

    # The defaults of ONNX.
    settings = {"alpha": 1e-4, "beta": 0.75, "bias": 1.0}
    settings |= {field.name: helper.get_attribute_value(field) for field in node.attribute}
    alpha, bias, size = settings["alpha"], settings["bias"], int(settings["size"])
    if settings["beta"] != BETA or channels > MOST_CHANNELS or alpha < 0 or bias <= 0:
        return None
    x, y = node.input[0], node.output[0]
    # The convolution sums over the channels of ONNX's window: an even one has one channel more after the
    # centre.
    distance = np.arange(channels)[None, :] - np.arange(channels)[:, None]
    window = (distance >= -((size - 1) // 2)) & (distance <= size // 2)
    weight = np.where(window, np.float32(alpha / size), np.float32(0))[:, :, None, None].astype(np.float32)
    constants = [
        numpy_helper.from_array(weight, f"{y}/weight"),
        numpy_helper.from_array(np.full(channels, bias, np.float32), f"{y}/bias"),
    ]
    steps = [
        ("Mul", [x, x], f"{y}/squares"),
        ("Conv", [f"{y}/squares", f"{y}/weight", f"{y}/bias"], f"{y}/sums"),
        ("Sqrt", [f"{y}/sums"], f"{y}/root"),
        ("Sqrt", [f"{y}/root"], f"{y}/fourth_root"),
        ("Mul", [f"{y}/root", f"{y}/fourth_root"], f"{y}/divisor"),
        ("Div", [x, f"{y}/divisor"], y),
    ]
    return [
        helper.make_node(kind, inputs, [output], name=output) for kind, inputs, output in steps
    ], constants


def replace_in_module(module: Module) -> None:
    """Replace each nn.LocalResponseNorm in a PyTorch net that can do without a power, in place."""
    from torch import nn
    from torch.nn import functional

    class LocalResponseNormWithoutPower(nn.Module):
        """As nn.LocalResponseNorm with beta 0.75 and a window of odd size."""

        def __init__(self, size: int, alpha: float, k: float) -> None:
            super().__init__()
            self.size, self.alpha, self.k = size, alpha, k

        def forward(self, x: Tensor) -> Tensor:
            """Normalise (images, channels, height, width)."""
            count, half = x.shape[1], self.size // 2
            # Zeros before the first and after the last channel.
            squares = functional.pad(x * x, (0, 0, 0, 0, half, half))
            sums = squares[:, :count].clone()
            for first in range(1, self.size):
                sums += squares[:, first : first + count]
            root = sums.mul_(self.alpha / self.size).add_(self.k).sqrt_()
            return x / (root * root.sqrt())

    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if not isinstance(child, nn.LocalResponseNorm) or child.size % 2 == 0:
                continue
            if child.beta == BETA and child.alpha >= 0 and child.k > 0:
                setattr(parent, name, LocalResponseNormWithoutPower(child.size, child.alpha, child.k))
