"""Containers: modules that run other modules."""

from __future__ import annotations

import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.builder import Builder
from converters.from_torch7.handles import Nest
from converters.from_torch7.module import Module
from converters.from_torch7.net import Net
from converters.from_torch7.registry import PASS, Ask, Expected, structure
from converters.graph import dims


def first_that_says(m: Module, ask: Ask) -> Expected:
    """What branches over one input expect: the first that says more than "anything"."""
    answers = [ask(child) for child in m.children()]
    return next((answer for answer in answers if answer), PASS if PASS in answers else None)


def chain_expects(m: Module, ask: Ask) -> Expected:
    """What a chain expects: what its first module says, channels left open as its successors say."""
    found: Expected = PASS
    for child in m.children():
        answer = ask(child)
        if answer == PASS:
            continue
        if not found:
            found = answer
        elif isinstance(answer, tuple) and isinstance(found, tuple) and len(answer) == len(found):
            # Only the channels: a window changes the other sizes on the way.
            found = (found[0], answer[1], *found[2:])
        if not isinstance(found, tuple) or found[1] is not None or answer is None:
            break
    return found


@structure("Sequential", expects=chain_expects)
def sequential(net: Net, m: Module, x: Nest) -> Nest:
    """One after the other."""
    for child in m.children():
        x = net.run(child, x)
    return x


@structure("ConcatTable", expects=first_that_says)
def concat_table(net: Net, m: Module, x: Nest) -> Nest:
    """The same input to every branch; their outputs as a table."""
    return [net.run(child, x) for child in m.children()]


@structure("Concat", expects=first_that_says)
def concat(net: Net, m: Module, x: Nest) -> Nest:
    """The same input to every branch; their outputs joined along `dimension`."""
    parts = [tensor_value(m, net.run(child, x)) for child in m.children()]
    with net.layer(m, "concat") as layer:
        result = join(net.graph, m, parts, m.integer("dimension", least=1) - 1)
        layer.results(parts, result)
    return net.output_of(m, result)


def tensor_value(m: Module, x: Nest) -> ir.Value:
    """The value of a tensor; FormatError for a table."""
    if isinstance(x, list):
        raise m.error(FormatError, "a branch gives a table where a tensor is needed")
    return x.read()


def join(g: Builder, m: Module, parts: list[ir.Value], axis: int) -> ir.Value:
    """Tensors joined along an axis, after checking that they fit."""
    ranks = {len(dims(part)) for part in parts}
    if len(ranks) != 1 or not 0 <= axis < ranks.pop():
        raise m.error(FormatError, f"cannot join tensors of these shapes along dimension {axis + 1}")
    return g.concat(parts, axis)
