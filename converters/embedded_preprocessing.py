"""Adds mean and scale as the first nodes of a net (`--embed-preprocessing`), and takes such nodes away.

The input of the net is then the cropped image, in the channel order and range of its flavour (Caffe: BGR,
0..255; Torch7: RGB, 0..1). Decoding, resizing and cropping stay outside the net, unless
`converters.embedded_images` adds them too. A mean image is cropped at its centre to the size of the input, as
Caffe's DataTransformer crops it in phase TEST.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from converters.embedded_graph import PREFIX
from converters.errors import FormatError, UsageError


def image_input(model: ir.Model) -> ir.Value:
    """The only input of a net. UsageError if it has several."""
    inputs = [value for value in model.graph.inputs if value.name not in model.graph.initializers]
    if len(inputs) != 1:
        raise UsageError(
            f"--embed-preprocessing: the net has {len(inputs)} inputs; this is for nets with one image input"
        )
    return inputs[0]


def add_preprocessing_nodes(
    model: ir.Model,
    preprocessing: Mapping[str, Any],
    mean_image: np.ndarray | None = None,
    *,
    required: bool = True,
) -> dict[str, Any]:
    """Adds the nodes to `model` and returns the preprocessing that remains outside.

    preprocessing: `mean`, `std` (one value, or one per channel) and `scale`: (x - mean) * scale / std.
    mean_image: (channels, height, width) in the net's channel order and range, in place of `mean`.
    required: whether it is an error if there is nothing to embed.
    UsageError for a mean image that is not given, is too small or comes beside mean values, for a net with
    several inputs, or if there is nothing to embed.
    """
    if mean_image is None and (preprocessing.get("mean_file") or preprocessing.get("mean_image")):
        raise UsageError(
            "--embed-preprocessing: this net subtracts a mean image"
            + (f" ({preprocessing['mean_file']})" if preprocessing.get("mean_file") else "")
            + "; give its file: --mean-image FILE"
        )
    if mean_image is not None and preprocessing.get("mean") is not None:
        raise UsageError(
            f"--mean-image: the net has the mean values {preprocessing['mean']}; a mean image would be the "
            "second mean: leave it out"
        )
    value = image_input(model)
    steps = [
        ("Sub", _per_channel(value, preprocessing.get("mean")), 0.0),
        ("Mul", _per_channel(value, preprocessing.get("scale")), 1.0),
        ("Div", _per_channel(value, preprocessing.get("std")), 1.0),
    ]
    if mean_image is not None:
        steps[0] = ("Sub", _centre(value, mean_image), 0.0)
    consumers = list(value.uses())
    nodes: list[ir.Node] = []
    for operator, array, neutral in steps:
        if array is None or np.all(array == neutral):
            continue
        nodes.append(_node(model.graph, operator, value, array, f"{PREFIX}/{operator.lower()}"))
        value = nodes[-1].outputs[0]
    if not nodes and required:
        raise UsageError(
            "--embed-preprocessing: neither the definition nor the catalog gives a mean or a scale"
        )
    for use in consumers:
        use.node.replace_input_with(use.idx, value)
    model.graph.insert_before(model.graph[0], nodes)
    remaining = {**preprocessing, "mean": None, "std": None, "scale": 1.0}
    return {name: value for name, value in remaining.items() if name not in ("mean_file", "mean_image")}


def without_preprocessing_nodes(model: ir.Model) -> ir.Model:
    """The net behind the nodes of `--embed-preprocessing`: a copy whose input is what these nodes make.

    FormatError if the net has no such nodes, or if they make several values.
    """
    copy = model.clone()
    copy.meta.update(model.meta)
    graph = copy.graph
    own = {node for node in graph if str(node.name).startswith(f"{PREFIX}/")}
    made = {
        value
        for node in own
        for value in node.outputs
        if value.is_graph_output() or any(use.node not in own for use in value.uses())
    }
    if len(made) != 1 or len(graph.inputs) != 1:
        raise FormatError(
            f"the metadata of the net say that it prepares its images, and {len(made)} of its values come "
            f"from nodes that do ({PREFIX}/...): damaged, or changed by another program"
        )
    (prepared,) = made
    behind = ir.Value(name=graph.inputs[0].name, type=prepared.type, shape=prepared.shape)
    ir.convenience.replace_all_uses_with(prepared, behind, replace_graph_outputs=True)
    graph.inputs[0] = behind
    for node in reversed([node for node in graph if node in own]):
        graph.remove(node, safe=True)
    for name in [name for name, value in graph.initializers.items() if not value.uses()]:
        if not graph.initializers[name].is_graph_output():
            del graph.initializers[name]
    for key in ("embedded_preprocessing", "channel_order", "value_range", "layout"):
        copy.metadata_props.pop(f"dsd-zoo.{key}", None)
    return copy


def embedded_settings(metadata: Mapping[str, str]) -> dict[str, Any] | None:
    """What the first nodes of a net do to its images, by name; None for a net that prepares none.

    metadata: of the net. FormatError if the metadata are damaged.
    """
    text = metadata.get("dsd-zoo.embedded_preprocessing")
    if not text:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise FormatError(f"the metadata dsd-zoo.embedded_preprocessing are no settings: {text:.80}")
    return found


def takes_images(model: ir.Model) -> bool:
    """Whether the first nodes of a net make its input of whole images. FormatError as above."""
    return "layout" in (embedded_settings(model.metadata_props) or {})


def describe_images(model: ir.Model) -> str | None:
    """`embedded_settings` in words; None for a net that prepares no images. FormatError as there."""
    found = embedded_settings(model.metadata_props)
    if found is None:
        return None
    done = ", ".join(
        f"{name} {value}"
        for name, value in found.items()
        if name not in ("layout", "channel_order") and value not in (None, False)
    )
    if "layout" not in found:
        return f"its first nodes apply {done}: it takes cropped pixels"
    return (
        f"its first nodes prepare the images ({done}): it takes uint8 images N x height x width x 3, "
        f"{found.get('channel_order')}"
    )


def pixels_text(model: ir.Model, preprocessing: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """The channel order and the range of the pixels that the input takes, as the end of a sentence.

    preprocessing, metadata: what the files and the caller state (`channel_order`, `value_range`). Where they
    do not, a net of Caffe takes OpenCV's pixels: BGR, 0 to 255. Empty where nothing is known.
    """
    (value,) = (value for value in model.graph.inputs if value.name not in model.graph.initializers)
    from_caffe = model.meta["report"].framework == "caffe"
    colours = value.shape is not None and len(value.shape) == 4 and value.shape[1] == 3
    order = preprocessing.get("channel_order") or metadata.get("channel_order")
    limits = preprocessing.get("value_range") or metadata.get("value_range")
    parts = []
    if colours and (order or from_caffe):
        parts.append(order or "BGR")
    if limits or from_caffe:
        low, high = limits or (0, 255)
        parts.append(f"{low:g} to {high:g}")
    return "".join(f", {part}" for part in parts)


def _per_channel(value: ir.Value, operand: Any) -> np.ndarray | None:  # noqa: ANN401
    if operand is None:
        return None
    array = np.asarray(operand, np.float32).reshape(-1)
    channels = value.shape[1] if value.shape is not None and len(value.shape) == 4 else None
    if channels is None or array.size not in (1, channels):
        raise UsageError(
            f"--embed-preprocessing: {array.size} values for the input shape {value.shape}; expected images "
            "N x C x H x W and one value per channel"
        )
    return array.reshape(-1, 1, 1)


def _centre(value: ir.Value, image: np.ndarray) -> np.ndarray:
    """The centre of a mean image, of the size of the net's input."""
    sizes = tuple(value.shape or ())[1:]
    if len(sizes) != 3 or not all(isinstance(size, int) for size in sizes):
        raise UsageError(
            f"--mean-image: the net takes {value.shape}; expected images N x C x H x W of a fixed size"
        )
    channels, height, width = (int(size) for size in sizes if isinstance(size, int))
    if image.ndim != 3 or image.shape[0] != channels or image.shape[1] < height or image.shape[2] < width:
        raise UsageError(
            f"--mean-image: it is {' x '.join(map(str, image.shape))}; expected {channels} x {height} x "
            f"{width} or more rows and columns, of which the centre counts"
        )
    top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
    cropped = image[:, top : top + height, left : left + width]
    return np.ascontiguousarray(cropped, dtype=np.float32)


def _node(graph: ir.Graph, operator: str, value: ir.Value, array: np.ndarray, name: str) -> ir.Node:
    constant = ir.Value(name=f"{name}.value", const_value=ir.Tensor(array, name=f"{name}.value"))
    constant.shape, constant.type = ir.Shape(array.shape), ir.TensorType(ir.DataType.FLOAT)
    graph.register_initializer(constant)
    node = ir.node(operator, [value, constant], name=name)
    node.outputs[0].name, node.outputs[0].shape, node.outputs[0].type = name, value.shape, value.type
    return node
