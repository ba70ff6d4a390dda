"""The shapes of a net's inputs: as asked for, as declared, or as the weights imply; batches stay open."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from converters.errors import ConverterError, UsageError
from converters.from_caffe import schema
from converters.from_caffe.inputs import Inputs, PartialShape
from converters.from_caffe.weights import Weights
from converters.graph import Dim, Shape, Symbol
from converters.options import Options

# Convolutions with a group per channel, which need not say so.
_DEPTHWISE = ("ConvolutionDepthwise", "DepthwiseConvolution")
# Layers with parameters whose first stored blob has one value per channel.
_PER_CHANNEL = {"BatchNorm", "Scale", "Bias", "PReLU"}
# Layers that leave the axes time and item where they are.
_KEEP_TIME = {"Bias", "Dropout", "Eltwise", "Embed", "ReLU", "Scale", "Sigmoid", "Split", "TanH"}
# Unrelated batch sizes up to which each is tried by itself: every try builds the net once.
_MOST_BATCHES = 4

Built = TypeVar("Built")


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
        timed.update(_timed_bottoms(layer))
        if timed.intersection(layer.top) and _keeps_time(layer):
            timed.update(layer.bottom)
    return {
        name: 1 if name in timed and len(shape) > 1 else 0 for name, shape in shapes.items() if len(shape)
    }


def _timed_bottoms(layer: schema.Message) -> Sequence[str]:
    """The bottoms that a layer takes as (time, item, ...)."""
    if layer.type in ("LSTM", "RNN"):  # x_static comes between the sequence and the states
        states = {"LSTM": 2, "RNN": 1}[layer.type] if layer.recurrent_param.expose_hidden else 0
        return [*layer.bottom[:2], *layer.bottom[len(layer.bottom) - states :]]
    return [*layer.bottom[: {"Lstm": 1, "ReverseTime": 1, "CTCGreedyDecoder": 2}.get(layer.type, 0)]]


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
