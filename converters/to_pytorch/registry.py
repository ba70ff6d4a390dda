"""What an operator is: one decorated function, found by the ONNX name it carries.

    @operator("LeakyRelu")
    def leaky_relu(ctx: Context, x: Tensor, *, alpha: float = 0.01) -> Tensor:
        return ctx.module(nn.LeakyReLU, alpha)(x)

Its positional parameters are the operator's inputs, its keyword-only parameters the attributes. The
annotation of an input lists the forms the function takes, and it is given the most static of those that fits:

    Initializer   a weight, for a parameter of a module
    np.ndarray    a value known beforehand, such as axes; sizes known only at run time are expressions in it
    float         a single constant number, written into the code
    Tensor        anything, as an expression
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Function = TypeVar("Function", bound=Callable[..., Any])


def operator(*onnx_names: str) -> Callable[[Function], Function]:
    """Mark a function as the one that writes these ONNX operators."""

    def mark(function: Function) -> Function:
        function.__dict__["onnx_names"] = onnx_names
        return function

    return mark


@dataclass(frozen=True)
class Input:
    """One input of an operator and the forms its function takes it in."""

    name: str
    forms: frozenset[Any]
    required: bool


@dataclass(frozen=True)
class Operator:
    """An operator function with its signature taken apart. `rest` takes all inputs beyond `inputs`."""

    function: Callable[..., Any]
    inputs: tuple[Input, ...]
    rest: Input | None
    attributes: Mapping[str, inspect.Parameter]

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Operator:
        """Read the signature of a decorated function."""
        hints = get_type_hints(function)
        inputs, rest, attributes = [], None, {}
        for parameter in list(inspect.signature(function).parameters.values())[1:]:
            if parameter.kind is parameter.KEYWORD_ONLY:
                attributes[parameter.name] = parameter
                continue
            form = Input(
                parameter.name, _members(hints[parameter.name]), parameter.default is parameter.empty
            )
            if parameter.kind is parameter.VAR_POSITIONAL:
                rest = form
            else:
                inputs.append(form)
        return cls(function, tuple(inputs), rest, attributes)


def _members(hint: Any) -> frozenset[Any]:  # noqa: ANN401
    if get_origin(hint) in (Union, types.UnionType):
        return frozenset(get_origin(member) or member for member in get_args(hint)) - {types.NoneType}
    return frozenset({get_origin(hint) or hint})


def collect(*families: types.ModuleType) -> dict[str, Operator]:
    """The operators of these modules by ONNX name."""
    return {
        name: Operator.of(function)
        for family in families
        for function in vars(family).values()
        for name in getattr(function, "onnx_names", ())
    }
