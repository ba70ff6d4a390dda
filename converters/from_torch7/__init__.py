"""A Torch7 file -> onnx_ir.Model.

`reader` turns the bytes into objects, `signature` finds out what the net takes, `net` walks the modules in
the order Torch runs them, `modules` holds what each class computes. Nothing in the file is ever executed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from converters.errors import (
    ConverterError,
    FormatError,
    MismatchError,
    StaticSizeRequired,
    UnsupportedError,
    UsageError,
)
from converters.report import ConversionReport

if TYPE_CHECKING:
    import onnx_ir as ir

    from converters.from_torch7.module import Module
    from converters.from_torch7.reader import Content
    from converters.options import Options

__all__ = ["read"]


def read(path: Path, options: Options) -> ir.Model:
    """The net in a .t7 file, as it computes after evaluate().

    Its inputs are `input`, or `input_0`, `input_1`, ... for a table, depth first; its outputs likewise. The
    batch is called N; other sizes that the net leaves open get names too, unless `options.input_shapes`
    gives them. Raises ConverterError.
    """
    from converters.from_torch7.reader import read as read_content

    content = read_content(path)
    try:
        model = _convert(path.stem, _network(content), options)
    except ConverterError as error:
        raise type(error)(f"{path}: {error}") from error
    model.meta["maps"] = {path: content.data}
    if content.surplus:
        model.meta["report"].notes.append(
            f"{content.surplus:,} bytes after the first object were not read; Torch reads no further either"
        )
    return model


def _network(content: Content) -> Module:
    """The module in a file; UnsupportedError if the file holds something else."""
    from converters.from_torch7.module import Module, describe
    from converters.from_torch7.objects import TorchObject

    if isinstance(content.value, TorchObject):
        return Module(content.value)
    raise UnsupportedError(f"this is data, not a network: {describe(content.value)}")


def _convert(name: str, root: Module, options: Options) -> ir.Model:
    import onnx_ir as ir

    from converters.from_torch7.expectation import is_table
    from converters.from_torch7.handles import Memory, Nest, flat, nested
    from converters.from_torch7.modules import classes
    from converters.from_torch7.net import Net
    from converters.from_torch7.signature import is_double, settle_integer_inputs, signature

    net = Net(name, classes())
    takes = signature(net, root, options)
    given = ir.DataType.DOUBLE if is_double(root) else ir.DataType.FLOAT
    inputs: list[Nest] = [
        Memory(net.graph.cast(net.graph.input(key, shape, given), ir.DataType.FLOAT))
        for key, shape in takes.shapes.items()
    ]
    try:
        result = net.run(root, nested(takes.nesting, inputs))
    except StaticSizeRequired as error:
        raise UsageError(f"{error}; fix the size of the input, such as {takes.advice()}") from error
    except (FormatError, MismatchError) as error:
        if not takes.implied:
            raise
        raise type(error)(f"{error} (for {takes.implied}; give another shape with --input-shape)") from error
    tensors = [net.graph.cast(tensor.read(), given) for tensor in flat(result)]
    if not tensors:
        raise FormatError("the net gives an empty table")
    names = [f"output_{k}" for k in range(len(tensors))] if len(tensors) > 1 else ["output"]
    outputs = dict(zip(names, tensors, strict=True))
    if options.outputs is not None:
        outputs = _chosen(net.results | outputs, options.outputs)
    model = net.graph.model(outputs)
    settle_integer_inputs(model.graph)
    report = ConversionReport(framework="torch7", layers=len(net.results), dropped=net.dropped)
    if is_table(takes.nesting):
        report.notes.append(f"the net takes the table {takes.text()}")
    model.meta["report"] = report
    return model


def _chosen(known: dict[str, ir.Value], wanted: tuple[str, ...]) -> dict[str, ir.Value]:
    import difflib

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
