"""The inputs of a net: names, shapes and preprocessing, from Input layers and data layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from converters.errors import FormatError
from converters.from_caffe import schema
from converters.from_caffe.limits import MAX_BLOB_AXES

# Layers that read data from files or memory, and the parameter message that holds the batch size of each.
DATA_LAYERS = {
    "Data": "data_param",
    "ImageData": "image_data_param",
    "HDF5Data": "hdf5_data_param",
    "MemoryData": "memory_data_param",
    "WindowData": "window_data_param",
    "DenseImageData": "dense_image_data_param",
    "AnnotatedData": "data_param",
    "VideoData": "data_param",
    "ImageSegData": "image_data_param",
    "CPMData": "data_param",
    "CustomData": "data_param",
}
# Those whose images go through Caffe's DataTransformer: where they state no mean, none is subtracted. The
# others take what is prepared elsewhere, or prepare it in code of their own.
TRANSFORMING_LAYERS = frozenset(
    {"Data", "ImageData", "MemoryData", "WindowData", "DenseImageData", "AnnotatedData", "VideoData"}
)
# ResizeParameter.Resize_mode
_WARP = 1

Given = TypeVar("Given")

# A shape as far as the definition tells it. An unknown size is None; where even the rank is unknown, the
# shape is None.
PartialShape = tuple[int | None, ...] | None


@dataclass(frozen=True)
class Inputs:
    """The inputs of a definition.

    names: all of them; shapes: by name, of those that a layer reads or that are outputs.
    batches: the batch size of each top of a data layer whose shape is unknown (HDF5Data), where it is stated.
    data_layers: the layers that become inputs, Input layers not among them.
    preprocessing: what the first data layer does to its images, as JSON values.
    """

    names: Sequence[str]
    shapes: Mapping[str, PartialShape]
    batches: Mapping[str, int | None]
    data_layers: list[schema.Message] = field(default_factory=list)
    preprocessing: dict[str, Any] | None = None

    @property
    def with_unknown_size(self) -> list[str]:
        """The inputs of which the definition leaves more open than the batch."""
        return [name for name, shape in self.shapes.items() if shape is None or None in shape[1:]]

    def only(self, names: set[str]) -> Inputs:
        """The same with the shapes of these inputs alone."""
        return replace(self, shapes={name: shape for name, shape in self.shapes.items() if name in names})


def is_data_layer(layer_type: str, layer: schema.Message) -> bool:
    """Whether a layer reads data: a known type, or one of a fork without bottoms whose name ends in Data."""
    return layer_type in DATA_LAYERS or (
        layer_type.endswith("Data") and layer_type != "DummyData" and not len(layer.bottom)
    )


def find_inputs(layers: Sequence[schema.Message]) -> tuple[Inputs, list[schema.Message]]:
    """(the inputs of a net, its other layers). DummyData is an input only where the net has no other."""
    input_layers = [layer for layer in layers if layer.type == "Input" or is_data_layer(layer.type, layer)]
    if not input_layers:
        input_layers = [layer for layer in layers if layer.type == "DummyData"]
    shapes: dict[str, PartialShape] = {}
    preprocessing = None
    for layer in input_layers:
        for name, shape in zip(layer.top, _declared_shapes(layer), strict=True):
            where = f"input {name!r} of layer {layer.name!r}"
            if shape is not None and len(shape) > MAX_BLOB_AXES:
                raise FormatError(
                    f"{where} has {len(shape):,} axes; a blob of Caffe has {MAX_BLOB_AXES} at most"
                )
            if shape is not None and any(size is not None and size < 1 for size in shape):
                raise FormatError(f"{where} has the shape {shape}: sizes start at 1")
            shapes[name] = shape
        if preprocessing is None and _states_preprocessing(layer):
            preprocessing = _preprocessing(layer)
    made_here = {id(layer) for layer in input_layers}
    rest = [layer for layer in layers if id(layer) not in made_here]
    data_layers = [layer for layer in input_layers if layer.type != "Input"]
    batches = {top: layer.hdf5_data_param.batch_size or None for layer in data_layers for top in layer.top}
    return Inputs(list(shapes), shapes, batches, data_layers, preprocessing), rest


def data_made(layer: schema.Message) -> tuple[object, ...]:
    """What a layer with data gives the net: its tops, their shapes without the batch, and preprocessing."""
    shapes = [shape if shape is None else shape[1:] for shape in _declared_shapes(layer)]
    preprocessing = {**_preprocessing(layer), "layer": None} if layer.type != "Input" else None
    return list(layer.top), shapes, preprocessing


def _declared_shapes(layer: schema.Message) -> list[PartialShape]:
    if layer.type == "Input":
        given: list[PartialShape] = [tuple(shape.dim) for shape in layer.input_param.shape]
        return _one_per_top(layer, given or [None])
    if layer.type == "DummyData":
        return list(dummy_data_shapes(layer))
    if layer.type == "HDF5Data":
        return [None] * len(layer.top)
    if layer.type not in DATA_LAYERS:  # only its first top is known to hold images
        batch = layer.data_param.batch_size or layer.image_data_param.batch_size or None
        return [_image_shape(layer, batch), *([None] * len(layer.top))][: len(layer.top)]
    batch = getattr(layer, DATA_LAYERS[layer.type]).batch_size or None
    return [_image_shape(layer, batch), *([(batch,)] * len(layer.top))][: len(layer.top)]


def dummy_data_shapes(layer: schema.Message) -> list[tuple[int, ...]]:
    """The shape of each top of a DummyData layer: from `shape`, or from num, channels, height and width.

    Either is given once for all tops, or once for each. FormatError for any other number.
    """
    p = layer.dummy_data_param
    sizes = [p.num, p.channels, p.height, p.width]
    if not any(len(size) for size in sizes):
        return _one_per_top(layer, [tuple(shape.dim) for shape in p.shape])
    if len(p.shape):
        raise FormatError(
            f"layer {layer.name!r} ({layer.type}) gives both shape and the sizes num, channels, ..."
        )
    return list(zip(*(_one_per_top(layer, list(size)) for size in sizes), strict=True))


def _one_per_top(layer: schema.Message, given: Sequence[Given]) -> list[Given]:
    if len(given) not in (1, len(layer.top)):
        raise FormatError(
            f"layer {layer.name!r} ({layer.type}) gives {len(given)} shapes or sizes; "
            f"expected one, or one for each of its {len(layer.top)} tops"
        )
    return list(given) if len(given) == len(layer.top) else list(given) * len(layer.top)


def _image_shape(layer: schema.Message, batch: int | None) -> PartialShape:
    if layer.type == "MemoryData":
        p = layer.memory_data_param
        return (batch, p.channels, p.height, p.width)
    crop = layer.transform_param.crop_size or None
    height, width = (crop, crop) if crop else _warped(layer) or (None, None)
    channels = len(layer.transform_param.mean_value) if len(layer.transform_param.mean_value) > 1 else None
    if layer.type == "ImageData":
        p = layer.image_data_param
        channels = 3 if p.is_color else 1
        height, width = crop or p.new_height or None, crop or p.new_width or None
    if layer.type == "WindowData" or layer.transform_param.force_color:
        channels = 3
    if layer.transform_param.force_gray:
        channels = 1
    return (batch, channels, height, width)


def _warped(layer: schema.Message) -> tuple[int, int] | None:
    """(height, width) that SSD's data layers resize every image to."""
    p = layer.transform_param.resize_param
    return (p.height, p.width) if p.resize_mode == _WARP and p.height and p.width else None


def _states_preprocessing(layer: schema.Message) -> bool:
    """Whether a layer tells how its images are prepared, be it that no mean is subtracted."""
    if layer.type in ("Input", "DummyData"):
        return False
    p = layer.transform_param
    return layer.type in TRANSFORMING_LAYERS or bool(p.mean_value) or bool(p.mean_file)


def _preprocessing(layer: schema.Message) -> dict[str, Any]:
    """What the layer does to an image, in the terms of Caffe's DataTransformer."""
    p = layer.transform_param
    image = layer.image_data_param
    size = _warped(layer)
    if layer.type == "ImageData" and image.new_height:
        size = (image.new_height, image.new_width)
    return {
        "framework": "caffe",
        "layer": layer.name,
        "channel_order": "BGR",
        "resize": list(size) if size else None,
        "crop": p.crop_size or None,
        "mean": list(p.mean_value) or None,
        "mean_file": p.mean_file or None,
        "scale": p.scale,
    }
