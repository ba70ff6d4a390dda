"""Converts an ONNX graph to a `GeneratedNet`: passes each node to the function of its operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass
from torch import Tensor, fx

from converters.dropout import attach_dropout, has_detached_dropout
from converters.errors import ConverterError, FormatError, UnsupportedError
from converters.to_pytorch import shape_arithmetic
from converters.to_pytorch.context import Context
from converters.to_pytorch.generated_net import GeneratedNet, Initializer, number
from converters.to_pytorch.naming import Names, printable
from converters.to_pytorch.operators import operators
from converters.to_pytorch.registry import Operator, OperatorInput
from converters.training_settings import multipliers_of
from converters.weights import is_weight

# Before opset 13, Softmax, Squeeze, ReduceSum and others had another meaning.
OLDEST_OPSET = 13

# An ONNX value during the conversion: an expression, a stored tensor, or an array of sizes of which some may
# be expressions.
ConvertedValue = fx.Proxy | Initializer | np.ndarray


def convert(model: ir.Model) -> GeneratedNet:
    """A net that computes what `model` computes, with the dropout of its source for training.

    UnsupportedError names the layer that PyTorch cannot express; FormatError the node that is not valid ONNX.
    """
    opset = model.graph.opset_imports.get("", 0)
    if opset < OLDEST_OPSET:
        raise UnsupportedError(
            f"the model is in ONNX opset {opset}, and the oldest that can be written as PyTorch is "
            f"{OLDEST_OPSET}; bring it up to date with onnx.version_converter.convert_version(model, 18)"
        )
    _infer_missing_shapes(model)
    if has_detached_dropout(model):
        meta = model.meta
        model = model.clone()
        model.meta.update(meta)
        attach_dropout(model)
    return Conversion(model.graph).run()


def _infer_missing_shapes(model: ir.Model) -> None:
    """Adds shapes and types with ONNX's shape inference where the model does not record them."""
    if any(v.shape is None or v.dtype is None for node in model.graph for v in node.outputs):
        ShapeInferencePass(check_type=False, strict_mode=False)(model)


class Conversion:
    """The conversion of one graph under way: the net so far, and what each ONNX value has become."""

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self.net = GeneratedNet()
        self.operators = operators()
        self.values: dict[ir.Value, ConvertedValue] = {}
        self.nodes_per_layer = Counter(_layer_name(node) for node in graph)

    def run(self) -> GeneratedNet:
        """Converts inputs, initializers, nodes and outputs, in this order."""
        names = Names()
        for value in self.graph.initializers.values():
            assert value.const_value is not None
            array = value.const_value.numpy()
            multipliers = multipliers_of(value)
            self.values[value] = Initializer(str(value.name), array, is_weight(value), multipliers)
        for value in self.graph.inputs:
            if value not in self.values:
                proxy = self.net.proxy("placeholder", names.unique(str(value.name)))
                proxy.node.meta["value"] = value
                self.values[value] = proxy
        for node in self.graph:
            self._convert_node(node)
        self._convert_outputs()
        self.net.remove_unused()
        return self.net

    def _convert_outputs(self) -> None:
        results = [self.net.tensor(self.values[value]) for value in self.graph.outputs]
        output = self.net.proxy("output", "output", (results[0] if len(results) == 1 else tuple(results),))
        nodes = output.node.all_input_nodes if len(results) == 1 else output.node.args[0]
        output.node.meta["names"] = {str(v.name): n for v, n in zip(self.graph.outputs, nodes, strict=True)}

    def _convert_node(self, node: ir.Node) -> None:
        layer = _layer_name(node)
        # The node that computes a layer's result has the layer's name; so has its only node.
        is_layer = node.name == layer or self.nodes_per_layer[layer] == 1
        context = Context(self.net, node, layer, is_layer=is_layer)
        self.net.new_nodes.clear()
        try:
            results = self._results(context)
        except (ConverterError, MemoryError, RecursionError):
            raise
        except Exception as error:  # torch and numpy raise many types for an invalid node
            if isinstance(error, fx.proxy.TraceError) or self._has_symbolic_sizes(node, error):
                context.unsupported("its computation depends on sizes that are known only at run time")
            raise FormatError(
                f"{context.where}: its attributes and inputs cannot be understood: {error}"
            ) from error
        for part in self.net.new_nodes:
            part.meta["layer"] = layer
        for value, result in zip(node.outputs, results, strict=False):
            if isinstance(result, fx.Proxy) and "value" not in result.node.meta:
                result.node.meta["value"] = value
            self.values[value] = result
        self._check_output_count(context, results)

    def _has_symbolic_sizes(self, node: ir.Node, error: Exception) -> bool:
        """Whether the error came from using a size that is known only at run time as a number."""
        inputs = [self.values[value] for value in node.inputs if value]
        arrays = [value for value in inputs if isinstance(value, np.ndarray)]
        return isinstance(error, TypeError) and any(array.dtype == object for array in arrays)

    def _results(self, context: Context) -> tuple[Any, ...]:
        inputs = [self.values[value] if value is not None else None for value in context.node.inputs]
        sizes = shape_arithmetic.evaluate(context.node, inputs)
        return (sizes,) if sizes is not None else self._call(context, self._operator(context), inputs)

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

    def _call(
        self, context: Context, operator: Operator, inputs: Sequence[ConvertedValue | None]
    ) -> tuple[Any, ...]:
        shapes = [context.shape(value) for value in inputs if isinstance(value, fx.Proxy)]
        # A constant of shape 1x1x1 may become a number only if another operand has as many axes: a number
        # does not raise the rank of the result.
        literal_rank = max((len(shape or ()) for shape in shapes), default=-1)
        arguments = [
            _argument(context, parameter, value, literal_rank)
            for parameter, value in _match_inputs(context, operator, inputs)
        ]
        result = operator.function(context, *arguments, **_attributes(context, operator))
        return result if isinstance(result, tuple) else (result,)

    def _check_output_count(self, context: Context, results: Sequence[Any]) -> None:
        for index in range(len(results), len(context.node.outputs)):
            if context.is_used(index):
                context.unsupported(f"its output number {index + 1} has no PyTorch form")


def _layer_name(node: ir.Node) -> str:
    """The layer a node belongs to: `converters.graph` names nodes <layer> or <layer>/<operator>."""
    name = node.name or str(node.outputs[0].name)
    layer, _, rest = name.rpartition("/")
    return layer if layer and rest.split("_")[0] == node.op_type else name


def _match_inputs(
    context: Context, operator: Operator, inputs: Sequence[ConvertedValue | None]
) -> Iterator[tuple[OperatorInput, ConvertedValue | None]]:
    """Each parameter of the operator's function with the input it receives."""
    extra = [value for value in inputs[len(operator.inputs) :] if value is not None]
    if extra and operator.variadic is None:
        context.unsupported(f"it has {len(inputs)} inputs, and at most {len(operator.inputs)} are understood")
    for index, parameter in enumerate(operator.inputs):
        value = inputs[index] if index < len(inputs) else None
        if value is None and parameter.name in context.node.attributes:
            # In older opsets this input was an attribute of the same name.
            array = np.asarray(_attribute(context.node.attributes[parameter.name]))
            value = Initializer(f"{context.layer}/{parameter.name}", array)
        if value is None and parameter.required:
            context.unsupported(f"its input {parameter.name!r} is missing")
        yield parameter, value
    for value in extra:
        assert operator.variadic is not None
        yield operator.variadic, value


def _argument(
    context: Context,
    parameter: OperatorInput,
    value: ConvertedValue | None,
    literal_rank: int,
) -> Any:  # noqa: ANN401
    """`value` as the first type in the list of `registry` that the parameter accepts and the value allows."""
    accepted = parameter.accepted_types
    if value is None:
        return None
    if Initializer in accepted and isinstance(value, Initializer):
        return value
    if np.ndarray in accepted and not isinstance(value, fx.Proxy):
        return value.array if isinstance(value, Initializer) else value
    if float in accepted and isinstance(value, Initializer) and _is_literal(value.array, literal_rank):
        return number(value.array)
    if Tensor not in accepted:
        context.unsupported(f"its input {parameter.name!r} must be a constant, but the net computes it")
    return context.tensor(value)


def _is_literal(array: np.ndarray, rank: int) -> bool:
    return array.size == 1 and array.ndim <= rank and array.dtype.kind in "fiub"


def _attributes(context: Context, operator: Operator) -> dict[str, Any]:
    found = {}
    inputs = {parameter.name for parameter in operator.inputs}
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
