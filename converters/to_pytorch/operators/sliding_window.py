"""The sliding window of a convolution or pooling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from converters.to_pytorch.context import Context, Shape


@dataclass(frozen=True)
class SlidingWindow:
    """Kernel, strides, dilations, and the pads at the beginning and end: one number per spatial axis."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begin: tuple[int, ...]
    end: tuple[int, ...]

    @classmethod
    def of(
        cls,
        ctx: Context,
        shape: Shape | None,
        kernel: Sequence[int],
        strides: Sequence[int] | None,
        pads: Sequence[int] | None,
        dilations: Sequence[int] | None = None,
        auto_pad: str = "NOTSET",
    ) -> SlidingWindow:
        """The window that the attributes describe; `shape` is that of the input, (N, C, sizes...)."""
        rank = len(kernel)
        steps = tuple(strides or [1] * rank)
        dilation = tuple(dilations or [1] * rank)
        if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            kernels = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
            begin, end = _same_pads(ctx, shape, kernels, steps, lower=auto_pad == "SAME_LOWER")
        elif pads is None or auto_pad == "VALID":
            begin = end = (0,) * rank
        else:
            begin, end = tuple(pads[:rank]), tuple(pads[rank:])
        if {len(x) for x in (steps, dilation, begin, end)} != {rank} or min((*kernel, *steps, *dilation)) < 1:
            ctx.unsupported("its kernel, strides, dilations and pads do not fit together")
        return cls(tuple(kernel), steps, dilation, begin, end)

    @property
    def symmetric(self) -> bool:
        """Whether the pads are the same at both ends of each axis."""
        return self.begin == self.end

    @property
    def effective_kernel(self) -> tuple[int, ...]:
        """The number of elements that the dilated kernel spans."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    def output_sizes(self, sizes: Sequence[int], *, ceil: bool, end: Sequence[int]) -> tuple[int, ...]:
        """The number of windows along axes of these sizes, with these end pads instead of the window's own.

        With `ceil`, a last window may extend beyond the end, unless it would start in the end pads.
        """
        found = []
        for axis, size in enumerate(sizes):
            stride = self.strides[axis]
            room = size + self.begin[axis] + end[axis] - self.effective_kernel[axis]
            count = (-(-room // stride) if ceil else room // stride) + 1
            if ceil and (count - 1) * stride >= size + self.begin[axis]:
                count -= 1
            found.append(count)
        return tuple(found)

    @property
    def padding(self) -> tuple[int, ...]:
        """The pads in the order of F.pad: last axis first, begin and end of each."""
        pairs = zip(reversed(self.begin), reversed(self.end), strict=True)
        return tuple(size for pair in pairs for size in pair)


def scalar_if_equal(sizes: Sequence[int]) -> int | tuple[int, ...]:
    """One number if all are equal, else a tuple."""
    return sizes[0] if len(set(sizes)) == 1 else tuple(sizes)


def _same_pads(
    ctx: Context, shape: Shape | None, kernels: Sequence[int], strides: Sequence[int], *, lower: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    begin, end = [], []
    for axis, (kernel, stride) in enumerate(zip(kernels, strides, strict=True)):
        size = 0 if stride == 1 else shape[axis + 2] if shape is not None else None
        if size is None:
            ctx.unsupported("with auto_pad SAME and a stride, the size of its input must be known beforehand")
        total = max(0, kernel - 1 if stride == 1 else (-(-size // stride) - 1) * stride + kernel - size)
        begin.append(total - total // 2 if lower else total // 2)
        end.append(total - begin[-1])
    return tuple(begin), tuple(end)
