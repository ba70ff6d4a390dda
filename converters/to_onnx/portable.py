"""Rewrites a net so that other runtimes than ONNX Runtime compute it too, before it is written as .onnx.

Every rewriting keeps the results in ONNX Runtime and replaces something that OpenCV 5.0, OpenVINO 2026.4 or
tract 0.23 was measured to refuse or, without a word, to compute otherwise. `make test-runtimes` measures
again. Only the copy that is written changes: the model that was read, and so its PyTorch form, stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir

from converters.to_onnx.graph_edits import (
    append,
    constant,
    editing,
    insert,
    ints,
    named_constant,
    new_node,
    replace,
    sizes,
)
from converters.to_onnx.portable_pooling import pad_first_input, pool_at_every_size, scatter_maxima

_INT64 = ir.DataType.INT64
# From here on, tanh is 1 in float32.
_TANH_IS_ONE = 20.0
# From here on, the softplus of x is x in float32.
_SOFTPLUS_IS_IDENTITY = 60.0
# The longest axis that is reversed by a list of places: the list is part of the file.
_MAX_PLACES = 2**16
# A convolution of constants is computed if it takes up to this many multiplications for each of its steps.
_MAX_COMPUTED = 2**24
# In the meta of a graph under way: the values that are known to depend on an input.
_DEPENDENT = "depends_on_input"


def portable_copy(model: ir.Model, *, rewrite: bool = True) -> ir.Model:
    """A copy of a model that shares the arrays of its weights; with `rewrite`, in the portable form."""
    copy = model.clone()
    copy.meta.update(model.meta)
    if not rewrite:
        return copy
    graph = copy.graph
    with editing(graph):
        for node in list(graph):
            _drop_trailing_empty_inputs(node)
            if (rewriting := _REWRITES.get(node.op_type)) is not None:
                rewriting(graph, node)
    graph.meta.pop(_DEPENDENT, None)
    for name in [name for name, value in graph.initializers.items() if not value.uses()]:
        if not graph.initializers[name].is_graph_output():
            del graph.initializers[name]
    _rename_nodes_named_like_inputs(graph)
    _leave_symbolic_sizes_open(graph)
    return copy


def runtime_limits(model: ir.Model) -> list[str]:
    """What other runtimes than ONNX Runtime refuse or compute otherwise in this net, as notes."""
    notes = []
    for node in model.graph:
        if node.op_type in ("MaxRoiPool", "ReverseSequence"):
            notes.append(f"OpenCV 5 and tract refuse {node.op_type} (node {node.name})")
        elif node.op_type == "MaxPool" and len(node.outputs) > 1 and len(node.outputs[0].shape or ()) != 4:
            notes.append(f"OpenCV 5 refuses MaxPool with places on other than images (node {node.name})")
        elif node.op_type == "NonMaxSuppression":
            notes.append(
                "OpenCV 5 and OpenVINO may keep other boxes where scores are equal or corners are swapped "
                f"(node {node.name})"
            )
    return notes


def _drop_trailing_empty_inputs(node: ir.Node) -> None:
    """OpenVINO refuses Gemm(a, b, "") and tract dies of Conv(x, w, "")."""
    count = len(node.inputs)
    while count and node.inputs[count - 1] is None:
        count -= 1
    if count < len(node.inputs):
        node.resize_inputs(count)


def _pad_before_pointwise_convolution(graph: ir.Graph, node: ir.Node) -> None:
    """OpenCV ignores the pads of a convolution with a 1x1 kernel: they become a Pad before it."""
    weight = node.inputs[1]
    pads = ints(node, "pads")
    if not any(pads) or weight is None or weight.shape is None or any(k != 1 for k in weight.shape[2:]):
        return
    node.attributes.pop("pads")
    pad_first_input(graph, node, pads)


def _rewrite_convolution(graph: ir.Graph, node: ir.Node) -> None:
    _pad_before_pointwise_convolution(graph, node)
    _fold_convolution_of_constant(graph, node)


def _reduce_two_axes_at_a_time(graph: ir.Graph, node: ir.Node) -> None:
    """OpenCV reduces three or more axes wrongly unless they are the last: first the last two."""
    axes_value = node.inputs[1] if len(node.inputs) > 1 else None
    x = node.inputs[0]
    if axes_value is None or axes_value.const_value is None or x is None or x.shape is None:
        return
    rank = len(x.shape)
    axes = sorted(int(axis) % rank for axis in axes_value.const_value.numpy().reshape(-1))
    while len(axes) > 2 and axes != list(range(rank - len(axes), rank)):
        axes, last = axes[:-2], axes[-2:]
        keepdims = node.attributes.get_int("keepdims", 1)
        shape = [1 if axis in last else size for axis, size in enumerate(sizes(x))]
        shape = shape if keepdims else [size for axis, size in enumerate(shape) if axis not in last]
        inputs = [x, constant(graph, np.array(last, np.int64))]
        x = insert(graph, node, node.op_type, inputs, shape, replaces=0, keepdims=keepdims).outputs[0]
        assert x.shape is not None
        rank = len(x.shape)
        node.replace_input_with(1, constant(graph, np.array(axes, np.int64)))


def _hide_broadcast_constant(graph: ir.Graph, node: ir.Node) -> None:
    """OpenCV multiplies wrongly by a constant matrix whose batch axes broadcast; an Identity prevents it."""
    shapes = [list(value.shape or []) if value is not None else [] for value in node.inputs]
    if len(shapes[0]) <= 2 and len(shapes[1]) <= 2:
        return
    for k, value in enumerate(node.inputs):
        if value is None or value.const_value is None or shapes[0][:-2] == shapes[1][:-2]:
            continue
        insert(graph, node, "Identity", [value], sizes(value), replaces=k)


def _bound_tanh(graph: ir.Graph, node: ir.Node) -> None:
    """OpenCV's tanh is NaN from about 44 on: its input is cut where the result is 1 to the last bit."""
    x = node.inputs[0]
    assert x is not None
    bounds = [constant(graph, np.array(bound, np.float32)) for bound in (-_TANH_IS_ONE, _TANH_IS_ONE)]
    insert(graph, node, "Clip", [x, *bounds], sizes(x), replaces=0)


def _reverse_by_places(graph: ir.Graph, node: ir.Node) -> None:
    """tract fails on a reversed axis behind a Reshape: a Gather of the places from the last to the first."""
    x = node.inputs[0]
    bounds = [value.const_value for value in node.inputs[1:] if value is not None]
    if x is None or len(bounds) != 4 or any(bound is None or bound.size != 1 for bound in bounds):
        return
    start, end, axis, step = (int(bound.numpy()[0]) for bound in bounds if bound is not None)
    size = sizes(x)[axis]
    if size is None or size > _MAX_PLACES or (start, step) != (-1, -1) or end > -size - 1:
        return
    places = np.arange(size - 1, -1, -1, dtype=np.int64)
    inputs = [x, named_constant(graph, f"{node.name}/constant", places)]
    replace(graph, node, new_node(graph, node, "Gather", inputs, sizes(x), axis=axis))


def _bound_softplus(graph: ir.Graph, node: ir.Node) -> None:
    """OpenCV's and tract's softplus is infinite from about 88 on: max(softplus(min(x, 60)), x) is not.

    From about 20 on, softplus(x) is x in float32.
    """
    x = node.inputs[0]
    assert x is not None
    bound = constant(graph, np.array(_SOFTPLUS_IS_IDENTITY, np.float32))
    insert(graph, node, "Min", [x, bound], sizes(x), replaces=0)
    append(graph, node, "Max", x)


def _stable_log_softmax(graph: ir.Graph, node: ir.Node) -> None:
    """OpenCV and tract take the logarithm of the softmax, which is 0 far below the largest value.

    Equal to x - max(x) - log(sum(exp(x - max(x)))).
    """
    x = node.inputs[0]
    assert x is not None
    assert x.shape is not None
    axis = node.attributes.get_int("axis", -1) % len(x.shape)
    shape = sizes(x)
    reduced = [1 if k == axis else size for k, size in enumerate(shape)]
    axes = constant(graph, np.array([axis], np.int64))
    largest = new_node(graph, node, "ReduceMax", [x, axes], reduced, keepdims=1)
    shifted = new_node(graph, node, "Sub", [x, largest], shape)
    total = new_node(graph, node, "ReduceLogSumExp", [shifted, axes], reduced, keepdims=1)
    result = new_node(graph, node, "Sub", [shifted, total], shape)
    replace(graph, node, result)


def _select_by_places(graph: ir.Graph, node: ir.Node) -> None:
    """OpenCV and tract have no Compress: a Gather of the places where the condition holds."""
    data, condition = node.inputs
    assert data is not None
    assert condition is not None
    flat = constant(graph, np.array([-1], np.int64))
    axis = node.attributes.get_int("axis", 0)
    if "axis" not in node.attributes:
        data = new_node(graph, node, "Reshape", [data, flat], [None])
    places = new_node(graph, node, "NonZero", [condition], [1, None], dtype=_INT64)
    places = new_node(graph, node, "Reshape", [places, flat], [None], dtype=_INT64)
    result = new_node(graph, node, "Gather", [data, places], sizes(node.outputs[0]), axis=axis)
    replace(graph, node, result)


def _fold_convolution_of_constant(graph: ir.Graph, node: ir.Node) -> None:
    """OpenCV refuses a convolution whose image is a constant: it and what it is made of are computed now."""
    if node.outputs[0].is_graph_output():
        return
    made = _computed_from_constants(node, graph.meta.setdefault(_DEPENDENT, set()))
    if made is None or any(_multiplications(part) > _MAX_COMPUTED for part in made):
        return
    arrays: dict[ir.Value, np.ndarray] = {}
    for part in made:
        _compute(part, arrays)
    result = named_constant(graph, f"{node.name}/constant", arrays[node.outputs[0]])
    ir.convenience.replace_all_uses_with(node.outputs[0], result)
    for part in reversed(made):
        if not any(output.uses() or output.is_graph_output() for output in part.outputs):
            graph.remove(part, safe=True)


def _computed_from_constants(node: ir.Node, dependent: set[ir.Value]) -> list[ir.Node] | None:
    """The nodes, in their order, that compute a node's result from constants; None if it needs an input.

    dependent: the values that are known to need an input. Those that are found are added, so that each node
    of a long net is passed once.
    """
    made: dict[ir.Node, None] = {}
    stack = [(node, iter(node.inputs))]
    while stack:
        current, inputs = stack[-1]
        for value in inputs:
            if value is None or value.const_value is not None:
                continue
            producer = value.producer()
            if producer is None or value in dependent:
                dependent.update(output for waiting, _ in stack for output in waiting.outputs)
                return None
            if producer not in made:
                stack.append((producer, iter(producer.inputs)))
                break
        else:
            made[current] = None
            stack.pop()
    return list(made)


def _multiplications(node: ir.Node) -> float:
    """How many multiplications a node takes at most; infinity where a size is not known."""
    weight = node.inputs[1] if node.op_type == "Conv" else None
    shapes = [*(value.shape for value in node.outputs), weight.shape if weight is not None else ()]
    if any(shape is None or any(not isinstance(size, int) for size in shape) for shape in shapes):
        return math.inf
    *results, each = [[size for size in shape or () if isinstance(size, int)] for shape in shapes]
    return sum(math.prod(result) for result in results) * math.prod(each[1:])


def _compute(node: ir.Node, arrays: dict[ir.Value, np.ndarray]) -> None:
    """Adds the outputs of a node to `arrays`, in which its inputs are unless they are constants."""
    from onnx.reference import ReferenceEvaluator

    given: dict[str, np.ndarray] = {}
    for value in node.inputs:
        if value is not None:
            known = value.const_value
            given[str(value.name)] = known.numpy() if known is not None else arrays[value]
    results: Any = ReferenceEvaluator(ir.serde.serialize_node(node)).run(None, given)
    arrays.update(zip(node.outputs, results, strict=True))


def _rename_nodes_named_like_inputs(graph: ir.Graph) -> None:
    """In tract, a node may not have the name of an input."""
    inputs = {value.name for value in graph.inputs}
    names = {node.name for node in graph} | inputs
    for node in graph:
        if node.name in inputs:
            wanted, k = f"{node.name}/{node.op_type}", 1
            while wanted in names:
                k += 1
                wanted = f"{node.name}/{node.op_type}_{k}"
            node.name = wanted
            names.add(wanted)


def _leave_symbolic_sizes_open(graph: ir.Graph) -> None:
    """Inside the net a symbolic size becomes an unknown one.

    tract takes the names of sizes literally: a model whose input gets the batch size 2 is refused where an
    inner value says N.
    """
    for node in graph:
        for value in node.outputs:
            if value.shape is not None and not value.is_graph_output():
                value.shape = ir.Shape(sizes(value))


_REWRITES: dict[str, Callable[[ir.Graph, ir.Node], None]] = {
    "AveragePool": pool_at_every_size,
    "Compress": _select_by_places,
    "Conv": _rewrite_convolution,
    "MatMul": _hide_broadcast_constant,
    "MaxPool": pool_at_every_size,
    "LogSoftmax": _stable_log_softmax,
    **dict.fromkeys(("ReduceL1", "ReduceL2", "ReduceMax"), _reduce_two_axes_at_a_time),
    **dict.fromkeys(("ReduceMean", "ReduceMin", "ReduceSum"), _reduce_two_axes_at_a_time),
    "MaxUnpool": scatter_maxima,
    "Slice": _reverse_by_places,
    "Softplus": _bound_softplus,
    "Tanh": _bound_tanh,
}
