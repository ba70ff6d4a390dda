"""Weights from the state dict of a net.py, put back into the model that it was written from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from converters.errors import MismatchError, UnsupportedError
from converters.to_pytorch.conversion import convert
from converters.to_pytorch.generated_net import Initializer


def with_weights(model: ir.Model, state: Mapping[str, np.ndarray]) -> ir.Model:
    """A copy of `model` with the weights in `state`; see `converters.with_weights`."""
    stored = convert(model).state()
    _check(stored, state)
    copy = model.clone()
    copy.meta.update(model.meta)
    arrays = {
        name: value.const_value.numpy()
        for name, value in copy.graph.initializers.items()
        if value.const_value is not None
    }
    changed: dict[str, np.ndarray] = {}
    rearranged = [key for key, weight in stored.items() if not _is_whole(weight, arrays)]
    places = _places(model, rearranged) if rearranged else {}
    for key, weight in stored.items():
        values = np.ascontiguousarray(state[key], weight.array.dtype)
        if key in places:
            index, others, slices = places[key]
            _scatter(changed, arrays, index, slices, values)
            # The other part of a sum is zero from now on: the sum is then exact.
            _scatter(changed, arrays, others, slices, np.zeros_like(values))
        else:
            _assign(changed, weight.name, values.reshape(arrays[weight.name].shape), key)
    for name, array in changed.items():
        value = copy.graph.initializers[name]
        value.const_value = ir.Tensor(array, name=name)
    return copy


def _check(stored: Mapping[str, Initializer], state: Mapping[str, np.ndarray]) -> None:
    if missing := sorted(stored.keys() - state.keys()):
        raise MismatchError(f"the state has no {', '.join(missing[:5])}: it is that of another net")
    for key, weight in stored.items():
        if state[key].shape != weight.array.shape:
            raise MismatchError(
                f"{key} is {state[key].shape} in the state, and {weight.array.shape} in the net: "
                "it is that of another net"
            )


def _is_whole(weight: Initializer, arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether a stored tensor is a whole initializer in the same order, perhaps in another shape."""
    source = arrays.get(weight.name)
    return (
        source is not None
        and source.size == weight.array.size
        and source.ctypes.data == weight.array.ctypes.data
        and source.flags.c_contiguous
        and weight.array.flags.c_contiguous
    )


def _places(model: ir.Model, keys: list[str]) -> dict[str, tuple[np.ndarray, np.ndarray, dict[str, slice]]]:
    """For each key, where its elements lie among all elements of the model's float initializers.

    The first array has the place of each element; the second that of what is added to it, 0 for nothing: a
    GRU has one bias in torch where ONNX has two, of which it uses the sum. The model is converted again with
    the place of each element as its value, and with its square: both together tell two places. A last
    conversion with random values shows whether this is all that happened to the elements.
    """
    slices, end = {}, 1
    floats = {
        name: value.const_value.size
        for name, value in model.graph.initializers.items()
        if value.const_value is not None and value.const_value.numpy().dtype.kind == "f"
    }
    # Small ones first, so that biases have small places, whose squares are exact.
    for name, size in sorted(floats.items(), key=lambda item: item[1]):
        slices[name] = slice(end, end + size)
        end += size
    numbers = np.arange(end, dtype=np.float64)
    noise = np.random.default_rng(0).standard_normal(end)
    noise[0] = 0
    sums, squares, values = (
        _converted_with(model, slices, array, keys) for array in (numbers, numbers * numbers, noise)
    )
    found = {}
    for key in keys:
        if key in sums and key in squares and key in values:
            index, others = _two_places(sums[key], squares[key], end)
            if np.array_equal(noise[index] + noise[others], values[key]):
                found[key] = index, others, slices
                continue
        raise UnsupportedError(
            f"{key} is computed from several weights of the source, so that trained values cannot be "
            "written back; keep the trained net in its PyTorch form"
        )
    return found


def _two_places(sums: np.ndarray, squares: np.ndarray, end: int) -> tuple[np.ndarray, np.ndarray]:
    """The two numbers from 0 on whose sum and whose sum of squares these are; a 0 is the second."""
    apart = np.sqrt(np.maximum(2 * squares - sums * sums, 0))
    first, second = (
        np.clip(np.nan_to_num(number), 0, end - 1).astype(np.int64)
        for number in (np.rint((sums + apart) / 2), np.rint((sums - apart) / 2))
    )
    return np.where(second, second, first), np.where(second, first, second)


def _converted_with(
    model: ir.Model, slices: Mapping[str, slice], values: np.ndarray, keys: Sequence[str]
) -> dict[str, np.ndarray]:
    """What is stored under these keys where the weights have these values."""
    copy = model.clone()
    copy.meta.update(model.meta)
    for name, where in slices.items():
        value = copy.graph.initializers[name]
        assert value.const_value is not None
        shape = tuple(value.const_value.numpy().shape)
        value.const_value = ir.Tensor(values[where].reshape(shape), name=name)
    stored = convert(copy).state()
    return {key: stored[key].array for key in keys if key in stored}


def _scatter(
    changed: dict[str, np.ndarray],
    arrays: Mapping[str, np.ndarray],
    index: np.ndarray,
    slices: Mapping[str, slice],
    values: np.ndarray,
) -> None:
    for name, where in slices.items():
        inside = (index >= where.start) & (index < where.stop)
        if not inside.any():
            continue
        array = changed.get(name)
        if array is None:
            array = changed[name] = arrays[name].copy()
        array.reshape(-1)[index[inside] - where.start] = values[inside]


def _assign(changed: dict[str, np.ndarray], name: str, array: np.ndarray, key: str) -> None:
    if name in changed and not np.array_equal(changed[name], array):
        raise UnsupportedError(
            f"{key} shares its weights with another layer of the source, and was trained apart from it; "
            "keep the trained net in its PyTorch form"
        )
    changed[name] = array
