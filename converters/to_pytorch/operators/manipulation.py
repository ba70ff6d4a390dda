"""Tensor manipulation: shape, order of axes, slicing, joining, padding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from converters.to_pytorch.context import Context, Shape
from converters.to_pytorch.generated_net import Initializer
from converters.to_pytorch.helpers import manipulation as helpers
from converters.to_pytorch.registry import operator

# From this magnitude on, the start or end of an ONNX slice means the end of the axis.
_OPEN_END = 2**31 - 1


@operator("Shape")
def shape_(ctx: Context, x: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    """The sizes as a tensor, for a shape that the model does not record (else see `shape_arithmetic`)."""
    sizes = x.shape[start:end] if start or end is not None else x.shape
    return ctx.tensor(ctx.call(torch.tensor, sizes, **ctx.net.device()))


@operator("Size")
def size_(ctx: Context, x: Tensor) -> Tensor:
    """The number of elements as a tensor, for a shape that the model does not record."""
    return ctx.tensor(ctx.call(torch.tensor, x.numel(), **ctx.net.device()))


@operator("Reshape")
def reshape(ctx: Context, x: Tensor, shape: np.ndarray | Tensor, *, allowzero: int = 0) -> Tensor:
    """Another shape; 0 copies a size, -1 is inferred. An unknown size is never written as a number."""
    if not isinstance(shape, np.ndarray):
        if allowzero:
            return x.reshape(shape.tolist())
        result: Tensor = ctx.call(helpers.reshape_to, x, shape)
        return result
    have, sizes = ctx.shape(x), shape.tolist()
    copied = []
    for axis, size in enumerate(sizes):
        if isinstance(size, int) and size == 0 and not allowzero:
            known = have[axis] if have is not None else None
            sizes[axis] = x.shape[axis] if known is None else known
            copied += [axis] if known is None else []
    if _is_flatten(have, sizes):
        return x.flatten(1)
    if have is not None and have.count(None) == 1 and len(copied) == 1:
        sizes = _inferred(have, sizes, copied[0])
    return x.reshape(*sizes) if sizes else x.reshape(())


def _inferred(have: Shape, sizes: list[Any], unknown: int) -> list[Any]:
    """The sizes with -1 for the only unknown one, which torch infers, and numbers for all others."""
    others = [*sizes[:unknown], *sizes[unknown + 1 :]]
    if not all(isinstance(size, int) and size != 0 for size in others):
        return sizes
    if -1 in others:
        count = math.prod(size for size in have if size is not None)
        others[others.index(-1)] = count // math.prod(size for size in others if size != -1)
    return [*others[:unknown], -1, *others[unknown:]]


def _is_flatten(have: Shape | None, sizes: list[Any]) -> bool:
    """Whether all axes but the first become one."""
    if have is None or len(have) < 2 or len(sizes) != 2:
        return False
    if not isinstance(sizes[0], int):
        return isinstance(sizes[1], int) and sizes[1] in (-1, math.prod(size or 0 for size in have[1:]))
    rest = None if None in have[1:] else math.prod(size or 0 for size in have[1:])
    return sizes in ([-1, rest], [have[0], rest], [have[0], -1])


@operator("Flatten")
def flatten(ctx: Context, x: Tensor, *, axis: int = 1) -> Tensor:
    """A matrix: the axes before `axis` become its rows, the others its columns."""
    rank = ctx.rank(x)
    axis += rank if axis < 0 else 0
    if axis == rank:
        return x.reshape(-1, 1)
    if axis == 1:
        return x.flatten(1)
    return x.reshape(1, -1) if axis == 0 else x.flatten(0, axis - 1).flatten(1)


@operator("Transpose")
def transpose(ctx: Context, x: Tensor, *, perm: list[int] | None = None) -> Tensor:
    """The axes in another order, by default reversed."""
    order = list(reversed(range(ctx.rank(x)))) if perm is None else perm
    return x.permute(*order) if order else x


@operator("Squeeze")
def squeeze(ctx: Context, x: Tensor, axes: np.ndarray | None = None) -> Tensor:
    """x without these axes, which have size 1; by default without all of size 1."""
    if axes is None:
        shape = ctx.shape(x)
        if shape is None or None in shape:
            ctx.unsupported("without axes, the shape of its input must be known beforehand")
        axes = np.array([axis for axis, size in enumerate(shape) if size == 1], np.int64)
    return x.squeeze(_axes(axes)) if axes.size else x


@operator("Unsqueeze")
def unsqueeze(ctx: Context, x: Tensor, axes: np.ndarray) -> Tensor:
    """x with new axes of size 1, numbered as in the result."""
    if any(axis < 0 for axis in axes.tolist()):
        axes = axes % (ctx.rank(x) + axes.size)
    for axis in sorted(axes.tolist()):
        x = x.unsqueeze(axis)
    return x


@operator("Expand")
def expand(ctx: Context, x: Initializer | Tensor, shape: np.ndarray | Tensor) -> Tensor:
    """Broadcast against a shape; 1 keeps the size of an axis. A single number is filled into a new tensor."""
    if not isinstance(shape, np.ndarray):
        result: Tensor = ctx.call(helpers.broadcast_to, ctx.tensor(x), shape)
        return result
    if isinstance(x, Initializer) and x.array.size == 1 and x.array.ndim <= len(shape):
        return ctx.full(shape.tolist(), x.array)
    sizes, rank = shape.tolist(), ctx.rank(x)
    sizes = [1] * (rank - len(sizes)) + sizes
    have = [1] * (len(sizes) - rank) + list(ctx.shape(x) or ())
    for axis in range(len(sizes) - rank, len(sizes)):
        # A size known only at run time may turn out as 1: then an axis of x that is not 1 is kept.
        kept = sizes[axis] == 1 if isinstance(sizes[axis], int) else have[axis] not in (1, None)
        sizes[axis] = -1 if kept else sizes[axis]
    return ctx.tensor(x).expand(*sizes) if sizes else ctx.tensor(x)


@operator("Tile")
def tile(ctx: Context, x: Tensor, repeats: np.ndarray) -> Tensor:
    """x repeated along each axis."""
    return x.repeat(*repeats.tolist()) if repeats.size else x


@operator("Concat")
def concat(ctx: Context, *xs: Tensor, axis: int) -> Tensor:
    """The inputs joined along an axis."""
    return torch.cat(list(xs), dim=axis) if len(xs) > 1 else xs[0]


@operator("Split")
def split(
    ctx: Context, x: Tensor, split: np.ndarray | None = None, *, axis: int = 0, num_outputs: int | None = None
) -> tuple[Tensor, ...]:
    """Pieces along an axis, of the given sizes, else of equal size (the last may be smaller)."""
    count = len(ctx.node.outputs)
    if count == 1:
        return (x,)
    if split is None:
        shape = ctx.shape(x)
        size = shape[axis] if shape is not None else None
        if size is None:
            ctx.unsupported("without sizes, the size of its input along the axis must be known beforehand")
        step = -(-size // count)
        split = np.array([min(step, size - k * step) for k in range(count)], np.int64)
    sizes = split.tolist()
    pieces = sizes[0] if len(set(sizes)) == 1 else sizes
    return ctx.unpack(torch.split(x, pieces, dim=axis), count)


@operator("Slice")
def slice_(
    ctx: Context,
    x: Tensor,
    starts: np.ndarray | Tensor,
    ends: np.ndarray | Tensor,
    axes: np.ndarray | None = None,
    steps: np.ndarray | None = None,
) -> Tensor:
    """A part of each axis; a negative step runs backwards."""
    count = (ctx.shape(starts) or ctx.shape(ends) or (None,))[0]
    if count is None:
        ctx.unsupported("the number of axes that it slices must be known beforehand")
    shape = ctx.shape(x)
    first, last = (
        b.tolist() if isinstance(b, np.ndarray) else [b[k] for k in range(count)] for b in (starts, ends)
    )
    parts: dict[int, slice] = {}
    for k, axis in enumerate(range(count) if axes is None else axes.tolist()):
        start, end, step = first[k], last[k], 1 if steps is None else int(steps[k])
        axis += ctx.rank(x) if axis < 0 else 0
        if step < 0:
            # Torch has no negative steps: from i backwards is from -1 - i forwards along the flipped axis.
            size = shape[axis] if shape is not None else None
            if isinstance(start, int) and start < -1:
                if size is None:
                    ctx.unsupported(
                        f"it runs backwards along axis {axis}, whose size must be known beforehand"
                    )
                start = max(start, -size)  # a start before the first element means the first
            x, start, end, step = x.flip(axis), -1 - start, -1 - end, -step
        bounds = _slice_start(start), _slice_end(end), None if step == 1 else step
        if any(bound is not None for bound in bounds):
            parts[axis] = slice(*bounds)
    if not parts:
        return x
    index = tuple(parts.get(axis, slice(None)) for axis in range(max(parts) + 1))
    return x[index if len(index) > 1 else index[0]]


def _slice_start(start: Any) -> Any:  # noqa: ANN401
    """The start of a slice; None for the first element."""
    return None if isinstance(start, int) and (start == 0 or start <= -_OPEN_END) else start


def _slice_end(end: Any) -> Any:  # noqa: ANN401
    """The end of a slice; None for the end of the axis."""
    return None if isinstance(end, int) and end >= _OPEN_END else end


@operator("Pad")
def pad(
    ctx: Context,
    x: Tensor,
    pads: np.ndarray,
    constant_value: float | None = None,
    axes: np.ndarray | None = None,
    *,
    mode: str = "constant",
) -> Tensor:
    """Adds elements at both ends of each axis; negative pads remove elements."""
    count = pads.size // 2
    rank = ctx.rank(x) if axes is not None else count
    pairs = [(0, 0)] * rank
    for k, axis in enumerate(range(count) if axes is None else axes.tolist()):
        pairs[axis] = (pads.tolist()[k], pads.tolist()[k + count])
    first = next((axis for axis, pair in enumerate(pairs) if any(pair)), None)
    if first is None:
        return x
    if mode != "constant" and (first == 0 or rank - min(first, 2) > 3):
        ctx.unsupported(f"PyTorch pads at most the last three axes in mode {mode}, and not the first")
    # For modes other than constant, torch expects the pads of all axes except batch and channel.
    last = pairs[first:] if mode == "constant" else pairs[min(first, 2) :]
    padding = tuple(size for pair in reversed(last) for size in pair)
    if mode != "constant":
        return F.pad(x, padding, mode={"edge": "replicate", "reflect": "reflect", "wrap": "circular"}[mode])
    value: Any = constant_value or None
    if value == torch.finfo(torch.float32).min and ctx.dtype(x) is ir.DataType.FLOAT:
        value = lowest(ctx, x)
    return F.pad(x, padding, value=value)


def lowest(ctx: Context, x: Tensor) -> float:
    """The lowest number of the type that x has at run time: the net may have been cast."""
    number: float = ctx.call(torch.finfo, x.dtype).min
    return number


@operator("DepthToSpace")
def depth_to_space(ctx: Context, x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Moves channels into blocks of pixels."""
    if mode == "CRD":
        return F.pixel_shuffle(x, blocksize)
    result: Tensor = ctx.call(helpers.depth_to_space, x, blocksize)
    return result


@operator("SpaceToDepth")
def space_to_depth(ctx: Context, x: Tensor, *, blocksize: int) -> Tensor:
    """Moves blocks of pixels into channels."""
    result: Tensor = ctx.call(helpers.space_to_depth, x, blocksize)
    return result


@operator("ReverseSequence")
def reverse_sequence(
    ctx: Context, x: Tensor, lengths: Tensor, *, batch_axis: int = 1, time_axis: int = 0
) -> Tensor:
    """The first lengths[n] steps of each sequence n in reverse order."""
    result: Tensor = ctx.call(helpers.reverse_sequence, x, lengths, time_axis)
    return result


def _axes(axes: np.ndarray) -> int | tuple[int, ...]:
    return int(axes[0]) if axes.size == 1 else tuple(axes.tolist())
