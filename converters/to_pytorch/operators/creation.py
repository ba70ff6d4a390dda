"""Constants, tensors created from a shape or range, and casts."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor, fx

from converters.dropout import stops_gradient
from converters.to_pytorch.context import Context, torch_dtype
from converters.to_pytorch.generated_net import Initializer
from converters.to_pytorch.registry import operator
from converters.weights import is_weight_name


@operator("Constant")
def constant(
    ctx: Context,
    *,
    value: np.ndarray | None = None,
    value_float: float | None = None,
    value_floats: list[float] | None = None,
    value_int: int | None = None,
    value_ints: list[int] | None = None,
) -> Initializer:
    """A constant tensor."""
    if value_float is not None or value_floats is not None:
        value = np.array(value_floats if value_float is None else value_float, np.float32)
    if value_int is not None or value_ints is not None:
        value = np.array(value_ints if value_int is None else value_int, np.int64)
    if value is None:
        ctx.unsupported("it holds neither a tensor nor numbers")
    name = str(ctx.node.outputs[0].name)
    return Initializer(name, value, is_weight_name(name))


@operator("ConstantOfShape")
def constant_of_shape(ctx: Context, shape: np.ndarray, *, value: np.ndarray | None = None) -> Tensor:
    """A tensor of this shape filled with one value, by default the float 0."""
    return ctx.full(shape.tolist(), np.zeros(1, np.float32) if value is None else value)


@operator("Range")
def range_(ctx: Context, start: np.ndarray, limit: np.ndarray, delta: np.ndarray) -> Tensor:
    """start, start + delta, ... up to but not including limit."""
    first, last, step = (value.reshape(()).tolist() for value in (start, limit, delta))
    if not any(isinstance(end, fx.Proxy) for end in (first, last, step)) and (last - first) * step <= 0:
        return ctx.full([0], start)  # empty; torch refuses a step away from the limit
    ends = [last] if (first, step) == (0, 1) else [first, last] if step == 1 else [first, last, step]
    dtype = ctx.output_dtype()
    keywords = {} if dtype is ir.DataType.INT64 else {"dtype": torch_dtype(dtype)}
    result: Tensor = ctx.call(torch.arange, *ends, **keywords, **ctx.net.device())
    return result


@operator("EyeLike")
def eye_like(ctx: Context, x: Tensor, *, dtype: int | None = None, k: int = 0) -> Tensor:
    """A matrix of the shape of x with ones on the diagonal k, else zeros."""
    wanted = None if dtype is None else torch_dtype(ir.DataType(dtype))
    return torch.ones_like(x, dtype=wanted).tril(k).triu(k)


@operator("Cast")
def cast(ctx: Context, x: Tensor, *, to: int, saturate: int = 1) -> Tensor:
    """x in another element type."""
    return x.to(torch_dtype(ir.DataType(to)))


@operator("CastLike")
def cast_like(ctx: Context, x: Tensor, like: Tensor) -> Tensor:
    """x in the element type of `like`."""
    return x.to(like.dtype)


@operator("Identity")
def identity(ctx: Context, x: Initializer | np.ndarray | Tensor) -> Initializer | np.ndarray | Tensor:
    """x itself, without any code; where the source lets no gradient pass, x without its past."""
    if stops_gradient(ctx.node) and not isinstance(x, Initializer | np.ndarray):
        return x.detach()
    return x
