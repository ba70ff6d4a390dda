"""Where a net's data enters: names, shapes and preprocessing of its inputs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from converters.errors import ConverterError, FormatError, UsageError
from converters.from_caffe import schema
from converters.from_caffe.weights import Weights
from converters.graph import Dim, Shape, Symbol
from converters.options import Options

# The layers whose tops come from outside, and where each keeps its batch size.
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
# ResizeParameter.Resize_mode
_WARP = 1
# Convolutions with a group per channel, which need not say so.
_DEPTHWISE = ("ConvolutionDepthwise", "DepthwiseConvolution")
# Layers with parameters whose first stored blob has one value per channel.
_PER_CHANNEL = {"BatchNorm", "Scale", "Bias", "PReLU"}
# Layers that leave the axes time and item where they are.
_KEEP_TIME = {"Bias", "Dropout", "Eltwise", "Embed", "ReLU", "Scale", "Sigmoid", "Split", "TanH"}
# Unrelated batch sizes up to which each is tried by itself: every try builds the net once.
_MOST_BATCHES = 4

Given = TypeVar("Given")
Built = TypeVar("Built")

# A shape as far as the definition tells it: None for an unknown size; a shape of None has an unknown rank.
PartialShape = tuple[int | None, ...] | None


@dataclass(frozen=True)
class Inputs:
    """names: all inputs of the definition; shapes: by name, of those that something reads.

    batches: the batch size of those of which nothing else is known.
    """

    names: Sequence[str]
    shapes: Mapping[str, PartialShape]
    batches: Mapping[str, int | None]
    layers: list[schema.Message] = field(default_factory=list)
    preprocessing: dict[str, Any] | None = None

    @property
    def without_size(self) -> list[str]:
        """Those whose size the definition leaves open, apart from the batch."""
        return [name for name, shape in self.shapes.items() if shape is None or None in shape[1:]]

    def restricted(self, names: set[str]) -> Inputs:
        """Only the inputs that something reads."""
        return replace(self, shapes={name: shape for name, shape in self.shapes.items() if name in names})


def find_inputs(layers: Sequence[schema.Message]) -> tuple[Inputs, list[schema.Message]]:
    """The inputs of a net and its other layers. DummyData is an input only where there is no other."""
    sources = [layer for layer in layers if layer.type == "Input" or layer.type in DATA_LAYERS]
    if not sources:
        sources = [layer for layer in layers if layer.type == "DummyData"]
    shapes: dict[str, PartialShape] = {}
    preprocessing = None
    for layer in sources:
        for name, shape in zip(layer.top, _declared_shapes(layer), strict=True):
            if shape is not None and any(size is not None and size < 1 for size in shape):
                raise FormatError(
                    f"input {name!r} of layer {layer.name!r} has the shape {shape}: sizes start at 1"
                )
            shapes[name] = shape
        if preprocessing is None and layer.type in DATA_LAYERS:
            preprocessing = _preprocessing(layer)
    rest = [layer for layer in layers if all(layer is not source for source in sources)]
    data_layers = [layer for layer in sources if layer.type != "Input"]
    batches = {top: layer.hdf5_data_param.batch_size or None for layer in data_layers for top in layer.top}
    return Inputs(list(shapes), shapes, batches, data_layers, preprocessing), rest


def _declared_shapes(layer: schema.Message) -> list[PartialShape]:
    if layer.type == "Input":
        given: list[PartialShape] = [tuple(shape.dim) for shape in layer.input_param.shape]
        return _one_per_top(layer, given or [None])
    if layer.type == "DummyData":
        return list(dummy_data_shapes(layer))
    batch = getattr(layer, DATA_LAYERS[layer.type]).batch_size or None
    if layer.type == "HDF5Data":
        return [None] * len(layer.top)
    return [_image_shape(layer, batch), *([(batch,)] * len(layer.top))][: len(layer.top)]


def dummy_data_shapes(layer: schema.Message) -> list[tuple[int, ...]]:
    """The shape of each top of a DummyData layer: given whole, or by its four sizes, each once or per top."""
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


def batch_sizes(
    inputs: Inputs, layers: Sequence[schema.Message], weights: Weights | None, options: Options
) -> list[int | None]:
    """The declared batch sizes that nothing asked for fixes, each once, in the order of the inputs."""
    if options.static_batch is not None:
        return []
    shapes = _declared(inputs, layers, weights, options)
    axes = _batch_axes(shapes, layers)
    return list(dict.fromkeys(shapes[name][axis] for name, axis in axes.items()))


def freest(
    sizes: Sequence[int | None], attempt: Callable[[Collection[int | None]], Built]
) -> tuple[Built, list[int | None]]:
    """What `attempt` makes with the most batch sizes left open, and those it needs as they are declared.

    `attempt` raises ConverterError where the net does not allow it. Where the batches do not belong
    together and some are counted or mixed, the first ones have the first choice.
    """
    with contextlib.suppress(ConverterError):
        return attempt(sizes), []
    built = attempt(())
    free: list[int | None] = []
    for size in sizes if 1 < len(sizes) <= _MOST_BATCHES else ():
        with contextlib.suppress(ConverterError):
            built = attempt([*free, size])
            free.append(size)
    return built, [size for size in sizes if size not in free]


def resolve(
    inputs: Inputs,
    layers: Sequence[schema.Message],
    weights: Weights | None,
    options: Options,
    free: Collection[int | None],
) -> dict[str, Shape]:
    """The shape of every input: as given, as declared, or as the stored weights imply it.

    The declared batch sizes in `free` become a Symbol each, the same for all inputs that declare it.
    """
    given = {name: options.input_shapes[name] for name in inputs.shapes if name in options.input_shapes}
    declared = _declared(inputs, layers, weights, options)
    known: dict[str, Sequence[object]] = {**given, **declared}
    axes = _batch_axes(known, layers)
    first_batch = next((declared[name][axis] for name, axis in axes.items() if name in declared), None)
    symbols: dict[int | None, Symbol] = {}
    shapes: dict[str, Shape] = {}
    for name in inputs.shapes:
        axis = axes.get(name)
        if name in given:
            shapes[name] = tuple(
                Symbol(s, batch=k == axis) if isinstance(s, str) else s for k, s in enumerate(given[name])
            )
            continue
        shape: list[Dim] = [
            s if s is not None else Symbol(f"{name}_{k}") for k, s in enumerate(declared[name])
        ]
        if axis is not None:
            size = declared[name][axis]
            shape[axis] = size or 1
            if options.static_batch is not None and size in (None, first_batch):
                shape[axis] = options.static_batch
            elif size in free:
                symbol = Symbol("N" if not symbols else f"N{len(symbols) + 1}", batch=True)
                shape[axis] = symbols.setdefault(size, symbol)
        shapes[name] = tuple(shape)
    return shapes


def _batch_axes(shapes: Mapping[str, Sequence[object]], layers: Sequence[schema.Message]) -> dict[str, int]:
    """The axis of each input that counts its items: the first, or the one behind time in a recurrent net."""
    timed: set[str] = set()
    for layer in reversed(layers):
        if layer.type in ("LSTM", "Lstm", "RNN"):
            timed.update(_timed_bottoms(layer))
        elif timed.intersection(layer.top) and _keeps_time(layer):
            timed.update(layer.bottom)
    return {
        name: 1 if name in timed and len(shape) > 1 else 0 for name, shape in shapes.items() if len(shape)
    }


def _timed_bottoms(layer: schema.Message) -> Sequence[str]:
    """All of a recurrent layer but x_static, which comes between the sequence and the states."""
    states = {"LSTM": 2, "RNN": 1}.get(layer.type, 0) if layer.recurrent_param.expose_hidden else 0
    return [*layer.bottom[:2], *layer.bottom[len(layer.bottom) - states :]]


def _keeps_time(layer: schema.Message) -> bool:
    if layer.type == "InnerProduct":
        return bool(layer.inner_product_param.axis not in (0, 1))
    if layer.type == "Concat":
        return bool(layer.concat_param.axis not in (0, 1))
    return layer.type in _KEEP_TIME


def _declared(
    inputs: Inputs, layers: Sequence[schema.Message], weights: Weights | None, options: Options
) -> dict[str, tuple[int | None, ...]]:
    """The shapes of the inputs of which none is given, as far as the definition and the weights tell."""
    unknown = options.input_shapes.keys() - set(inputs.names)
    if unknown:
        raise UsageError(
            f"--input-shape names {', '.join(sorted(unknown))}; inputs: {', '.join(inputs.names) or 'none'}"
        )
    return {
        name: shape
        if shape is not None and None not in shape[1:]
        else _implied(name, shape, inputs.batches.get(name), layers, weights)
        for name, shape in inputs.shapes.items()
        if name not in options.input_shapes
    }


def _implied(
    name: str,
    declared: PartialShape,
    batch: int | None,
    layers: Sequence[schema.Message],
    weights: Weights | None,
) -> tuple[int | None, ...]:
    """A shape completed from the weights that read it; spatial sizes that nothing fixes stay None."""
    found = _channels(name, layers, weights) if weights is not None else None
    if found is None and (declared is None or declared[1] is None):
        raise UsageError(
            f"the definition does not tell the shape of input {name!r}; give it: --input-shape {name}=N,C,H,W"
        )
    if declared is None:
        assert found is not None
        channels, rank = found
        return (batch, channels, *(None,) * (rank - 2))
    return (declared[0], declared[1] or (found[0] if found else None), *declared[2:])


def _channels(blob: str, layers: Sequence[schema.Message], weights: Weights | None) -> tuple[int, int] | None:
    """(channels, rank) that the stored parameters of the layers reading `blob` ask for, if they tell.

    A convolution tells more than a matrix product, which flattens what it reads.
    """
    assert weights is not None
    least = None
    for k, layer in enumerate(layers):
        if not len(layer.bottom) or layer.bottom[0] != blob:
            continue
        found = _asked_for(layer, weights) or _through(layer, layers[k + 1 :], weights)
        if found is not None and found[1] > 2:
            return found
        least = least or found
    return least


def _asked_for(layer: schema.Message, weights: Weights) -> tuple[int, int] | None:
    """What the parameters of this layer tell of its bottom."""
    stored = weights.stored(layer.name, None)
    shape = stored.shapes[0] if stored is not None and stored.blobs else ()
    if layer.type in _DEPTHWISE and len(shape) > 2 and layer.convolution_param.group == 1:
        return shape[0], len(shape)
    if layer.type in ("Convolution", *_DEPTHWISE) and len(shape) > 2:
        return shape[1] * layer.convolution_param.group, len(shape)
    if layer.type == "Deconvolution" and len(shape) > 2:
        return shape[0], len(shape)
    if layer.type == "InnerProduct" and len(shape) >= 2:
        return (shape[-2] if layer.inner_product_param.transpose else shape[-1]), 2
    if layer.type in _PER_CHANNEL and shape:
        return shape[-1], 4
    return None


def _through(
    layer: schema.Message, rest: Sequence[schema.Message], weights: Weights
) -> tuple[int, int] | None:
    """The same question for the tops of a layer that passes its channels on."""
    if layer.type == "Slice":
        parts = [_channels(top, rest, weights) for top in layer.top]
        known = [part for part in parts if part is not None]
        if len(known) == len(parts):
            return sum(channels for channels, _ in known), known[0][1]
        return None
    return _channels(layer.top[0], rest, weights) if len(layer.top) else None
