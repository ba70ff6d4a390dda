"""Makes a net take images (`--embed-preprocessing full`): resize, crop and order become its first nodes.

The input is then uint8 (N, height, width, 3), RGB or BGR, all images of a batch of one size. The pixels of
OpenCV's and Pillow's resizes are those of the originals to the bit; Torch7's are float32 in its order of
operations. `converters.embedded_resizing` has the arithmetic.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx_ir as ir

from converters.embedded_graph import DOUBLE, FLOAT, INT64, FirstNodes, Operand, shaped
from converters.embedded_preprocessing import add_preprocessing_nodes, image_input
from converters.embedded_resizing import RESIZES, Axis
from converters.errors import UsageError
from converters.image_preparation import ImagePreparation

ChannelOrder = Literal["BGR", "RGB"]
# The first opset whose operators are those that the nodes use.
FIRST_OPSET = 13


def add_image_nodes(
    model: ir.Model,
    preparation: ImagePreparation,
    mean_image: np.ndarray | None = None,
    order: ChannelOrder | None = None,
) -> ChannelOrder:
    """Adds the nodes to `model`, those of mean and scale among them; returns the order of the channels.

    preparation: how one image becomes the input of the net.
    mean_image: (channels, height, width), in place of `preparation.mean`.
    order: of the channels of the images; None: as the net itself has them.

    UsageError for a net that takes something else than what the preparation makes, or several inputs.
    """
    value = image_input(model)
    _check(model, value, preparation)
    crop, batch = preparation.crop, value.shape[0] if value.shape is not None else "N"
    value.shape = ir.Shape([batch, 3, crop, crop])
    numbers = {"mean": preparation.mean, "std": preparation.std, "scale": preparation.scale}
    add_preprocessing_nodes(model, numbers, mean_image, required=False)
    order = order or preparation.channels
    _take_images(model, value, preparation, order, _stored_size(preparation, mean_image))
    return order


def _check(model: ir.Model, value: ir.Value, preparation: ImagePreparation) -> None:
    crop, shape = preparation.crop, value.shape
    sizes = [size if isinstance(size, int) else None for size in shape or ()]
    if len(sizes) != 4 or any(
        size not in (None, wanted) for size, wanted in zip(sizes[1:], (3, crop, crop), strict=True)
    ):
        raise UsageError(
            f"--embed-preprocessing full: the net takes {shape}, the preparation makes N x 3 x {crop} x "
            f"{crop} of an image: give the right --crop"
        )
    if value.dtype != FLOAT:
        raise UsageError(f"--embed-preprocessing full: the net takes {value.dtype}; expected float32")
    if preparation.size is not None and preparation.size < crop:
        raise UsageError(
            f"--embed-preprocessing full: a window of {crop} pixels does not fit into an image resized to "
            f"{preparation.size}"
        )
    if (opset := model.graph.opset_imports.get("", 0)) < FIRST_OPSET:
        raise UsageError(
            f"--embed-preprocessing full: the net is of opset {opset}; expected {FIRST_OPSET} or later"
        )


def _stored_size(preparation: ImagePreparation, mean_image: np.ndarray | None) -> tuple[int, int] | None:
    """Height and width that images must have: where they are not resized, that of a larger mean image."""
    if preparation.resize is not None or mean_image is None:
        return None
    _, height, width = mean_image.shape
    return None if (height, width) == (preparation.crop, preparation.crop) else (height, width)


def _take_images(
    model: ir.Model,
    value: ir.Value,
    preparation: ImagePreparation,
    order: ChannelOrder,
    stored: tuple[int, int] | None,
) -> None:
    """Put the nodes from the images to `value` before all others, and the images in its place."""
    assert value.shape is not None
    graph, first, batch = model.graph, model.graph[0], value.shape[0]
    name = str(value.name)
    images = ir.Value(name=name, type=ir.TensorType(ir.DataType.UINT8))
    images.shape = ir.Shape([batch, *(stored or _free_names(model)), 3])
    images.doc_string = (
        f"uint8 images (N, height, width, 3), {order}, all of one size"
        + (f": {stored[0]} x {stored[1]}" if stored else "")
        + "; the first nodes make the input of the net of them"
    )
    nodes = FirstNodes(graph)
    pixels = _window(nodes, images, preparation)
    if order != preparation.channels:
        pixels = nodes("Gather", pixels, nodes.integers(2, 1, 0), axis=3)
    pixels = nodes.cast(nodes("Transpose", pixels, perm=[0, 3, 1, 2]), FLOAT)
    if preparation.pixel_white > preparation.white:
        pixels = nodes("Div", pixels, 255.0)
    elif preparation.pixel_white < preparation.white:
        pixels = nodes("Mul", pixels, 255.0)
    shaped(pixels, [size if isinstance(size, int) else str(size) for size in value.shape])
    place = graph.inputs.index(value)
    ir.convenience.replace_all_uses_with(value, pixels, replace_graph_outputs=True)
    graph.inputs[place] = images
    nodes.insert_before(first)


def _free_names(model: ir.Model) -> tuple[str, str]:
    """Names for the open height and width of the images that mean no other size in the net."""
    values = [*model.graph.inputs, *(value for node in model.graph for value in node.outputs)]
    taken = {str(size) for value in values for size in value.shape or () if not isinstance(size, int)}
    return ("H", "W") if not taken & {"H", "W"} else ("height", "width")


def _window(nodes: FirstNodes, images: ir.Value, given: ImagePreparation) -> ir.Value:
    """The window of the resized images: (N, crop, crop, 3)."""
    crop, shape = given.crop, nodes("Shape", images, dtype=INT64)
    height, width = (nodes("Gather", shape, nodes.number(axis, INT64), axis=0) for axis in (1, 2))
    if given.resize is None:
        begins = [nodes.vector(nodes("Div", nodes("Sub", size, crop), 2)) for size in (height, width)]
        start = nodes("Concat", *begins, axis=0)
        window = nodes(
            "Slice", images, start, nodes("Add", start, nodes.integers(crop)), nodes.integers(1, 2)
        )
    else:
        tall, wide = _resized(nodes, height, width, given)
        rows, columns = (
            Axis(length, size, _begin(nodes, size, given), crop)
            for length, size in ((height, tall), (width, wide))
        )
        window = RESIZES[given.resize](nodes, images, rows, columns)
    # A smaller image has no such window: this fails then, by name.
    return nodes("Reshape", window, nodes.integers(0, crop, crop, 3))


def _resized(
    nodes: FirstNodes, height: ir.Value, width: ir.Value, given: ImagePreparation
) -> tuple[Operand, Operand]:
    """Height and width of the resized image, as each tool computes the longer side."""
    assert given.size is not None
    size = given.size
    if given.to == "square":
        return size, size
    # No division by zero for images without pixels, of which no pixel can be gathered either.
    short, long = nodes("Max", nodes("Min", height, width), 1), nodes("Max", height, width)
    if given.resize == "opencv-linear":
        longer = nodes("Div", nodes("Mul", long, size), short)
    else:
        whole, part = nodes.cast(long, DOUBLE), nodes.cast(short, DOUBLE)
        if given.resize == "pillow-bicubic":
            exact = nodes("Div", nodes("Mul", whole, float(size)), part)
        else:
            exact = nodes("Mul", nodes("Div", whole, part), float(size))
        longer = nodes.cast(exact, INT64)
    if given.resize == "torch7-bicubic":
        # Scale leaves an image alone whose shorter side is right.
        right = nodes("Equal", short, size, dtype=ir.DataType.BOOL)
        longer = nodes("Where", right, long, longer)
    is_tall, side = nodes("Greater", height, width, dtype=ir.DataType.BOOL), nodes.number(size, INT64)
    return nodes("Where", is_tall, longer, side), nodes("Where", is_tall, side, longer)


def _begin(nodes: FirstNodes, length: Operand, given: ImagePreparation) -> Operand:
    """Where the window begins along an axis of `length` pixels; a square may be cut first."""
    sides = [given.size, given.crop] if given.square and given.to != "square" else [given.crop]
    begin: Operand = 0
    for side in sides:
        assert side is not None
        here = _half(nodes, length, side, given)
        # Only the first side may be one that is computed.
        begin = nodes("Add", begin, here) if isinstance(begin, ir.Value) else here
        length = side
    return begin


def _half(nodes: FirstNodes, length: Operand, side: int, given: ImagePreparation) -> Operand:
    """Half of what is more than `side`, as each tool rounds it."""
    if not isinstance(length, ir.Value):
        surplus = int(length) - side
        if given.resize == "pillow-bicubic":
            return round(surplus / 2)
        return -(-surplus // 2) if given.resize == "torch7-bicubic" else surplus // 2
    more = nodes("Sub", length, side)
    if given.resize == "pillow-bicubic":
        return nodes.cast(nodes("Round", nodes("Div", nodes.cast(more, DOUBLE), 2.0)), INT64)
    return nodes("Div", nodes("Add", more, 1) if given.resize == "torch7-bicubic" else more, 2)
