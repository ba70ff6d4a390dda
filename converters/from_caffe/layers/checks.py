"""Checks of bottoms that several layer types share, each with one form of message."""

from __future__ import annotations

import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.sizes import Dim, Shape, dims, shape_text

_IMAGE = ("num", "channels", "height", "width")


def named_axes(layer: BoundLayer, x: ir.Value, *names: str) -> Shape:
    """The shape of a bottom that must have exactly these axes. FormatError where it has more or fewer."""
    layer.check(
        len(dims(x)) == len(names),
        f"takes {len(names)} axes ({', '.join(names)}), a bottom is {shape_text(dims(x))}",
    )
    return dims(x)


def image_axes(layer: BoundLayer, x: ir.Value) -> tuple[Dim, Dim, Dim, Dim]:
    """(num, channels, height, width) of a bottom that must have these 4 axes."""
    n, channels, height, width = named_axes(layer, x, *_IMAGE)
    return n, channels, height, width


def image_size(layer: BoundLayer, x: ir.Value) -> tuple[int, int]:
    """(height, width) of such a bottom as numbers; StaticSizeRequired where one is symbolic."""
    _, _, height, width = image_axes(layer, x)
    return layer.static(height, "the height"), layer.static(width, "the width")


def fixed_image(layer: BoundLayer, x: ir.Value) -> tuple[Dim, int, int, int]:
    """(num, channels, height, width) of such a bottom; all but num must be numbers."""
    n, *sizes = image_axes(layer, x)
    channels, height, width = (layer.static(size, "the channels, height and width") for size in sizes)
    return n, channels, height, width


def check_rank(layer: BoundLayer, x: ir.Value, least: int, most: int | None = None) -> None:
    """FormatError unless a bottom has at least `least` axes and, where given, at most `most`."""
    rank = len(dims(x))
    wanted = f"{least} or more" if most is None else f"{least} to {most}" if least else f"at most {most}"
    layer.check(
        rank >= least and (most is None or rank <= most),
        f"takes {wanted} axes, a bottom is {shape_text(dims(x))}",
    )
