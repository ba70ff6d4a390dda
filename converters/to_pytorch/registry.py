"""The ONNX operators that can be written as PyTorch: one decorated function each, in a module of `operators`.

    @operator("LeakyRelu")
    def leaky_relu(ctx: Context, x: Tensor, *, alpha: float = 0.01) -> Tensor:
        return ctx.module(nn.LeakyReLU, alpha)(x)

The decorator is all that registers it. What the function calls on tensors must be a function of `torch` or
`torch.nn.functional` itself (torch.det, not torch.linalg.det) or of `helpers`: the generated file imports no
more. The positional parameters of the function are the operator's inputs, its keyword-only parameters the
attributes. The annotation of an input lists the types that the function accepts; of those that fit the input,
the function gets the first in this order:

    Initializer   a stored tensor, for a parameter of a module
    np.ndarray    a value known at conversion, such as axes; an element that is a size known only at run time
                  is an expression
    float         a single constant number, written into the code
    Tensor        any value, as an expression
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from converters.registry import Registry

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class OperatorInput:
    """One input of an operator, and the types in which its function accepts it."""

    name: str
    accepted_types: frozenset[Any]
    required: bool


@dataclass(frozen=True)
class Operator:
    """An operator function and its signature. `variadic` receives all inputs beyond `inputs`."""

    function: Callable[..., Any]
    inputs: tuple[OperatorInput, ...]
    variadic: OperatorInput | None
    attributes: Mapping[str, inspect.Parameter]

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Operator:
        """Reads the signature of an operator function."""
        hints = get_type_hints(function)
        inputs, variadic, attributes = [], None, {}
        for parameter in list(inspect.signature(function).parameters.values())[1:]:
            if parameter.kind is parameter.KEYWORD_ONLY:
                attributes[parameter.name] = parameter
                continue
            operator_input = OperatorInput(
                parameter.name, _members(hints[parameter.name]), parameter.default is parameter.empty
            )
            if parameter.kind is parameter.VAR_POSITIONAL:
                variadic = operator_input
            else:
                inputs.append(operator_input)
        return cls(function, tuple(inputs), variadic, attributes)


OPERATORS: Registry[Operator] = Registry("ONNX operator")


def operator(*onnx_names: str) -> Callable[[Function], Function]:
    """Registers the decorated function as the one that writes the ONNX operators of these names.

    ValueError if one of them is registered already.
    """

    def register(function: Function) -> Function:
        for name in onnx_names:
            OPERATORS.add(name, Operator.of(function))
        return function

    return register


def _members(hint: Any) -> frozenset[Any]:  # noqa: ANN401
    """The types in a union, without None; list[int] counts as list."""
    if get_origin(hint) in (Union, types.UnionType):
        return frozenset(get_origin(member) or member for member in get_args(hint)) - {types.NoneType}
    return frozenset({get_origin(hint) or hint})
