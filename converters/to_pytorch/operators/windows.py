"""Sliding windows, as convolutions and poolings describe them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from converters.to_pytorch.context import Context, Shape


@dataclass(frozen=True)
class Windows:
    """Kernel, strides, dilations and pads at begin and end, one number an axis."""

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
    ) -> Windows:
        """From the attributes of an operator; `shape` is that of its input."""
        rank = len(kernel)
        steps = tuple(strides or [1] * rank)
        spread = tuple(dilations or [1] * rank)
        if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            spans = [d * (k - 1) + 1 for k, d in zip(kernel, spread, strict=True)]
            begin, end = _same(ctx, shape, spans, steps, lower=auto_pad == "SAME_LOWER")
        elif pads is None or auto_pad == "VALID":
            begin = end = (0,) * rank
        else:
            begin, end = tuple(pads[:rank]), tuple(pads[rank:])
        if {len(x) for x in (steps, spread, begin, end)} != {rank} or min((*kernel, *steps, *spread)) < 1:
            ctx.unsupported("its kernel, strides, dilations and pads do not fit together")
        return cls(tuple(kernel), steps, spread, begin, end)

    @property
    def symmetric(self) -> bool:
        """Whether as much is padded at the end as at the beginning."""
        return self.begin == self.end

    @property
    def spans(self) -> tuple[int, ...]:
        """How far one window reaches."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    def counts(self, sizes: Sequence[int], *, ceil: bool, end: Sequence[int]) -> tuple[int, ...]:
        """How many windows there are along axes of these sizes with these end pads.

        With `ceil` a last one may hang over, unless it would start in the end pads.
        """
        found = []
        for axis, size in enumerate(sizes):
            stride = self.strides[axis]
            room = size + self.begin[axis] + end[axis] - self.spans[axis]
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


def plain(sizes: Sequence[int]) -> int | tuple[int, ...]:
    """One number where all axes agree, as people write it."""
    return sizes[0] if len(set(sizes)) == 1 else tuple(sizes)


def _same(
    ctx: Context, shape: Shape | None, spans: Sequence[int], strides: Sequence[int], *, lower: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    begin, end = [], []
    for axis, (span, stride) in enumerate(zip(spans, strides, strict=True)):
        size = 0 if stride == 1 else shape[axis + 2] if shape is not None else None
        if size is None:
            ctx.unsupported("auto_pad SAME with a stride needs the size of the input to be known beforehand")
        total = max(0, span - 1 if stride == 1 else (-(-size // stride) - 1) * stride + span - size)
        begin.append(total - total // 2 if lower else total // 2)
        end.append(total - begin[-1])
    return tuple(begin), tuple(end)
