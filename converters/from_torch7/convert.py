"""From the modules of a network to an ONNX model."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError, MismatchError, StaticSizeRequired, UsageError
from converters.from_torch7.expectation import is_table
from converters.from_torch7.handles import Memory, Nest, flat, nested
from converters.from_torch7.module import Module
from converters.from_torch7.modules import classes
from converters.from_torch7.net import TWINS, Net
from converters.from_torch7.objects import TorchObject
from converters.from_torch7.signature import (
    Signature,
    input_type,
    output_type,
    settle_integer_inputs,
    signature,
)
from converters.options import Options
from converters.report import ConversionReport


@dataclass(frozen=True)
class ConvertedModel:
    """A network converted: the walk through it, and the model with its report in `meta`."""

    net: Net
    model: ir.Model


def is_module(item: TorchObject) -> bool:
    """Whether an object is a module, of a known class or not: all of them have these fields."""
    known = item.class_name in classes() or item.class_name.startswith(TWINS)
    return known or bool(item.fields.fields.keys() & {"modules", "gradInput"})


@np.errstate(all="ignore")
def convert(name: str, root: Module, options: Options) -> ConvertedModel:
    """Convert a network; raises ConverterError.

    Stored numbers may be anything, infinities included: what is computed from them is what Torch would get,
    without a warning.
    """
    net = Net(name, classes())
    takes = signature(net, root, options)
    # A net kept in double precision is fed and gives doubles; between them it is computed in float32.
    given, gives = input_type(root), output_type(root)
    inputs: list[Nest] = [
        Memory(net.graph.cast(net.graph.input(key, shape, given), ir.DataType.FLOAT))
        for key, shape in takes.shapes.items()
    ]
    result = _run(net, root, nested(takes.nesting, inputs), takes)
    tensors = [net.graph.cast(tensor.read(), gives) for tensor in flat(result)]
    if not tensors:
        raise FormatError("the net gives an empty table")
    names = [f"output_{k}" for k in range(len(tensors))] if len(tensors) > 1 else ["output"]
    outputs = dict(zip(names, tensors, strict=True))
    if options.outputs is not None:
        outputs = _chosen(net.results | outputs, options.outputs)
    model = net.graph.model(outputs)
    settle_integer_inputs(model.graph)
    report = ConversionReport(framework="torch7", layers=len(net.layers), dropped=net.dropped)
    if is_table(takes.nesting):
        report.notes.append(f"the net takes the table {takes.text()}")
    model.meta["report"] = report
    return ConvertedModel(net, model)


def _run(net: Net, root: Module, x: Nest, takes: Signature) -> Nest:
    try:
        return net.run(root, x)
    except StaticSizeRequired as error:
        message = f"{error}; fix the size of the input, such as {takes.advice()}"
        raise StaticSizeRequired(message) from error
    except (FormatError, MismatchError) as error:
        if not takes.implied:
            raise
        raise type(error)(f"{error} (the input taken as {takes.implied})") from error


def _chosen(known: dict[str, ir.Value], wanted: tuple[str, ...]) -> dict[str, ir.Value]:
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, known, 3)
            hint = (
                f"; did you mean {' or '.join(near)}?"
                if near
                else f"; it has {', '.join(list(known)[:20])}, ..."
            )
            raise UsageError(f"the net has no value called {name!r}{hint}")
    return {name: known[name] for name in wanted}
