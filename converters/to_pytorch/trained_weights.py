"""Weights from the state dict of a net.py, put back into the model that it was written from."""

from __future__ import annotations

from collections.abc import Mapping

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
            _scatter(changed, arrays, *places[key], values)
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


def _places(model: ir.Model, keys: list[str]) -> dict[str, tuple[np.ndarray, dict[str, slice]]]:
    """For each key, where its elements lie among all elements of the model's float initializers.

    The model is converted again with the place of each element as its value. A second conversion with random
    values shows whether the elements were only moved; a sum of two biases, for example, has no place.
    """
    slices, end = {}, 0
    for name, value in model.graph.initializers.items():
        if value.const_value is not None and value.const_value.numpy().dtype.kind == "f":
            slices[name] = slice(end, end + value.const_value.size)
            end = slices[name].stop
    noise = np.random.default_rng(0).standard_normal(end)
    places = _converted_with(model, slices, np.arange(end, dtype=np.float64))
    values = _converted_with(model, slices, noise)
    found = {}
    for key in keys:
        place = places[key].array if key in places else np.zeros(0)
        index = place.astype(np.int64)
        moved = index.size and (index == place).all() and (index >= 0).all() and (index < end).all()
        if not moved or not np.array_equal(noise[index], values[key].array):
            raise UnsupportedError(
                f"{key} is computed from several weights of the source, so that trained values cannot be "
                "written back; keep the trained net in its PyTorch form"
            )
        found[key] = index, slices
    return found


def _converted_with(
    model: ir.Model, slices: Mapping[str, slice], values: np.ndarray
) -> dict[str, Initializer]:
    copy = model.clone()
    copy.meta.update(model.meta)
    for name, where in slices.items():
        value = copy.graph.initializers[name]
        assert value.const_value is not None
        shape = tuple(value.const_value.numpy().shape)
        value.const_value = ir.Tensor(values[where].reshape(shape), name=name)
    return convert(copy).state()


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
