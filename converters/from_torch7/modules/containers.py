"""Containers: modules that run other modules."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.expectation import PASS, Expected, Many, merged, says_something
from converters.from_torch7.handles import Nest, View
from converters.from_torch7.module import Module
from converters.from_torch7.modules.table import as_table, entries, join
from converters.from_torch7.net import Net
from converters.from_torch7.registry import Ask, also, structure
from converters.graph import Dim, Shape, dims, product


def branches_expect(m: Module, ask: Ask, after: Expected) -> Expected:
    """What branches over one input want, as far as they agree."""
    children = m.children()
    wanted = after if isinstance(after, list) and len(after) == len(children) else [PASS] * len(children)
    answers = [ask(child, then) for child, then in zip(children, wanted, strict=True)]
    answer = reduce(merged, answers, None)
    return answer if says_something(answer) else None


def chain_expects(m: Module, ask: Ask, after: Expected) -> Expected:
    """What a chain wants, from its end to its beginning."""
    for child in reversed(m.children()):
        after = ask(child, after)
    return after


def each_expects(m: Module, ask: Ask, after: Expected) -> Expected:
    """One input for each module."""
    return [ask(child, PASS) for child in m.children()]


def mapped_expects(m: Module, ask: Ask, after: Expected) -> Expected:
    """Any number of what the module inside wants."""
    return Many(item=ask((m.children() or [m.child("module")])[0], PASS))


@structure("Sequential", expects=chain_expects)
def sequential(net: Net, m: Module, x: Nest) -> Nest:
    """The modules inside, one after the other."""
    for child in m.children():
        x = net.run(child, x)
    return x


lp_pooling = also(
    sequential,
    "SpatialLPPooling",
    summary="(sum of x^p) ^ (1/p) over each window, as the chain of modules stored inside",
)
maxout = also(
    sequential,
    "Maxout",
    summary="The largest of several Linears at each output, as the chain of modules stored inside",
)
layer_normalization = also(
    sequential,
    "LayerNormalization",
    summary="Each vector less its mean and over its deviation, as the chain of modules stored inside",
)
same_response_normalization = also(
    sequential,
    "SpatialSameResponseNormalization",
    summary="LRN over a window of each channel, as the chain of modules stored inside",
)


@structure("ConcatTable", expects=branches_expect)
def concat_table(net: Net, m: Module, x: Nest) -> Nest:
    """The same input to every branch; their outputs as a table."""
    return [net.run(child, x) for child in m.children()]


@structure("ParallelTable", expects=each_expects)
def parallel_table(net: Net, m: Module, x: Nest) -> Nest:
    """Each entry of a table to a module of its own."""
    table, children = as_table(m, x), m.children()
    if len(table) < len(children):
        raise m.error(FormatError, f"has {len(children)} modules, but a table of {len(table)} arrives")
    return [net.run(child, entry) for child, entry in zip(children, table, strict=False)]


@structure("MapTable", expects=mapped_expects)
def map_table(net: Net, m: Module, x: Nest) -> Nest:
    """Each entry of a table through a clone of one module; a file may hold fewer clones than entries."""
    children = m.children() or [m.child("module")]
    results = []
    for k, entry in enumerate(as_table(m, x)):
        if k < len(children):
            results.append(net.run(children[k], entry))
        else:
            with net.clone(k):
                results.append(net.run(children[0], entry))
    return results


def branches(net: Net, m: Module, inputs: Iterable[tuple[Module, Nest]]) -> list[ir.Value]:
    """What modules give for an input each, once all have run: who runs twice has overwritten the first."""
    outputs = [net.run(child, x) for child, x in inputs]
    return [tensor_value(m, output) for output in outputs]


@structure("Concat", expects=branches_expect)
def concat(net: Net, m: Module, x: Nest) -> Nest:
    """The same input to every branch; their outputs joined along `dimension`."""
    parts = branches(net, m, [(child, x) for child in m.children()])
    return joined(net, m, parts, m.integer("dimension", least=1) - 1)


@structure("DepthConcat", expects=branches_expect)
def depth_concat(net: Net, m: Module, x: Nest) -> Nest:
    """Concat of branches of different sizes: smaller ones are centred in zeros, the odd one after."""
    parts = branches(net, m, [(child, x) for child in m.children()])
    axis = m.integer("dimension", least=1) - 1
    ranks = {len(dims(part)) for part in parts}
    if len(ranks) != 1:
        raise m.error(FormatError, "its branches give tensors of different rank")
    largest = [max_size(m, parts, k) for k in range(ranks.pop())]
    with net.layer(m, "pad"):
        parts = [net.graph.pad(part, centring(m, part, largest, axis)) for part in parts]
    return joined(net, m, parts, axis)


def max_size(m: Module, parts: list[ir.Value], axis: int) -> Dim:
    """The largest size along an axis; one symbolic size that all share counts as such."""
    sizes = {dims(part)[axis] for part in parts}
    return sizes.pop() if len(sizes) == 1 else max(m.known(size) for size in sizes)


def centring(m: Module, part: ir.Value, largest: list[Dim], axis: int) -> list[tuple[int, int]]:
    """How much to add before and after in each dimension."""
    pads = []
    for k, (size, wanted) in enumerate(zip(dims(part), largest, strict=True)):
        missing = 0 if k == axis or size == wanted else m.known(wanted) - m.known(size)
        pads.append((missing // 2, missing - missing // 2))
    return pads


@structure("Parallel")
def parallel(net: Net, m: Module, x: Nest) -> Nest:
    """Each entry of one dimension to a module of its own; their outputs joined along another."""
    if isinstance(x, list):
        raise m.error(FormatError, "takes a tensor, but a table arrives")
    axis = m.integer("inputDimension", least=1) - 1
    children = m.children()
    if axis >= len(dims(x.read())) or m.known(dims(x.read())[axis]) > len(children):
        raise m.error(FormatError, f"has {len(children)} modules for the entries of dimension {axis + 1}")
    slices = entries(net, m, x, axis)
    parts = branches(net, m, zip(children, slices, strict=False))
    return joined(net, m, parts, m.integer("outputDimension", least=1) - 1)


def joined(net: Net, m: Module, parts: list[ir.Value], axis: int) -> Nest:
    """The outputs of branches in memory of the container's own."""
    if not parts:
        raise m.error(FormatError, "has no modules")
    with net.layer(m, "concat") as layer:
        result = join(net.graph, m, parts, axis)
        layer.results(parts, result)
    return net.output_of(m, result)


def tensor_value(m: Module, x: Nest) -> ir.Value:
    """The value of a tensor; FormatError for a table."""
    if isinstance(x, list):
        raise m.error(FormatError, "works on a tensor, but a table arrives")
    return x.read()


@structure("Bottle", expects=None)
def bottle(net: Net, m: Module, x: Nest) -> Nest:
    """Leading dimensions folded into one around a module that takes fewer."""
    inner = m.integer("nInputDim", 2, least=1)
    (child,) = m.children()[:1] or [m.child("module")]
    value = tensor_value(m, x)
    lead = dims(value)[: len(dims(value)) - inner]
    if not lead:
        return net.run(child, x)
    first = dims(value)[len(lead)]
    folded = product([*lead, first])
    inside = reshaped(net, m, x, (folded, *dims(value)[len(lead) + 1 :]))
    output = net.run(child, inside)
    result = tensor_value(m, output)
    if dims(result)[0] != folded:
        folded, first = dims(result)[0], m.known(dims(result)[0]) // m.known(product(lead))
    return reshaped(net, m, output, (*lead, first, *dims(result)[1:]))


def reshaped(net: Net, m: Module, x: Nest, shape: Shape) -> Nest:
    """A tensor under another shape, on the same memory."""
    assert not isinstance(x, list)
    g = net.graph
    with net.layer(m, "view"):
        return View(
            x,
            lambda below: g.reshape(below, shape),
            lambda below, seen: g.reshape(seen, dims(below)),
            x.contiguous,
        )


@structure("CReLU", expects=None)
def crelu(net: Net, m: Module, x: Nest) -> Nest:
    """relu(x) and relu(-x) joined over the channels: a chain of modules over flattened samples."""
    value = tensor_value(m, x)
    shape = dims(value)
    batched = len(shape) == m.integer("nInputDims") + 1
    lead: Shape = shape[:1] if batched else (1,)
    rest = shape[1:] if batched else shape
    inner = sequential.run(net, m, reshaped(net, m, x, (*lead, product(rest))))
    doubled = (2 * rest[0], *rest[1:])
    return reshaped(net, m, inner, (*lead, *doubled) if batched else doubled)
