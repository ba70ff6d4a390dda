"""One nn module as the file has it: typed access to its fields, errors that say where it stands."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from converters.errors import ConverterError, FormatError, MismatchError, UnsupportedError
from converters.from_torch7.objects import Function, Storage, Table, Tensor, TorchObject
from converters.graph import Dim, shape_text, static

# Expanded tensors (stride 0) take no room in the file; as weights they have to be written out.
MAX_EXPANDED_ELEMENTS = 2**24

# Torch's own sizes are C ints.
MAX_INTEGER = 2**31 - 1
# More sizes than any tensor has.
MAX_SIZES = 64
# The most elements of a table of indices, a mask or a dense kernel that a module's fields ask for.
MAX_COMPUTED_ELEMENTS = 2**26

_E = TypeVar("_E", bound=ConverterError)
_REQUIRED: Any = object()


@dataclass(frozen=True, eq=False)
class Module:
    """An nn module and its place in the net.

    path: the positions of the containers down to it, as in net:get(5):get(1); empty for the net itself.
    """

    item: TorchObject
    path: str = ""

    @property
    def class_name(self) -> str:
        """The class as the file names it, "cudnn.SpatialConvolution"."""
        return self.item.class_name

    @property
    def place(self) -> str:
        """The class and path for messages."""
        return f"{self.class_name} at {self.path}" if self.path else self.class_name

    def error(self, kind: type[_E], message: str) -> _E:
        """An error that says which module it is about."""
        return kind(f"{self.place}: {message}")

    def get(self, name: str) -> Any:  # noqa: ANN401
        """The field as it came; None if it is absent."""
        return self.item.fields.fields.get(name)

    def has(self, name: str) -> bool:
        """Whether the field is there and not nil."""
        return self.get(name) is not None

    def number(self, name: str, default: float = _REQUIRED) -> float:
        """A number field."""
        value = self.get(name)
        if value is None and default is not _REQUIRED:
            return default
        if not isinstance(value, float):
            raise self.error(FormatError, f"field {name!r} should be a number, but is {describe(value)}")
        return value

    def integer(self, name: str, default: int = _REQUIRED, least: int | None = None) -> int:
        """A number field that must be whole, and at least `least`."""
        value = self.number(name, default)
        if abs(value) > MAX_INTEGER:
            raise self.error(FormatError, f"field {name!r} is {value:g}; no size is as large as that")
        if not float(value).is_integer():
            raise self.error(FormatError, f"field {name!r} should be a whole number, but is {value:g}")
        if least is not None and value < least:
            raise self.error(FormatError, f"field {name!r} should be {least} or more, but is {value:g}")
        return int(value)

    def positive(self, name: str, default: float = _REQUIRED) -> float:
        """A number field that must be above 0."""
        value = self.number(name, default)
        if not value > 0:
            raise self.error(FormatError, f"field {name!r} should be above 0, but is {value:g}")
        return value

    def optional_integer(self, name: str) -> int | None:
        """A whole number, or None where the field is absent or false."""
        return self.integer(name) if self.flag(name) else None

    def flag(self, name: str, default: bool = False) -> bool:
        """A field as a Lua condition: nil (unless `default`) and false are false, all else is true."""
        value = self.get(name)
        return default if value is None else value is not False

    def text(self, name: str, default: str = _REQUIRED) -> str:
        """A string field."""
        value = self.get(name)
        if value is None and default is not _REQUIRED:
            return default
        if not isinstance(value, str):
            raise self.error(FormatError, f"field {name!r} should be a string, but is {describe(value)}")
        return value

    def sizes(self, name: str) -> list[int]:
        """A list of whole numbers: a torch.LongStorage, or a table of numbers."""
        value = self.get(name)
        numbers: list[Any] = value.sequence() if isinstance(value, Table) else []
        if isinstance(value, Storage | Tensor) and value.array.dtype.kind == "i":
            numbers = [float(size) for size in value.array.reshape(-1)[:MAX_SIZES]]
        if numbers and all(isinstance(number, float) and number.is_integer() for number in numbers):
            return [int(number) for number in numbers]
        raise self.error(FormatError, f"field {name!r} should be a list of sizes, but is {describe(value)}")

    def tensor(self, name: str, shape: Sequence[int] | None = None) -> np.ndarray:
        """A tensor of numbers as stored (any float or integer type), checked against `shape`.

        A view of the file. FormatError if it is missing, empty or absurdly expanded, MismatchError if it
        has another shape.
        """
        value = self.get(name)
        if not isinstance(value, Tensor):
            raise self.error(FormatError, f"tensor {name!r} is missing; the field is {describe(value)}")
        array = value.array
        if not array.size:
            raise self.error(FormatError, f"tensor {name!r} is empty")
        if 0 in array.strides and array.size > MAX_EXPANDED_ELEMENTS:
            raise self.error(
                FormatError,
                f"tensor {name!r} is one of {shape_text(array.shape)} expanded from a smaller one: "
                f"{array.size:,} elements, more than the {MAX_EXPANDED_ELEMENTS:,} written out",
            )
        if shape is not None and array.shape != tuple(shape):
            raise self.error(
                MismatchError, f"tensor {name!r} is {shape_text(array.shape)}; expected {shape_text(shape)}"
            )
        return array

    def optional_tensor(self, name: str, shape: Sequence[int] | None = None) -> np.ndarray | None:
        """A tensor as `tensor` gives it, or None where the field is absent or false."""
        return self.tensor(name, shape) if self.flag(name) else None

    def with_tensor(self, name: str, array: np.ndarray) -> Module:
        """The same module with a tensor replaced."""
        fields = Table(dict(self.item.fields.fields))
        fields.set(name, Tensor("torch.FloatTensor", array, None))
        return Module(TorchObject(self.class_name, self.item.version, fields), self.path)

    def renamed(self, names: Mapping[str, str]) -> Module:
        """The same module with fields under other names, where it has none of those yet."""
        fields = dict(self.item.fields.fields)
        for old, new in names.items():
            if fields.get(new) is None:
                fields[new] = fields.get(old)
        return Module(TorchObject(self.class_name, self.item.version, Table(fields)), self.path)

    def child(self, name: str) -> Module:
        """The module in a field."""
        return self.inside(self.get(name), f"field {name!r}", name)

    def children(self, name: str = "modules") -> list[Module]:
        """The modules in a list field, in order."""
        value = self.get(name)
        if not isinstance(value, Table):
            raise self.error(FormatError, f"field {name!r} should be a table, but is {describe(value)}")
        listed = value.sequence()
        if len(listed) != len(value.numbered):
            raise self.error(FormatError, f"the list {name!r} has a gap after entry {len(listed)}")
        return [self.inside(item, f"{name}[{k}]", str(k)) for k, item in enumerate(listed, 1)]

    def inside(self, item: object, what: str, step: str) -> Module:
        """The module that an object must be; `step` leads to it from here."""
        if not isinstance(item, TorchObject):
            raise self.error(FormatError, f"{what} should be a module, but is {describe(item)}")
        return Module(item, f"{self.path}.{step}" if self.path else step)

    def known(self, size: Dim, what: str = "a size of its input") -> int:
        """A size that this module needs as a number; StaticSizeRequired if it is symbolic."""
        return static(size, what)

    def check_computed(self, *sizes: int) -> None:
        """UnsupportedError if an array of these sizes, asked for by fields alone, is absurdly large."""
        if math.prod(sizes) > MAX_COMPUTED_ELEMENTS:
            raise self.unsupported(
                f"its fields ask for {shape_text(sizes)} numbers, more than {MAX_COMPUTED_ELEMENTS:,}"
            )

    def unsupported(self, why: str) -> UnsupportedError:
        """This module cannot be carried over exactly, because ..."""
        return self.error(UnsupportedError, why)


def describe(value: object) -> str:
    """What a value of a file is, for messages."""
    if value is None:
        return "nil"
    if isinstance(value, Tensor):
        return f"a {value.class_name} of {shape_text(value.array.shape)}"
    if isinstance(value, Storage):
        return f"a {value.class_name} of {value.array.size}"
    if isinstance(value, TorchObject):
        return f"an object of class {value.class_name}"
    if isinstance(value, Table):
        return f"a table of {len(value)} entries"
    if isinstance(value, Function):
        return "a function"
    if isinstance(value, float):
        return f"the number {value:g}"
    if isinstance(value, str):
        return f"the string {value[:40]!r}"
    return f"the boolean {str(value).lower()}"
