"""The resizes of OpenCV, Pillow and Torch7 as ONNX nodes, with the same bits.

Each takes images (N, H, W, 3) uint8 and gives (N, crop, crop, 3): the window of the resized image, of which
no more is computed. The arithmetic is that of `converters.to_pytorch.helpers.images`. Pixels and weights are
integers, in float64 where int32 is too slow: their sums are exact in any order. Places are float64 and
float32 as in the originals, and Torch7's sums have its order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir

from converters.embedded_graph import DOUBLE, FLOAT, INT32, INT64, FirstNodes, Operand

# OpenCV's INTER_RESIZE_COEF_BITS, and Pillow's PRECISION_BITS for bytes.
OPENCV_ONE, PILLOW_ONE = 1 << 11, 1 << 22


@dataclass(frozen=True, slots=True)
class Axis:
    """Height or width: `length` pixels become `size`, of which those from `begin` on count."""

    length: Operand
    size: Operand
    begin: Operand
    crop: int

    def places(self, nodes: FirstNodes) -> ir.Value:
        """The places of the window in the resized image: (crop,) int64."""
        window = nodes("Range", nodes.number(0, INT64), self.crop, 1)
        return nodes("Add", window, self.begin)


def opencv_linear(nodes: FirstNodes, images: ir.Value, rows: Axis, columns: Axis) -> ir.Value:
    """cv2.resize with INTER_LINEAR on bytes: int32 result.

    A reduction by exactly two, where OpenCV takes the mean of 2x2 pixels, gives the same bits here: both
    weights are a half.
    """
    crop = rows.crop
    (places, weights), (across_places, across_weights) = (
        _opencv_taps(nodes, rows, edge=False),
        _opencv_taps(nodes, columns, edge=True),
    )
    taps = nodes("Gather", nodes("Gather", images, places, axis=1), across_places, axis=2)
    pixels = nodes("Reshape", nodes.cast(taps, INT32), nodes.integers(0, 2, crop, 2, crop, 3))
    # 2 taps x crop x 1, along the columns and then along the rows.
    total = nodes("ReduceSum", nodes("Mul", pixels, across_weights), nodes.integers(3), keepdims=0)
    across = nodes("Div", total, 16)
    by_row = nodes("Mul", across, nodes("Unsqueeze", weights, nodes.integers(3)))
    total = nodes("ReduceSum", nodes("Div", by_row, 1 << 16), nodes.integers(1), keepdims=0)
    return nodes("Div", nodes("Add", total, 2), 4)


def _opencv_taps(nodes: FirstNodes, axis: Axis, *, edge: bool) -> tuple[ir.Value, ir.Value]:
    """Places of the two taps, (2 * crop,) int64, and their weights, (2, crop, 1) int32."""
    last = nodes("Sub", axis.length, 1)
    ratio = nodes("Div", nodes.cast(axis.length, DOUBLE), nodes.cast(axis.size, DOUBLE))
    centre = nodes("Add", nodes.cast(axis.places(nodes), DOUBLE), 0.5)
    position = nodes.cast(nodes("Sub", nodes("Mul", centre, ratio), 0.5), FLOAT)
    start = nodes("Floor", position)
    fraction = nodes("Sub", position, start)
    if edge:
        before = nodes("Less", start, 0.0, dtype=ir.DataType.BOOL)
        after = nodes("GreaterOrEqual", start, nodes.cast(last, FLOAT), dtype=ir.DataType.BOOL)
        fraction = nodes("Where", nodes("Or", before, after), nodes.number(0, FLOAT), fraction)
    rest = nodes("Sub", nodes.number(1, FLOAT), fraction)
    first = nodes.cast(start, INT64)
    places = [nodes.clip(tap, 0, last) for tap in (first, nodes("Add", first, 1))]
    weights = [
        nodes.cast(nodes("Round", nodes("Mul", part, float(OPENCV_ONE))), INT32) for part in (rest, fraction)
    ]
    together = nodes("Concat", *weights, axis=0)
    return (
        nodes("Concat", *places, axis=0),
        nodes("Reshape", together, nodes.integers(2, axis.crop, 1)),
    )


def pillow_bicubic(nodes: FirstNodes, images: ir.Value, rows: Axis, columns: Axis) -> ir.Value:
    """Pillow's Image.resize with BICUBIC on bytes: columns first, rounded to bytes, then rows; float64."""
    pixels = nodes.cast(nodes("Transpose", images, perm=[0, 3, 1, 2]), DOUBLE)
    across = nodes("Transpose", _pillow_weights(nodes, columns), perm=[1, 0])
    halfway = _pillow_bytes(nodes, nodes("MatMul", pixels, across))
    result = _pillow_bytes(nodes, nodes("MatMul", _pillow_weights(nodes, rows), halfway))
    return nodes("Transpose", result, perm=[0, 2, 3, 1])


def _pillow_bytes(nodes: FirstNodes, total: ir.Value) -> ir.Value:
    rounded = nodes("Floor", nodes("Div", nodes("Add", total, PILLOW_ONE / 2), float(PILLOW_ONE)))
    return nodes.clip(rounded, 0.0, 255.0)


def _pillow_weights(nodes: FirstNodes, axis: Axis) -> ir.Value:
    """Whole numbers, (crop, length) float64: how much each pixel counts for each of the window."""
    boolean = ir.DataType.BOOL
    ratio = nodes("Div", nodes.cast(axis.length, DOUBLE), nodes.cast(axis.size, DOUBLE))
    wide = nodes("Max", ratio, 1.0)
    support = nodes("Mul", wide, 2.0)
    places = nodes("Add", nodes.cast(axis.places(nodes), DOUBLE), 0.5)
    centre = nodes("Unsqueeze", nodes("Mul", places, ratio), nodes.integers(1))
    low = nodes.cast(nodes("Add", nodes("Sub", centre, support), 0.5), INT64)
    high = nodes.cast(nodes("Add", nodes("Add", centre, support), 0.5), INT64)
    pixel = nodes("Range", nodes.number(0, INT64), axis.length, 1)
    inside = nodes(
        "And",
        nodes("GreaterOrEqual", pixel, nodes("Max", low, 0), dtype=boolean),
        nodes("Less", pixel, nodes("Min", high, axis.length), dtype=boolean),
    )
    distance = nodes("Add", nodes("Sub", nodes.cast(pixel, DOUBLE), centre), 0.5)
    x = nodes("Abs", nodes("Mul", distance, nodes("Div", nodes.number(1, DOUBLE), wide)))
    inner = nodes("Add", nodes("Mul", nodes("Mul", nodes("Sub", nodes("Mul", x, 1.5), 2.5), x), x), 1.0)
    outer = nodes("Mul", nodes("Sub", x, 5.0), x)
    outer = nodes("Mul", nodes("Sub", nodes("Mul", nodes("Add", outer, 8.0), x), 4.0), -0.5)
    zero = nodes.number(0, DOUBLE)
    outer = nodes("Where", nodes("Less", x, 2.0, dtype=boolean), outer, zero)
    weight = nodes("Where", nodes("Less", x, 1.0, dtype=boolean), inner, outer)
    weight = nodes("Where", inside, weight, zero)
    # Summed from the left, as Pillow does: the last bits depend on the order, and CumSum has this one.
    sums = nodes("CumSum", weight, nodes.number(1, INT64))
    scaled = nodes("Mul", nodes("Div", weight, nodes("Gather", sums, nodes.integers(-1), axis=1)), 2.0**22)
    half = nodes(
        "Where",
        nodes("Less", scaled, 0.0, dtype=boolean),
        nodes.number(-0.5, DOUBLE),
        nodes.number(0.5, DOUBLE),
    )
    # A cast to integers cuts off, as in C.
    return nodes.cast(nodes.cast(nodes("Add", scaled, half), INT64), DOUBLE)


def torch7_bicubic(nodes: FirstNodes, images: ir.Value, rows: Axis, columns: Axis) -> ir.Value:
    """Torch7's image.scale with "bicubic", on numbers from 0 to 1: columns first, then rows; float32."""
    row_taps, column_taps = _Torch7Taps(nodes, rows, 1), _Torch7Taps(nodes, columns, 2)
    taps = nodes("Gather", nodes("Gather", images, row_taps.places, axis=1), column_taps.places, axis=2)
    # image.load multiplies by the rounded reciprocal; a division by 255 gives other last bits.
    unit = nodes("Mul", nodes.cast(taps, FLOAT), 1 / 255)
    return row_taps.mixed(column_taps.mixed(unit))


class _Torch7Taps:
    """Four taps for each place of the window, and then the first two and the last two pixels of the axis.

    places: (4 * crop + 4,) int64.
    """

    def __init__(self, nodes: FirstNodes, axis: Axis, number: int) -> None:
        self._nodes, self._number, self._crop = nodes, number, axis.crop
        self._last = last = nodes("Sub", axis.length, 1)
        place = axis.places(nodes)
        lengths = nodes.cast(last, FLOAT)
        others = nodes("Max", nodes.cast(nodes("Sub", axis.size, 1), FLOAT), 1.0)
        position = nodes("Mul", nodes.cast(place, FLOAT), nodes("Div", lengths, others))
        start = nodes.cast(position, INT64)
        self._fraction = self._along(nodes("Sub", position, nodes.cast(start, FLOAT)))
        self._is_last = self._along(nodes("Equal", place, nodes("Sub", axis.size, 1), dtype=ir.DataType.BOOL))
        self._taps = [nodes("Add", start, tap) for tap in (-1, 0, 1, 2)]
        ends = nodes(
            "Concat", nodes.integers(0, 1), nodes.vector(nodes("Sub", last, 1)), nodes.vector(last), axis=0
        )
        self.places = nodes.clip(nodes("Concat", *self._taps, ends, axis=0), 0, last)

    def _along(self, values: ir.Value) -> ir.Value:
        """One number for each place, as it applies to images (N, H, W, 3)."""
        return self._nodes("Unsqueeze", values, self._nodes.integers(*range(1, 4 - self._number)))

    def mixed(self, pixels: ir.Value) -> ir.Value:
        """The pixels at `places` along this axis, mixed; the sums in Torch7's order."""
        nodes, crop = self._nodes, self._crop
        first, second, before_last, last = (self._part(pixels, 4 * crop + k, 1) for k in range(4))
        before = nodes("Sub", nodes("Mul", first, 2.0), second)
        after = nodes("Sub", nodes("Mul", last, 2.0), before_last)
        p0, p1, p2, p3 = (self._part(pixels, k * crop, crop) for k in range(4))
        boolean = ir.DataType.BOOL
        p0 = nodes("Where", self._along(nodes("Less", self._taps[0], 0, dtype=boolean)), before, p0)
        p2, p3 = (
            nodes("Where", self._along(nodes("Greater", tap, self._last, dtype=boolean)), after, part)
            for tap, part in ((self._taps[2], p2), (self._taps[3], p3))
        )
        curve = nodes("Sub", nodes("Mul", p0, 2.0), nodes("Mul", p1, 5.0))
        curve = nodes("Sub", nodes("Add", curve, nodes("Mul", p2, 4.0)), p3)
        cubic = nodes("Sub", nodes("Add", nodes("Mul", nodes("Sub", p1, p2), 3.0), p3), p0)
        inner = nodes("Mul", nodes("Add", nodes("Mul", cubic, self._fraction), curve), self._fraction)
        inner = nodes("Add", inner, nodes("Sub", p2, p0))
        # Torch7 computes the last product and sum in float64.
        half = nodes("Mul", nodes.cast(self._fraction, DOUBLE), 0.5)
        result = nodes("Add", nodes("Mul", half, nodes.cast(inner, DOUBLE)), nodes.cast(p1, DOUBLE))
        return nodes("Where", self._is_last, last, nodes.cast(result, FLOAT))

    def _part(self, pixels: ir.Value, begin: int, count: int) -> ir.Value:
        bounds = [self._nodes.integers(k) for k in (begin, begin + count, self._number)]
        return self._nodes("Slice", pixels, *bounds)


RESIZES: dict[str | None, Callable[[FirstNodes, ir.Value, Axis, Axis], ir.Value]] = {
    "opencv-linear": opencv_linear,
    "pillow-bicubic": pillow_bicubic,
    "torch7-bicubic": torch7_bicubic,
}
