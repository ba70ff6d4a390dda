"""Sliding windows: output sizes and padding by the rules of Torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from converters.errors import FormatError
from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.sizes import Dim, Shape, Symbol


@dataclass(frozen=True)
class Window:
    """A window sliding along one dimension."""

    kernel: int
    stride: int
    pad: int
    dilation: int = 1
    ceil: bool = False

    @property
    def extent(self) -> int:
        """The number of entries from its first to its last element."""
        return self.dilation * (self.kernel - 1) + 1

    def count(self, size: int) -> int:
        """The number of windows, which is the output size (THNN's rule for convolution and pooling)."""
        room = size + 2 * self.pad - self.extent
        count = (-(-room // self.stride) if self.ceil else room // self.stride) + 1
        # With padding, a last window that would start after the image is dropped.
        if self.ceil and self.pad and (count - 1) * self.stride >= size + self.pad:
            count -= 1
        return count

    def overhang(self, size: int) -> int:
        """How far the last window reaches beyond the right padding."""
        return max(0, (self.count(size) - 1) * self.stride + self.extent - size - 2 * self.pad)

    def covers(self, size: int) -> bool:
        """Whether the windows reach the end of the image and its padding."""
        return (self.count(size) - 1) * self.stride + self.extent >= size + 2 * self.pad

    def output_size(self, g: Builder, size: Dim) -> Dim:
        """`count`, for a size that may be symbolic."""
        if isinstance(size, int):
            return self.count(size)
        if self.stride == 1 and 2 * self.pad == self.extent - 1:
            return size
        return g.derived_size(size, ("windows", self.extent, self.stride, self.pad, self.ceil))


def convolution_window(m: Module, side: str) -> Window:
    """The window of a convolution along one side: "T", "H" or "W".

    Old files have one field `padding` for all sides, or no padding at all.
    """
    pad = m.c_integer("padding" if m.has("padding") else f"pad{side}", 0, minimum=0)
    return Window(
        m.c_integer(f"k{side}", minimum=1),
        m.c_integer(f"d{side}", 1, minimum=1),
        pad,
        m.c_integer(f"dilation{side}", 1, minimum=1),
    )


def pooling_window(m: Module, side: str, ceil: bool = False) -> Window:
    """The window of a pooling along one side. Old files have neither padding nor ceil_mode."""
    return Window(
        m.c_integer(f"k{side}", minimum=1),
        m.c_integer(f"d{side}", m.c_integer(f"k{side}"), minimum=1),
        m.c_integer(f"pad{side}", 0, minimum=0),
        m.c_integer(f"dilation{side}", 1, minimum=1),
        ceil or m.flag("ceil_mode"),
    )


def output_sizes(g: Builder, m: Module, sizes: Shape, windows: Sequence[Window]) -> list[Dim]:
    """The output sizes; FormatError if no window fits."""
    counts = [window.output_size(g, size) for window, size in zip(windows, sizes, strict=True)]
    for window, size, count in zip(windows, sizes, counts, strict=True):
        if isinstance(count, int) and count < 1:
            raise m.error(
                FormatError, f"a window of {window.extent} does not fit into {size} + 2 x {window.pad}"
            )
    return counts


def is_static(sizes: Shape) -> bool:
    """Whether all sizes are numbers."""
    return not any(isinstance(size, Symbol) for size in sizes)


def overhangs(m: Module, sizes: Shape, windows: Sequence[Window]) -> list[int]:
    """How far the last windows reach beyond the right padding.

    UnsupportedError if a window lies outside the image altogether.
    """
    ends = []
    for window, size in zip(windows, sizes, strict=True):
        end = window.overhang(m.static_size(size))
        if window.pad + end >= window.extent:
            raise m.unsupported(
                f"the last window lies wholly outside the image (size {size}, kernel {window.kernel}, "
                f"stride {window.stride}, pad {window.pad}, ceil mode), where Torch's result is undefined"
            )
        ends.append(end)
    return ends
