"""From an ONNX graph to a `Net`: walk the nodes, hand each to the function that writes its operator."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass
from torch import Tensor, fx

from converters.errors import ConverterError, FormatError, UnsupportedError
from converters.to_pytorch import sizes
from converters.to_pytorch.context import Context
from converters.to_pytorch.naming import Names, printable
from converters.to_pytorch.net import Initializer, Net, number
from converters.to_pytorch.operators import operators
from converters.to_pytorch.registry import Input, Operator

# Softmax, Squeeze, ReduceSum and others meant something else before.
OLDEST_OPSET = 13

# What a value is while the net is written: an expression, a constant, or sizes known partly beforehand.
Entry = fx.Proxy | Initializer | np.ndarray


def lower(model: ir.Model) -> Net:
    """The net that computes what `model` computes; UnsupportedError names what cannot be said in PyTorch."""
    opset = model.graph.opset_imports.get("", 0)
    if opset < OLDEST_OPSET:
        raise UnsupportedError(
            f"the model is in ONNX opset {opset}, and the oldest that can be written as PyTorch is "
            f"{OLDEST_OPSET}; bring it up to date with onnx.version_converter.convert_version(model, 18)"
        )
    _infer_missing(model)
    return _Lowering(model.graph).run()


def _infer_missing(model: ir.Model) -> None:
    """Let ONNX infer shapes and types where the model does not record them, as files of others may not."""
    if any(v.shape is None or v.dtype is None for node in model.graph for v in node.outputs):
        ShapeInferencePass(check_type=False, strict_mode=False)(model)


class _Lowering:
    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self.net = Net()
        self.operators = operators()
        self.entries: dict[ir.Value, Entry] = {}
        self.layers = Counter(_layer(node) for node in graph)

    def run(self) -> Net:
        names = Names()
        for value in self.graph.initializers.values():
            assert value.const_value is not None
            self.entries[value] = Initializer(str(value.name), value.const_value.numpy())
        for value in self.graph.inputs:
            if value not in self.entries:
                proxy = self.net.proxy("placeholder", names.claim(str(value.name)))
                proxy.node.meta["value"] = value
                self.entries[value] = proxy
        for node in self.graph:
            self._node(node)
        self._outputs()
        self.net.finish()
        return self.net

    def _outputs(self) -> None:
        results = [self.net.tensor(self.entries[value]) for value in self.graph.outputs]
        output = self.net.proxy("output", "output", (results[0] if len(results) == 1 else tuple(results),))
        nodes = output.node.all_input_nodes if len(results) == 1 else output.node.args[0]
        output.node.meta["names"] = {str(v.name): n for v, n in zip(self.graph.outputs, nodes, strict=True)}

    def _node(self, node: ir.Node) -> None:
        layer = _layer(node)
        # The node that gives a layer's result is named after the layer; so is its only one.
        is_layer = node.name == layer or self.layers[layer] == 1
        context = Context(self.net, node, layer, is_layer=is_layer)
        before = len(self.net.graph.nodes)
        try:
            results = self._results(context)
        except (ConverterError, MemoryError, RecursionError):
            raise
        except Exception as error:  # whatever torch and numpy make of a node that makes no sense
            if isinstance(error, fx.proxy.TraceError) or self._has_open_sizes(node, error):
                context.unsupported("what it does depends on sizes that are known only at run time")
            raise FormatError(
                f"{context.where}: its attributes and inputs cannot be understood: {error}"
            ) from error
        for part in itertools.islice(self.net.graph.nodes, before, None):
            part.meta["layer"] = layer
        for value, result in zip(node.outputs, results, strict=False):
            if isinstance(result, fx.Proxy) and "value" not in result.node.meta:
                result.node.meta["value"] = value
            self.entries[value] = result
        self._check_results(context, results)

    def _has_open_sizes(self, node: ir.Node, error: Exception) -> bool:
        """Whether a number was asked for where a size is known only at run time."""
        sizes = [
            entry for value in node.inputs if value and isinstance(entry := self.entries[value], np.ndarray)
        ]
        return isinstance(error, TypeError) and any(array.dtype == object for array in sizes)

    def _results(self, context: Context) -> tuple[Any, ...]:
        inputs = [self.entries[value] if value is not None else None for value in context.node.inputs]
        known = sizes.evaluate(context.node, inputs)
        return self._call(context, self._operator(context), inputs) if known is None else (known,)

    def _operator(self, context: Context) -> Operator:
        node = context.node
        found = self.operators.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        if found is None:
            domain = f" of the domain {printable(node.domain)}" if node.domain else ""
            context.unsupported(
                f"no PyTorch form of this operator{domain} is known; write the net as .onnx instead, or add "
                "a function for it to converters/to_pytorch/operators"
            )
        return found

    def _call(self, context: Context, operator: Operator, inputs: Sequence[Entry | None]) -> tuple[Any, ...]:
        ranks = [context.shape(entry) for entry in inputs if isinstance(entry, fx.Proxy)]
        # A constant of shape 1x1x1 may be written as a number only beside an operand of as many axes.
        literal_rank = max((len(shape or ()) for shape in ranks), default=-1)
        arguments = [
            _bind(context, form, entry, literal_rank) for form, entry in _pair(context, operator, inputs)
        ]
        result = operator.function(context, *arguments, **_attributes(context, operator))
        return result if isinstance(result, tuple) else (result,)

    def _check_results(self, context: Context, results: Sequence[Any]) -> None:
        for index in range(len(results), len(context.node.outputs)):
            if context.wants(index):
                context.unsupported(f"its output number {index + 1} has no PyTorch form")


def _layer(node: ir.Node) -> str:
    """The layer a node belongs to: `converters.graph` names nodes <layer> or <layer>/<operator>."""
    name = node.name or str(node.outputs[0].name)
    layer, _, rest = name.rpartition("/")
    return layer if layer and rest.split("_")[0] == node.op_type else name


def _pair(
    context: Context, operator: Operator, inputs: Sequence[Entry | None]
) -> Iterator[tuple[Input, Entry | None]]:
    """Each input of the node with the parameter that takes it."""
    extra = [entry for entry in inputs[len(operator.inputs) :] if entry is not None]
    if extra and operator.rest is None:
        context.unsupported(f"it has {len(inputs)} inputs, and at most {len(operator.inputs)} are understood")
    for index, form in enumerate(operator.inputs):
        entry = inputs[index] if index < len(inputs) else None
        if entry is None and form.name in context.node.attributes:
            # Older opsets gave as an attribute what later ones give as the input of that name.
            entry = Initializer(
                f"{context.layer}/{form.name}", np.asarray(_attribute(context.node.attributes[form.name]))
            )
        if entry is None and form.required:
            context.unsupported(f"its input {form.name!r} is missing")
        yield form, entry
    for entry in extra:
        assert operator.rest is not None
        yield operator.rest, entry


def _bind(context: Context, form: Input, entry: Entry | None, literal_rank: int) -> Any:  # noqa: ANN401
    """The most static form of `entry` that the parameter takes."""
    if entry is None:
        return None
    if Initializer in form.forms and isinstance(entry, Initializer):
        return entry
    if np.ndarray in form.forms and not isinstance(entry, fx.Proxy):
        return entry.array if isinstance(entry, Initializer) else entry
    if float in form.forms and isinstance(entry, Initializer) and _is_literal(entry.array, literal_rank):
        return number(entry.array)
    if Tensor not in form.forms:
        context.unsupported(f"its input {form.name!r} must be a constant, and it is computed by the net")
    return context.tensor(entry)


def _is_literal(array: np.ndarray, rank: int) -> bool:
    return array.size == 1 and array.ndim <= rank and array.dtype.kind in "fiub"


def _attributes(context: Context, operator: Operator) -> dict[str, Any]:
    found = {}
    inputs = {form.name for form in operator.inputs}
    for name, attribute in context.node.attributes.items():
        if name in inputs:
            continue
        if name not in operator.attributes:
            context.unsupported(f"its attribute {name!r} is not understood")
        found[name] = _attribute(attribute)
    for name, parameter in operator.attributes.items():
        if parameter.default is parameter.empty and name not in found:
            context.unsupported(f"its attribute {name!r} is missing")
    return found


def _attribute(attribute: ir.Attr) -> Any:  # noqa: ANN401
    if attribute.type is ir.AttributeType.FLOAT:
        return number(np.float32(attribute.as_float()))
    if attribute.type is ir.AttributeType.FLOATS:
        return [number(np.float32(value)) for value in attribute.as_floats()]
    if attribute.type is ir.AttributeType.STRING:
        return attribute.as_string()
    if attribute.type is ir.AttributeType.TENSOR:
        return attribute.as_tensor().numpy()
    return list(attribute.value) if isinstance(attribute.value, Sequence) else attribute.value
