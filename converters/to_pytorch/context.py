"""The first argument of every operator function: the node, what is known about values, the net so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NoReturn, cast

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor, fx, nn

from converters.errors import MismatchError, UnsupportedError
from converters.to_pytorch.generated_net import GeneratedNet, Initializer, Submodule, number
from converters.to_pytorch.naming import printable

# A shape; None where a size is known only at run time.
Shape = tuple[int | None, ...]


class Context:
    """The node being converted, and the net it becomes part of.

    is_layer: the node computes the result of its layer, so its module gets the layer's name.
    """

    def __init__(self, net: GeneratedNet, node: ir.Node, layer: str, *, is_layer: bool) -> None:
        self.net = net
        self.node = node
        self.layer = layer
        self._is_layer = is_layer

    def module(
        self,
        module_type: type[nn.Module],
        *arguments: Any,  # noqa: ANN401
        weights: Mapping[str, Initializer] | None = None,
        **keywords: Any,  # noqa: ANN401
    ) -> Callable[..., Tensor]:
        """Adds a module constructed with these arguments; the result, called with tensors, applies it.

        Layers with the same weights and arguments share one module. MismatchError if the weights do not
        have the shapes that the module expects.
        """
        weights = weights or {}
        dtype = next((w.array.dtype for w in weights.values()), np.dtype(np.float32))
        if dtype != np.float32:
            keywords["dtype"] = torch_dtype(ir.DataType.from_numpy(dtype))
        module = Submodule("", self.layer, module_type, arguments, keywords, weights)
        signature = module.signature if weights else None
        if signature in self.net.attributes_by_signature:
            return self._module_call(self.net.attributes_by_signature[signature])
        self._check_weights(module)
        wanted = self.layer if self._is_layer else f"{self.layer}_{self.node.op_type.lower()}"
        attribute = self.net.names.unique(wanted)
        self.net.submodules[attribute] = replace(module, attribute=attribute)
        if signature is not None:
            self.net.attributes_by_signature[signature] = attribute
        return self._module_call(attribute)

    def module_or_function(
        self,
        function: Callable[..., Tensor],
        module_type: type[nn.Module],
        **options: Any,  # noqa: ANN401
    ) -> Callable[..., Tensor]:
        """A module if the node is a whole layer of the source, the function if it is one step of a layer."""
        if self._is_layer:
            return self.module(module_type, **options)
        return lambda x: function(x, **options)

    def call(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401
        """`function(...)` as an expression: for helpers, and for functions without a tensor argument."""
        return self.net.proxy("call_function", function, arguments, keywords)

    def unpack(self, result: Any, count: int) -> tuple[Any, ...]:  # noqa: ANN401
        """The first `count` elements of an expression that is a tuple."""
        result.node.meta["tuple"] = count
        return tuple(result[index] for index in range(count))

    def full(self, sizes: list[Any], element: np.ndarray) -> Tensor:
        """A new tensor of these sizes, filled with the one element of an array."""
        onnx_dtype = ir.DataType.from_numpy(element.dtype)
        like = self.net.first_input()
        if like is not None and self.dtype(like) is onnx_dtype:
            # new_full has the right type also after the net was cast, for example to half precision.
            return cast(Tensor, like.new_full(tuple(sizes), number(element)))
        dtype = torch_dtype(onnx_dtype)
        # torch infers these types from the number itself.
        keywords = {} if dtype in (torch.float32, torch.int64, torch.bool) else {"dtype": dtype}
        return cast(
            Tensor, self.call(torch.full, tuple(sizes), number(element), **keywords, **self.net.device())
        )

    def tensor(self, value: Any) -> Tensor:  # noqa: ANN401
        """An operand of any type as a tensor expression."""
        return cast(Tensor, self.net.tensor(value))

    def rank(self, x: Any) -> int:  # noqa: ANN401
        """Number of axes of an operand; UnsupportedError if it is unknown."""
        shape = self.shape(x)
        if shape is None:
            self.unsupported(
                "the number of axes of its input is not recorded in the model, and cannot be inferred from it"
            )
        return len(shape)

    def shape(self, x: Any) -> Shape | None:  # noqa: ANN401
        """The shape of an operand as far as it is known at conversion; None if even the rank is unknown."""
        x = _constant(x)
        if isinstance(x, fx.Proxy):
            value = x.node.meta.get("value")
            return shape_of(value) if value is not None else None
        return tuple(np.shape(x))

    def dtype(self, x: Any) -> ir.DataType | None:  # noqa: ANN401
        """Element type of an operand; None if the model does not record it."""
        x = _constant(x)
        if isinstance(x, fx.Proxy):
            value = x.node.meta.get("value")
            return value.dtype if value is not None else None
        return ir.DataType.from_numpy(np.asarray(x).dtype)

    def output_shape(self) -> Shape | None:
        """The shape of the first output as far as it is known at conversion."""
        return shape_of(self.node.outputs[0])

    def output_dtype(self) -> ir.DataType:
        """Element type of the first output; UnsupportedError if the model does not record it."""
        dtype = self.node.outputs[0].dtype
        if dtype is None:
            self.unsupported("the element type of its result cannot be inferred from the model")
        return dtype

    def is_used(self, index: int) -> bool:
        """Whether another node or the graph uses output `index` of the node."""
        outputs = self.node.outputs
        return index < len(outputs) and (bool(outputs[index].uses()) or outputs[index].is_graph_output())

    def unsupported(self, reason: str) -> NoReturn:
        """Raises UnsupportedError, which names the layer and the operator."""
        raise UnsupportedError(f"{self.where}: {reason}")

    @property
    def where(self) -> str:
        """The layer and the operator, for messages."""
        return f"layer '{printable(self.layer)}', ONNX operator {self.node.op_type}"

    def _module_call(self, attribute: str) -> Callable[..., Tensor]:
        return lambda *inputs: self.net.proxy("call_module", attribute, inputs)

    def _check_weights(self, module: Submodule) -> None:
        call = repr((module.type, module.arguments, module.keywords))
        if call not in self.net.weight_shapes:
            with torch.device("meta"):
                made = module.type(*module.arguments, **module.keywords)
            self.net.weight_shapes[call] = {
                key: tuple(t.shape) for key, t in made.state_dict().items() if key != "num_batches_tracked"
            }
        expected = self.net.weight_shapes[call]
        given = {key: weight.array.shape for key, weight in module.weights.items()}
        if expected != given:
            raise MismatchError(
                f"{self.where}: {module.type.__name__} expects weights of the shapes {expected}, "
                f"the model has {given}; its attributes and its weights contradict each other"
            )


def _constant(x: Any) -> Any:  # noqa: ANN401
    """The array of an initializer, also of one that is already an expression."""
    if isinstance(x, fx.Proxy):
        x = x.node.meta.get("initializer", x)
    return x.array if isinstance(x, Initializer) else x


def shape_of(value: ir.Value) -> Shape | None:
    """The recorded shape of a value, None if there is none."""
    if value.shape is None:
        return None
    return tuple(size if isinstance(size, int) else None for size in value.shape)


def torch_dtype(dtype: ir.DataType) -> torch.dtype:
    """The torch type of an ONNX element type."""
    name = {"FLOAT": "float32", "DOUBLE": "float64"}.get(dtype.name, dtype.name.lower())
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise UnsupportedError(f"the element type {dtype.name} has no counterpart in PyTorch")
    return found
