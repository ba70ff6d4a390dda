"""How Caffe and Torch round up the number of pooling windows, as padding that needs no image size.

Both place ceil((H + 2 pad - extent) / stride) + 1 windows and drop a last one that would start after the
image. With the end padded by min(pad + stride - 1, extent - 1), ONNX's rounding down gives this number for
every H: the first term rounds up, the second drops the windows that start at H or later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir

_KEY = "ceil_pooling"


@dataclass(frozen=True)
class CeilPooling:
    """A pooling whose number of windows is rounded up; one entry for each pooled axis.

    extents: how far a window reaches, dilation included.
    counts_padding: for means, whether the padding counts in the divisor. What overhangs beyond it never does.
    """

    extents: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    counts_padding: bool = False

    def ends(self) -> list[int]:
        """The padding at the end of each axis, that of the layer included, for an image of any size."""
        axes = zip(self.extents, self.strides, self.pads, strict=True)
        return [min(pad + stride - 1, extent - 1) for extent, stride, pad in axes]

    @property
    def never_clips(self) -> bool:
        """Whether no image size makes a last window start after the image."""
        axes = zip(self.extents, self.strides, self.pads, strict=True)
        return all(pad + stride <= extent for extent, stride, pad in axes)


def mark_ceil_pooling(
    value: ir.Value,
    extents: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    *,
    counts_padding: bool = False,
) -> ir.Value:
    """Records in the result of a pooling node by which rule its windows are counted; returns it."""
    value.meta[_KEY] = CeilPooling(tuple(extents), tuple(strides), tuple(pads), counts_padding)
    return value


def ceil_pooling_of(value: ir.Value) -> CeilPooling | None:
    """The rule recorded for the result of a pooling node; None if its windows are not rounded up."""
    rule: CeilPooling | None = value.meta.get(_KEY)
    return rule
