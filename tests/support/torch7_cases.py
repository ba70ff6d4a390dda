"""Running cases recorded from Torch7, and writing .t7 files."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort
import torch

from converters.to_onnx.model_proto import initializer_arrays, proto_without_initializers, tensor_header

if TYPE_CHECKING:
    import onnx_ir as ir

_ELEMENTS = {"f4": "Float", "f8": "Double", "f2": "Half", "i8": "Long", "i4": "Int", "u1": "Byte"}


def values(*shape: int, seed: int = 0) -> np.ndarray:
    """Random numbers, both signs, no ties; the same for the same shape and seed."""
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


# Inputs of two to five dimensions.
X2, X3, X4, X5 = values(3, 6), values(4, 5, 6), values(2, 4, 7, 6), values(2, 3, 4, 5, 6)


def softmax(x: np.ndarray, axes: int | tuple[int, ...]) -> np.ndarray:
    """The softmax over these axes together."""
    e = np.exp(x - x.max(axes, keepdims=True))
    return e / e.sum(axes, keepdims=True)


def sizes(*numbers: int) -> tuple[str, np.ndarray]:
    """A torch.LongStorage for `T7Writer`."""
    return "storage", np.array(numbers, np.int64)


def t(array: np.ndarray) -> torch.Tensor:
    """The same numbers for PyTorch."""
    return torch.from_numpy(np.ascontiguousarray(array))


def recorded(case: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Inputs and outputs of a case under the names that a converted net gives them."""
    with np.load(case / "io.npz") as io:
        inputs = [io[key] for key in io.files if key.startswith("in:")]
        outputs = [io[key] for key in io.files if key.startswith("out:")]
    return named("input", inputs), named("output", outputs)


def named(name: str, arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays under the names that a converted net gives its inputs or outputs."""
    return {(name if len(arrays) == 1 else f"{name}_{k}"): array for k, array in enumerate(arrays)}


def typed(model: ir.Model, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inputs of a converted net, each cast to the type that the net takes."""
    return {str(i.name): feeds[str(i.name)].astype(i.dtype.numpy()) for i in model.graph.inputs}


def run_model(model: ir.Model, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs of a converted net by name, from ONNX Runtime on the CPU."""
    proto = proto_without_initializers(model)
    for name, array in initializer_arrays(model):
        tensor = tensor_header(name, array)
        tensor.raw_data = np.ascontiguousarray(array).tobytes()
        proto.graph.initializer.append(tensor)
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_outputs()]
    return dict(zip(names, session.run(names, typed(model, feeds)), strict=True))


def assert_same(got: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    """Equal names and shapes; values to 1e-5 of the largest."""
    assert list(got) == list(wanted)
    for name, reference in wanted.items():
        scale = max(1.0, float(np.abs(reference).max(initial=0.0)))
        assert got[name].shape == reference.shape
        np.testing.assert_allclose(got[name], reference, rtol=0, atol=1e-5 * scale)


class T7Writer:
    """Python values as a .t7 stream.

    dict and list become tables, arrays tensors, ("storage", array) a storage, and ("class", fields) or
    ("class", fields, version) a torch object. A key may be any object with an attribute `value`. The same
    Python object is written once.
    """

    def __init__(self) -> None:
        self._indices: dict[int, int] = {}
        self._kept: list[object] = []

    def file(self, value: object) -> bytes:
        if value is None:
            return struct.pack("<i", 0)
        if isinstance(value, bool):
            return struct.pack("<ii", 5, value)
        if isinstance(value, int | float):
            return struct.pack("<id", 1, value)
        if isinstance(value, str):
            return struct.pack("<i", 2) + self._text(value)
        kind = 3 if isinstance(value, dict | list) else 4
        if id(value) in self._indices:
            return struct.pack("<ii", kind, self._indices[id(value)])
        self._kept.append(value)
        index = self._indices[id(value)] = len(self._kept)
        head = struct.pack("<ii", kind, index)
        if isinstance(value, list):
            value = dict(enumerate(value, 1))
        if isinstance(value, dict):
            return head + struct.pack("<i", len(value)) + b"".join(map(self._entry, value.items()))
        return head + (self._tensor(value) if isinstance(value, np.ndarray) else self._object(value))

    def _entry(self, pair: tuple[object, object]) -> bytes:
        key, value = pair
        return self.file(getattr(key, "value", key)) + self.file(value)

    def _object(self, value: tuple) -> bytes:
        name, fields, *version = value
        if name == "storage":
            return self._storage(fields)
        return self._text(f"V {version[0] if version else 1}") + self._text(name) + self.file(fields)

    def _tensor(self, array: np.ndarray) -> bytes:
        array = np.ascontiguousarray(array)
        name = _ELEMENTS[array.dtype.str[1:]]
        strides = [stride // array.itemsize for stride in array.strides]
        numbers = [*array.shape, *strides, 1]
        head = self._text("V 1") + self._text(f"torch.{name}Tensor") + struct.pack("<i", array.ndim)
        return head + struct.pack(f"<{len(numbers)}q", *numbers) + self.file(("storage", array.reshape(-1)))

    def _storage(self, array: np.ndarray) -> bytes:
        name = _ELEMENTS[array.dtype.str[1:]]
        head = self._text("V 1") + self._text(f"torch.{name}Storage") + struct.pack("<q", array.size)
        return head + array.tobytes()

    @staticmethod
    def _text(value: str) -> bytes:
        return struct.pack("<i", len(value)) + value.encode()
