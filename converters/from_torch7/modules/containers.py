"""Containers: modules that run other modules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce

import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.backward_shape_inference import ANY, Expected, Repeated, is_known, merge
from converters.from_torch7.conversion import Conversion, Infer
from converters.from_torch7.module import Module
from converters.from_torch7.modules.checks import as_table, as_tensor, tensor_value
from converters.from_torch7.modules.table import join, split_views
from converters.from_torch7.registry import alias, structure
from converters.from_torch7.tensor_references import NestedTensors, TensorReference, View
from converters.sizes import Dim, Shape, dims, product, shape_text


def expected_by_branches(m: Module, infer: Infer, successor: Expected) -> Expected:
    """What all branches over one input expect together."""
    children = m.children()
    successors = (
        successor
        if isinstance(successor, list) and len(successor) == len(children)
        else [ANY] * len(children)
    )
    answers = [infer(child, then) for child, then in zip(children, successors, strict=True)]
    answer = reduce(merge, answers, None)
    return answer if is_known(answer) else None


def expected_by_chain(m: Module, infer: Infer, successor: Expected) -> Expected:
    """What the first module of a chain expects, inferred from the last module to the first."""
    for child in reversed(m.children()):
        successor = infer(child, successor)
    return successor


def expected_by_each_module(m: Module, infer: Infer, successor: Expected) -> Expected:
    """A table of what each module expects."""
    return [infer(child, ANY) for child in m.children()]


def expected_by_map_table(m: Module, infer: Infer, successor: Expected) -> Expected:
    """A table of any length of what the module inside expects."""
    return Repeated(item=infer((m.children() or [m.child("module")])[0], ANY))


@structure("Sequential", expects=expected_by_chain)
def sequential(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """The modules inside, one after the other."""
    for child in m.children():
        x = conversion.run(child, x)
    return x


lp_pooling = alias(
    sequential,
    "SpatialLPPooling",
    summary="(sum of x^p) ^ (1/p) over each window, as the chain of modules stored inside",
)
maxout = alias(
    sequential,
    "Maxout",
    summary="The largest of several Linears at each output, as the chain of modules stored inside",
)
layer_normalization = alias(
    sequential,
    "LayerNormalization",
    summary="Each vector minus its mean, divided by its deviation, as the chain of modules stored inside",
)
same_response_normalization = alias(
    sequential,
    "SpatialSameResponseNormalization",
    summary="LRN over a window of each channel, as the chain of modules stored inside",
)


@structure("ConcatTable", expects=expected_by_branches)
def concat_table(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """The same input to every branch; their outputs as a table."""
    return [conversion.run(child, x) for child in m.children()]


@structure("ParallelTable", expects=expected_by_each_module)
def parallel_table(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """Each entry of a table to another module."""
    table, children = as_table(m, x), m.children()
    if len(table) < len(children):
        raise m.error(FormatError, f"has {len(children)} modules, but a table of {len(table)} arrives")
    return [conversion.run(child, entry) for child, entry in zip(children, table, strict=False)]


@structure("MapTable", expects=expected_by_map_table)
def map_table(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """Each entry of a table through a clone of one module; a file may hold fewer clones than entries."""
    children = m.children() or [m.child("module")]
    results = []
    for k, entry in enumerate(as_table(m, x)):
        if k < len(children):
            results.append(conversion.run(children[k], entry))
        else:
            with conversion.clone(k):
                results.append(conversion.run(children[0], entry))
    return results


def run_branches(
    conversion: Conversion, m: Module, inputs: Iterable[tuple[Module, NestedTensors]]
) -> list[TensorReference]:
    """The outputs of (module, input) pairs, to be read after all have run.

    A module that occurs twice overwrites its first output, as in Torch. Torch adds up the sizes before that:
    UnsupportedError if an output then has another shape.
    """
    outputs, shapes = [], []
    for child, x in inputs:
        outputs.append(as_tensor(m, conversion.run(child, x)))
        shapes.append(dims(outputs[-1].read()))
    for output, shape in zip(outputs, shapes, strict=True):
        if dims(output.read()) != shape:
            changed = f"from {shape_text(shape)} to {shape_text(dims(output.read()))}"
            raise m.unsupported(f"a later branch changes the shape of an output {changed}")
    return outputs


@structure("Concat", expects=expected_by_branches)
def concat(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """The same input to every branch; their outputs joined along `dimension`."""
    parts = run_branches(conversion, m, [(child, x) for child in m.children()])
    return join_branches(conversion, m, parts, m.integer("dimension", minimum=1) - 1)


@structure("DepthConcat", expects=expected_by_branches)
def depth_concat(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """Concat of branches of different sizes: smaller outputs are centred in zeros, an odd zero after."""
    outputs = run_branches(conversion, m, [(child, x) for child in m.children()])
    parts = [output.read() for output in outputs]
    axis = m.integer("dimension", minimum=1) - 1
    ranks = {len(dims(part)) for part in parts}
    if len(ranks) != 1:
        raise m.error(FormatError, "its branches give tensors of different numbers of dimensions")
    largest = [max_size(m, parts, k) for k in range(ranks.pop())]
    with conversion.layer(m, "pad"):
        padded = [conversion.graph.pad(part, centring_pads(m, part, largest, axis)) for part in parts]
    return join_outputs(conversion, m, padded, axis, outputs)


def max_size(m: Module, parts: list[ir.Value], axis: int) -> Dim:
    """The largest size along an axis; it may be symbolic only if all parts have the same size."""
    sizes = {dims(part)[axis] for part in parts}
    return sizes.pop() if len(sizes) == 1 else max(m.static_size(size) for size in sizes)


def centring_pads(m: Module, part: ir.Value, largest: list[Dim], axis: int) -> list[tuple[int, int]]:
    """How many zeros to add (before, after) in each dimension."""
    pads = []
    for k, (size, wanted) in enumerate(zip(dims(part), largest, strict=True)):
        missing = 0 if k == axis or size == wanted else m.static_size(wanted) - m.static_size(size)
        pads.append((missing // 2, missing - missing // 2))
    return pads


@structure("Parallel")
def parallel(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """Each entry of one dimension to another module; their outputs joined along another dimension."""
    tensor = as_tensor(m, x)
    axis = m.integer("inputDimension", minimum=1) - 1
    children = m.children()
    if axis >= len(dims(tensor.read())) or m.static_size(dims(tensor.read())[axis]) > len(children):
        raise m.error(FormatError, f"has {len(children)} modules for the entries of dimension {axis + 1}")
    slices = split_views(conversion, m, tensor, axis)
    parts = run_branches(conversion, m, zip(children, slices, strict=False))
    return join_branches(conversion, m, parts, m.integer("outputDimension", minimum=1) - 1)


def join_branches(
    conversion: Conversion, m: Module, outputs: list[TensorReference], axis: int
) -> NestedTensors:
    """The outputs of branches joined along an axis, in the output tensor of the container."""
    return join_outputs(conversion, m, [output.read() for output in outputs], axis, outputs)


def join_outputs(
    conversion: Conversion, m: Module, parts: list[ir.Value], axis: int, reads: Sequence[TensorReference]
) -> NestedTensors:
    """Values joined along an axis, in the output tensor of the container; `reads` is where they were read."""
    if not parts:
        raise m.error(FormatError, "has no modules")
    with conversion.layer(m, "concat") as layer:
        result = join(conversion.graph, m, parts, axis)
        layer.set_output(parts, result)
    return conversion.output_of(m, result, [*reads])


@structure("Bottle", expects=None)
def bottle(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """The module inside, with the leading dimensions folded into one for it."""
    inner = m.integer("nInputDim", 2, minimum=1)
    (child,) = m.children()[:1] or [m.child("module")]
    value = tensor_value(m, x)
    lead = dims(value)[: len(dims(value)) - inner]
    if not lead:
        return conversion.output_set(m, as_tensor(m, conversion.run(child, x)))
    first = dims(value)[len(lead)]
    folded = product([*lead, first])
    inside = reshaped_view(conversion, m, x, (folded, *dims(value)[len(lead) + 1 :]))
    output = conversion.run(child, inside)
    result = tensor_value(m, output)
    if dims(result)[0] != folded:
        folded, first = dims(result)[0], m.static_size(dims(result)[0]) // m.static_size(product(lead))
    return conversion.output_set(m, reshaped_view(conversion, m, output, (*lead, first, *dims(result)[1:])))


def reshaped_view(conversion: Conversion, m: Module, x: NestedTensors, shape: Shape) -> TensorReference:
    """A view of a tensor in another shape."""
    tensor, g = as_tensor(m, x), conversion.graph
    with conversion.layer(m, "view"):
        return View(
            tensor,
            lambda base: g.reshape(base, shape),
            lambda base, new: g.reshape(new, dims(base)),
        )


@structure("CReLU", expects=None)
def crelu(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """relu(x) and relu(-x) joined along the channels."""
    value = tensor_value(m, x)
    shape = dims(value)
    batched = len(shape) == m.integer("nInputDims") + 1
    lead: Shape = shape[:1] if batched else (1,)
    rest = shape[1:] if batched else shape
    inner = as_tensor(
        m, sequential.run(conversion, m, reshaped_view(conversion, m, x, (*lead, product(rest))))
    )
    doubled = (2 * rest[0], *rest[1:])
    # Torch resizes the output tensor of the last module inside.
    inner.set(reshaped_view(conversion, m, inner, (*lead, *doubled) if batched else doubled))
    return inner
