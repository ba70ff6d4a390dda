"""The shapes of a net's inputs: as given, as declared, or as the weights imply; the batch stays symbolic."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from converters.errors import ConverterError, LimitError, UsageError
from converters.from_caffe import schema
from converters.from_caffe.implied_channels import implied_channels
from converters.from_caffe.inputs import Inputs, PartialShape
from converters.from_caffe.layers import layer_types
from converters.from_caffe.weights import Weights
from converters.options import Options
from converters.sizes import Dim, Shape, Symbol

# Each attempt converts the whole net, so only up to this many different batch sizes are tried one by one.
_MOST_BATCH_SIZES = 4

Converted = TypeVar("Converted")


def declared_batch_sizes(
    inputs: Inputs, layers: Sequence[schema.Message], weights: Weights | None, options: Options
) -> list[int | None]:
    """The batch sizes of the inputs that no option fixes, each once, in the order of the inputs.

    None stands for a batch size that the definition leaves open.
    """
    if options.static_batch is not None:
        return []
    shapes = _known_shapes(inputs, layers, weights, options)
    axes = _batch_axes(shapes, layers)
    return list(dict.fromkeys(shapes[name][axis] for name, axis in axes.items()))


def widest_dynamic_batch(
    sizes: Sequence[int | None],
    attempt: Callable[[Collection[int | None]], Converted],
    *,
    is_long: bool = False,
) -> tuple[Converted, list[int | None]]:
    """(the conversion with the most batch sizes symbolic, the batch sizes that had to stay as declared).

    `attempt` converts the net with the batch sizes it gets as symbols, and raises ConverterError where the
    net does not allow that. If not all can be symbolic together, they are tried in order and each that works
    is kept; not in a net that `is_long`, where each attempt takes long.
    """
    try:
        return attempt(sizes), []
    except LimitError:  # each other attempt takes as much
        raise
    except ConverterError:
        pass
    converted = attempt(())
    dynamic: list[int | None] = []
    for size in sizes if 1 < len(sizes) <= _MOST_BATCH_SIZES and not is_long else ():
        with contextlib.suppress(ConverterError):
            converted = attempt([*dynamic, size])
            dynamic.append(size)
    return converted, [size for size in sizes if size not in dynamic]


def resolve_shapes(
    inputs: Inputs,
    layers: Sequence[schema.Message],
    weights: Weights | None,
    options: Options,
    dynamic: Collection[int | None],
) -> dict[str, Shape]:
    """The shape of every input: as given, as declared, or as the stored weights imply it.

    Each declared batch size in `dynamic` becomes one Symbol, shared by all inputs that declare this size.
    """
    given = {name: options.input_shapes[name] for name in inputs.shapes if name in options.input_shapes}
    known = _known_shapes(inputs, layers, weights, options)
    both: dict[str, Sequence[object]] = {**given, **known}
    axes = _batch_axes(both, layers)
    first_batch = next((known[name][axis] for name, axis in axes.items() if name in known), None)
    symbols: dict[int | None, Symbol] = {}
    shapes: dict[str, Shape] = {}
    for name in inputs.shapes:
        axis = axes.get(name)
        if name in given:
            shapes[name] = tuple(
                Symbol(s, batch=k == axis) if isinstance(s, str) else s for k, s in enumerate(given[name])
            )
            continue
        shape: list[Dim] = [s if s is not None else Symbol(f"{name}_{k}") for k, s in enumerate(known[name])]
        if axis is not None:
            size = known[name][axis]
            shape[axis] = size or 1
            if options.static_batch is not None and size in (None, first_batch):
                shape[axis] = options.static_batch
            elif size in dynamic:
                symbol = Symbol("N" if not symbols else f"N{len(symbols) + 1}", batch=True)
                shape[axis] = symbols.setdefault(size, symbol)
        shapes[name] = tuple(shape)
    return shapes


def _batch_axes(shapes: Mapping[str, Sequence[object]], layers: Sequence[schema.Message]) -> dict[str, int]:
    """The batch axis of each input: 0, or 1 where a recurrent layer takes the input as (time, item, ...)."""
    time_major: set[str] = set()
    for layer in reversed(layers):
        layer_type = layer_types().get(layer.type)
        if layer_type is None:
            continue
        time_major.update(layer_type.time_major(layer))
        if time_major.intersection(layer.top) and layer_type.passes_time_on(layer):
            time_major.update(layer.bottom)
    return {
        name: 1 if name in time_major and len(shape) > 1 else 0
        for name, shape in shapes.items()
        if len(shape)
    }


def _known_shapes(
    inputs: Inputs, layers: Sequence[schema.Message], weights: Weights | None, options: Options
) -> dict[str, tuple[int | None, ...]]:
    """The shapes of the inputs that no option gives, as far as the definition and the weights tell them."""
    unknown = options.input_shapes.keys() - set(inputs.names)
    if unknown:
        raise UsageError(
            f"--input-shape names {', '.join(sorted(unknown))}; inputs: {', '.join(inputs.names) or 'none'}"
        )
    known: dict[str, Sequence[int | str | None]] = {**options.input_shapes}
    known |= {name: shape for name, shape in inputs.shapes.items() if shape is not None and name not in known}
    return {
        name: shape
        if shape is not None and None not in shape[1:]
        else _implied_shape(name, shape, inputs.batches.get(name), known, layers, weights)
        for name, shape in inputs.shapes.items()
        if name not in options.input_shapes
    }


def _implied_shape(
    name: str,
    declared: PartialShape,
    batch: int | None,
    known: Mapping[str, Sequence[int | str | None]],
    layers: Sequence[schema.Message],
    weights: Weights | None,
) -> tuple[int | None, ...]:
    """A shape completed from the weights of the layers that read it; unknown heights and widths stay None."""
    if declared is not None and (len(declared) < 2 or declared[1] is not None):
        return declared
    found = implied_channels(name, declared, known, layers, weights) if weights is not None else None
    if found is None:
        raise UsageError(
            f"the definition does not tell the shape of input {name!r}; give it: --input-shape {name}=N,C,H,W"
        )
    channels, rank = found
    return (
        (batch, channels, *(None,) * (rank - 2))
        if declared is None
        else (declared[0], channels, *declared[2:])
    )
