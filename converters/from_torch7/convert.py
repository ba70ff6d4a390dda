"""One network of Torch modules -> an ONNX model with its conversion report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError, MismatchError, StaticSizeRequired, UsageError
from converters.from_torch7.backward_shape_inference import is_table
from converters.from_torch7.conversion import NN_PREFIXES, Conversion
from converters.from_torch7.module import Module
from converters.from_torch7.modules import CLASSES
from converters.from_torch7.objects import TorchObject
from converters.from_torch7.signature import (
    Signature,
    infer_signature,
    input_type,
    output_type,
    type_integer_inputs,
)
from converters.from_torch7.tensor_references import NestedTensors, ValueStorage, flatten, nest_like
from converters.options import Options
from converters.report import ConversionReport
from converters.suggestions import close_names


@dataclass(frozen=True)
class ConvertedModel:
    """A converted network: the model, with its report in `meta`, and the conversion that made it."""

    conversion: Conversion
    model: ir.Model


def is_module(item: TorchObject) -> bool:
    """Whether an object is a module, of a known class or not: every module has one of these fields."""
    known = item.class_name in CLASSES or item.class_name.startswith(NN_PREFIXES)
    return known or bool(item.fields.fields.keys() & {"modules", "gradInput"})


@np.errstate(all="ignore")
def convert(name: str, root: Module, options: Options, stored_bytes: int = 0) -> ConvertedModel:
    """Convert a network; raises ConverterError. stored_bytes: the size of its file.

    Stored numbers may be anything, also infinite: what is computed from them is what Torch would compute,
    without a warning.
    """
    conversion = Conversion(name, CLASSES, stored_bytes)
    signature = infer_signature(conversion, root, options)
    graph = conversion.graph
    # A net in double precision takes and gives doubles; between them it is computed in float32.
    takes, gives = input_type(root), output_type(root)
    inputs: list[NestedTensors] = [
        ValueStorage(graph.cast(graph.input(key, shape, takes), ir.DataType.FLOAT))
        for key, shape in signature.shapes.items()
    ]
    result = _run(conversion, root, nest_like(signature.nesting, inputs), signature)
    tensors = [graph.cast(tensor.read(), gives) for tensor in flatten(result)]
    if not tensors:
        raise FormatError("the net gives an empty table")
    names = [f"output_{k}" for k in range(len(tensors))] if len(tensors) > 1 else ["output"]
    outputs = dict(zip(names, tensors, strict=True))
    if options.outputs is not None:
        outputs = _select_outputs(conversion.layer_outputs | outputs, options.outputs)
    model = graph.model(outputs)
    type_integer_inputs(model.graph)
    report = ConversionReport(framework="torch7", layers=len(conversion.layers), dropped=conversion.dropped)
    if is_table(signature.nesting):
        report.notes.append(f"the net takes the table {signature.table_text()}")
    model.meta["report"] = report
    return ConvertedModel(conversion, model)


def _run(conversion: Conversion, root: Module, x: NestedTensors, signature: Signature) -> NestedTensors:
    try:
        result = conversion.run(root, x)
        conversion.graph.check_open_products()
        return result
    except StaticSizeRequired as error:
        message = f"{error}; fix the size of the input, such as {signature.shape_options()}"
        raise StaticSizeRequired(message) from error
    except (FormatError, MismatchError) as error:
        if not signature.inferred:
            raise
        raise type(error)(f"{error} (the input taken as {signature.inferred})") from error


def _select_outputs(known: dict[str, ir.Value], wanted: tuple[str, ...]) -> dict[str, ir.Value]:
    for name in wanted:
        if name not in known:
            near = close_names(name, known, 3)
            hint = (
                f"; did you mean {' or '.join(near)}?"
                if near
                else f"; it has {', '.join(list(known)[:20])}, ..."
            )
            raise UsageError(f"the net has no value called {name!r}{hint}")
    return {name: known[name] for name in wanted}
