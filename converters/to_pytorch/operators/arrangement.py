"""The same elements in another shape, order or number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from converters.to_pytorch.context import Context, Shape
from converters.to_pytorch.helpers import arrangement as helpers
from converters.to_pytorch.net import Initializer
from converters.to_pytorch.registry import operator

# ONNX's slices say "to the end" with the largest or smallest number there is.
_FAR = 2**31 - 1


@operator("Shape")
def shape_(ctx: Context, x: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    """The sizes as a tensor, where the model does not record the shape (`sizes` handles the others)."""
    sizes = x.shape[start:end] if start or end is not None else x.shape
    return ctx.tensor(ctx.call(torch.tensor, sizes, **ctx.net.device()))


@operator("Size")
def size_(ctx: Context, x: Tensor) -> Tensor:
    """The number of elements as a tensor, where the model does not record the shape."""
    return ctx.tensor(ctx.call(torch.tensor, x.numel(), **ctx.net.device()))


@operator("Reshape")
def reshape(ctx: Context, x: Tensor, shape: np.ndarray | Tensor, *, allowzero: int = 0) -> Tensor:
    """Another shape; 0 copies a size, -1 is inferred. The batch is never written as a number."""
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
    """The one size that is unknown as -1, for torch to infer, and all others as numbers."""
    others = [*sizes[:unknown], *sizes[unknown + 1 :]]
    if not all(isinstance(size, int) and size != 0 for size in others):
        return sizes
    if -1 in others:
        count = math.prod(size for size in have if size is not None)
        others[others.index(-1)] = count // math.prod(size for size in others if size != -1)
    return [*others[:unknown], -1, *others[unknown:]]


def _is_flatten(have: Shape | None, sizes: list[Any]) -> bool:
    """Whether everything but the first axis is made one."""
    if have is None or len(have) < 2 or len(sizes) != 2:
        return False
    if not isinstance(sizes[0], int):
        return isinstance(sizes[1], int) and sizes[1] in (-1, math.prod(size or 0 for size in have[1:]))
    rest = None if None in have[1:] else math.prod(size or 0 for size in have[1:])
    return sizes in ([-1, rest], [have[0], rest], [have[0], -1])


@operator("Flatten")
def flatten(ctx: Context, x: Tensor, *, axis: int = 1) -> Tensor:
    """A matrix: the axes before `axis` by the others."""
    rank = ctx.rank(x)
    axis += rank if axis < 0 else 0
    if axis == rank:
        return x.reshape(-1, 1)
    if axis == 1:
        return x.flatten(1)
    return x.reshape(1, -1) if axis == 0 else x.flatten(0, axis - 1).flatten(1)


@operator("Transpose")
def transpose(ctx: Context, x: Tensor, *, perm: list[int] | None = None) -> Tensor:
    """The axes in another order, by default the reverse one."""
    order = list(reversed(range(ctx.rank(x)))) if perm is None else perm
    return x.permute(*order) if order else x


@operator("Squeeze")
def squeeze(ctx: Context, x: Tensor, axes: np.ndarray | None = None) -> Tensor:
    """Without these axes of size 1."""
    if axes is None:
        shape = ctx.shape(x)
        if shape is None or None in shape:
            ctx.unsupported("without axes, the shape of its input must be known beforehand")
        axes = np.array([axis for axis, size in enumerate(shape) if size == 1], np.int64)
    return x.squeeze(_axes(axes)) if axes.size else x


@operator("Unsqueeze")
def unsqueeze(ctx: Context, x: Tensor, axes: np.ndarray) -> Tensor:
    """With new axes of size 1 at these places of the result."""
    if any(axis < 0 for axis in axes.tolist()):
        axes = axes % (ctx.rank(x) + axes.size)
    for axis in sorted(axes.tolist()):
        x = x.unsqueeze(axis)
    return x


@operator("Expand")
def expand(ctx: Context, x: Initializer | Tensor, shape: np.ndarray | Tensor) -> Tensor:
    """Broadcast against a shape; 1 leaves an axis as it is. A number is filled into a new tensor."""
    if not isinstance(shape, np.ndarray):
        result: Tensor = ctx.call(helpers.broadcast_to, ctx.tensor(x), shape)
        return result
    if isinstance(x, Initializer) and x.array.size == 1 and x.array.ndim <= len(shape):
        return ctx.full(shape.tolist(), x.array)
    sizes, rank = shape.tolist(), ctx.rank(x)
    sizes = [1] * (rank - len(sizes)) + sizes
    have = [1] * (len(sizes) - rank) + list(ctx.shape(x) or ())
    for axis in range(len(sizes) - rank, len(sizes)):
        # A size that is computed may be 1, too, and then an axis of x that is not stays as it is.
        kept = sizes[axis] == 1 if isinstance(sizes[axis], int) else have[axis] not in (1, None)
        sizes[axis] = -1 if kept else sizes[axis]
    return ctx.tensor(x).expand(*sizes) if sizes else ctx.tensor(x)


@operator("Tile")
def tile(ctx: Context, x: Tensor, repeats: np.ndarray) -> Tensor:
    """Repeated along each axis."""
    return x.repeat(*repeats.tolist()) if repeats.size else x


@operator("Concat")
def concat(ctx: Context, *xs: Tensor, axis: int) -> Tensor:
    """One after the other along an axis."""
    return torch.cat(list(xs), dim=axis) if len(xs) > 1 else xs[0]


@operator("Split")
def split(
    ctx: Context, x: Tensor, split: np.ndarray | None = None, *, axis: int = 0, num_outputs: int | None = None
) -> tuple[Tensor, ...]:
    """Pieces along an axis, of the given sizes or as equal as can be."""
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
    return ctx.parts(torch.split(x, pieces, dim=axis), count)


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
        ctx.unsupported("how many axes it takes parts of must be known beforehand")
    shape = ctx.shape(x)
    first, last = (
        b.tolist() if isinstance(b, np.ndarray) else [b[k] for k in range(count)] for b in (starts, ends)
    )
    parts: dict[int, slice] = {}
    for k, axis in enumerate(range(count) if axes is None else axes.tolist()):
        start, end, step = first[k], last[k], 1 if steps is None else int(steps[k])
        axis += ctx.rank(x) if axis < 0 else 0
        if step < 0:
            # Backwards from i is forwards from -1 - i in the reversed axis; torch has no negative steps.
            size = shape[axis] if shape is not None else None
            if isinstance(start, int) and start < -1:
                if size is None:
                    ctx.unsupported(f"it runs backwards in axis {axis}, whose size must be known beforehand")
                start = max(start, -size)  # before the beginning lies the first element
            x, start, end, step = x.flip(axis), -1 - start, -1 - end, -step
        bounds = _first(start), _last(end), None if step == 1 else step
        if any(bound is not None for bound in bounds):
            parts[axis] = slice(*bounds)
    if not parts:
        return x
    index = tuple(parts.get(axis, slice(None)) for axis in range(max(parts) + 1))
    return x[index if len(index) > 1 else index[0]]


def _first(start: Any) -> Any:  # noqa: ANN401
    """Where a slice begins, None where that is the first element."""
    return None if isinstance(start, int) and (start == 0 or start <= -_FAR) else start


def _last(end: Any) -> Any:  # noqa: ANN401
    """Where a slice ends, None where that is after the last element."""
    return None if isinstance(end, int) and end >= _FAR else end


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
    """More elements (or, with negative pads, fewer) before and after each axis."""
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
    # Modes other than constant take the pads of all axes but batch and channel.
    last = pairs[first:] if mode == "constant" else pairs[min(first, 2) :]
    padding = tuple(size for pair in reversed(last) for size in pair)
    if mode != "constant":
        return F.pad(x, padding, mode={"edge": "replicate", "reflect": "reflect", "wrap": "circular"}[mode])
    value: Any = constant_value or None
    if value == torch.finfo(torch.float32).min and ctx.dtype(x) is ir.DataType.FLOAT:
        value = lowest(ctx, x)
    return F.pad(x, padding, value=value)


def lowest(ctx: Context, x: Tensor) -> float:
    """The lowest number in the type of x, which need not be float32 when the net runs."""
    number: float = ctx.call(torch.finfo, x.dtype).min
    return number


@operator("DepthToSpace")
def depth_to_space(ctx: Context, x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Channels to blocks of pixels."""
    if mode == "CRD":
        return F.pixel_shuffle(x, blocksize)
    result: Tensor = ctx.call(helpers.depth_to_space, x, blocksize)
    return result


@operator("SpaceToDepth")
def space_to_depth(ctx: Context, x: Tensor, *, blocksize: int) -> Tensor:
    """Blocks of pixels to channels."""
    result: Tensor = ctx.call(helpers.space_to_depth, x, blocksize)
    return result


@operator("ReverseSequence")
def reverse_sequence(
    ctx: Context, x: Tensor, lengths: Tensor, *, batch_axis: int = 1, time_axis: int = 0
) -> Tensor:
    """The beginning of each sequence back to front."""
    result: Tensor = ctx.call(helpers.reverse_sequence, x, lengths, time_axis)
    return result


def _axes(axes: np.ndarray) -> int | tuple[int, ...]:
    return int(axes[0]) if axes.size == 1 else tuple(axes.tolist())
