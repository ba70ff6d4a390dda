"""The layers named Upsample: repeating pixels, or putting them back where a pooling layer found them."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.layers.checks import image_axes, image_size
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph
from converters.graph_bounds import MAX_CONSTANT_ELEMENTS
from converters.sizes import dims, shape_text


@layer("Upsample", param="upsample_param", fork_field_numbers=(137, 147, 149, 150, 211, 2203), in_place=False)
def upsample(g: Graph, layer: BoundLayer, x: ir.Value, mask: ir.Value | None = None) -> ir.Value:
    """Every pixel `scale` times; with a second bottom, a pooling layer's places, SegNet's unpooling."""
    n, c, height, width = image_axes(layer, x)
    if mask is not None:
        return _unpooled(g, layer, x, mask)
    p = layer.param
    layer.check(p.HasField("scale"), "needs a scale, or the places of a pooling layer as its second bottom")
    if not p.scale.is_integer() or p.scale < 1:
        raise layer.unsupported(f"scale {p.scale:g} is not a whole number; the forks round in different ways")
    scale = int(p.scale)
    return g.node(
        "Resize",
        x,
        None,
        np.array([1, 1, scale, scale], np.float32),
        shape=(n, c, height * scale, width * scale),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def _unpooled(g: Graph, layer: BoundLayer, x: ir.Value, mask: ir.Value) -> ir.Value:
    """Zeros, with each pixel at the place in its plane that the mask gives; of several the last."""
    layer.check(
        dims(mask) == dims(x), f"the mask is {shape_text(dims(mask))}, the bottom {shape_text(dims(x))}"
    )
    n, c = dims(x)[:2]
    height, width = _unpooled_size(layer, *image_size(layer, x))
    pixels = math.prod(image_size(layer, x))
    if pixels > MAX_CONSTANT_ELEMENTS:
        raise layer.unsupported(
            f"its {pixels:,} pixels a plane are more than the {MAX_CONSTANT_ELEMENTS:,} that are supported"
        )
    flat, plane = (n, c, pixels), (n, c, height * width)
    places = g.cast(mask, ir.DataType.INT64)
    places, values = g.reshape(places, flat), g.reshape(x, flat)
    planes = g.node("Shape", x, shape=(2,), dtype=ir.DataType.INT64, start=0, end=2)

    def everywhere(value: np.ndarray, size: int) -> ir.Value:
        shape = g.node("Concat", planes, np.array([size], np.int64), shape=(3,), axis=0)
        constant = g.constant(value.reshape(1, 1, -1))
        return g.node("Expand", constant, shape, shape=(n, c, size), dtype=constant.dtype)

    layer.check_computed(pixels)
    if _disjoint(mask):
        empty = everywhere(np.zeros(1, np.float32), height * width)
        filled = g.node("ScatterElements", empty, places, values, axis=2)
    else:
        # ONNX does not define which of two updates of one place stays: find the last source by its number.
        sources = everywhere(np.arange(pixels, dtype=np.int64), pixels)
        none = everywhere(np.array([-1], np.int64), height * width)
        last = g.node("ScatterElements", none, places, sources, axis=2, reduction="max")
        index = g.node("Max", last, np.array(0, np.int64))
        taken = g.node("GatherElements", values, index, shape=plane, axis=2)
        given = g.node("GreaterOrEqual", last, np.array(0, np.int64), dtype=ir.DataType.BOOL)
        filled = g.node("Where", given, taken, np.array(0, np.float32), shape=plane, dtype=x.dtype)
    return g.reshape(filled, (n, c, height, width))


def _unpooled_size(layer: BoundLayer, height: int, width: int) -> tuple[int, int]:
    p = layer.param
    if p.HasField("upsample_h") and p.HasField("upsample_w"):
        layer.check(p.upsample_h > 1 and p.upsample_w > 1, "upsample_h and upsample_w must exceed 1")
        return p.upsample_h, p.upsample_w
    by_name = p.HasField("scale_h") and p.HasField("scale_w")
    layer.check(
        by_name != (p.HasField("scale") or not (p.HasField("scale_h") or p.HasField("scale_w"))),
        "give upsample_h and upsample_w, or scale_h and scale_w, or scale",
    )
    scales = (p.scale_h, p.scale_w) if by_name else (p.scale, p.scale)
    layer.check(all(s > 1 and float(s).is_integer() for s in scales), "scales must be whole numbers above 1")
    for padded, scale in zip((p.pad_out_h, p.pad_out_w), scales, strict=True):
        layer.check(not padded or scale == 2, "pad_out_h and pad_out_w are for a scale of 2")
    return height * int(scales[0]) - p.pad_out_h, width * int(scales[1]) - p.pad_out_w


def _disjoint(mask: ir.Value) -> bool:
    """Whether the mask surely gives each place once: it comes from a MaxPool whose windows do not overlap."""
    value: ir.Value | None = mask
    while value is not None and (node := value.producer()) is not None:
        if node.op_type == "MaxPool":
            kernel, stride = (node.attributes[name].as_ints() for name in ("kernel_shape", "strides"))
            return all(k <= s for k, s in zip(kernel, stride, strict=True))
        value = node.inputs[0] if node.op_type in ("Cast", "Mod", "Identity") else None
    return False
