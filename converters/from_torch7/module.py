"""One nn module of a file: typed access to its fields, and errors that name the module."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from converters.errors import ConverterError, FormatError, LimitError, MismatchError, UnsupportedError
from converters.from_torch7.objects import Function, Storage, Table, Tensor, TorchObject
from converters.sizes import Dim, shape_text, static

# A tensor whose strides are 0 or overlap takes little room in the file, but is written out in full.
MAX_EXPANDED_ELEMENTS = 2**24

# Torch keeps sizes of modules in C ints.
MAX_INTEGER = 2**31 - 1
# More sizes than any tensor has.
MAX_SIZES = 64
# The largest table of indices, mask or dense kernel that is made because a module's fields ask for it.
MAX_COMPUTED_ELEMENTS = 2**23

_E = TypeVar("_E", bound=ConverterError)
_REQUIRED: Any = object()


@dataclass(frozen=True, eq=False)
class Module:
    """An nn module and its path in the net.

    path: "5.1" for net:get(5):get(1); empty for the net itself.
    derived_from: the object in the file, if fields of this one were replaced.
    """

    torch_object: TorchObject
    path: str = ""
    derived_from: TorchObject | None = None

    @property
    def original(self) -> TorchObject:
        """The object in the file, which owns the output tensor of the module."""
        return self.derived_from or self.torch_object

    @property
    def class_name(self) -> str:
        """The name of the class in the file, such as "cudnn.SpatialConvolution"."""
        return self.torch_object.class_name

    @property
    def location(self) -> str:
        """The class and the path, for messages."""
        return f"{self.class_name} at {self.path}" if self.path else self.class_name

    def error(self, kind: type[_E], message: str) -> _E:
        """An error that names this module."""
        return kind(f"{self.location}: {message}")

    def get(self, name: str) -> Any:  # noqa: ANN401
        """The field, unchecked; None if it is absent."""
        return self.torch_object.fields.fields.get(name)

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

    def integer(self, name: str, default: int = _REQUIRED, minimum: int | None = None) -> int:
        """A number field that must be whole, and at least `minimum`."""
        value = self.number(name, default)
        if math.isfinite(value) and not float(value).is_integer():
            raise self.error(FormatError, f"field {name!r} should be a whole number, but is {value:g}")
        return self.c_integer(name, default, minimum)

    def c_integer(self, name: str, default: int = _REQUIRED, minimum: int | None = None) -> int:
        """A number field that Torch passes to C as an int, which cuts off its fraction: 1.5 is 1, -1.5 is -1.

        FormatError if no int can hold it, or if the int is below `minimum`.
        """
        value = self.number(name, default)
        if not abs(value) <= MAX_INTEGER:
            raise self.error(
                FormatError, f"field {name!r} is {value:g}; Torch allows {MAX_INTEGER:,} at most"
            )
        if minimum is not None and int(value) < minimum:
            raise self.error(FormatError, f"field {name!r} should be {minimum} or more, but is {value:g}")
        return int(value)

    def positive(self, name: str, default: float = _REQUIRED) -> float:
        """A number field that must be above 0."""
        value = self.number(name, default)
        if not value > 0:
            raise self.error(FormatError, f"field {name!r} should be above 0, but is {value:g}")
        return value

    def optional_integer(self, name: str) -> int | None:
        """A whole number, or None if the field is absent or false."""
        return self.integer(name) if self.flag(name) else None

    def flag(self, name: str, default: bool = False) -> bool:
        """The field as a Lua condition: false is false, an absent field is `default`, all else is true."""
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
        """A field that is a list of whole numbers: a torch.LongStorage, or a table of numbers."""
        value = self.get(name)
        numbers: list[Any] = value.sequence() if isinstance(value, Table) else []
        if isinstance(value, Storage | Tensor) and value.array.dtype.kind == "i":
            numbers = [float(size) for size in value.array.reshape(-1)[:MAX_SIZES]]
        if numbers and all(isinstance(number, float) and number.is_integer() for number in numbers):
            return [int(number) for number in numbers]
        raise self.error(FormatError, f"field {name!r} should be a list of sizes, but is {describe(value)}")

    def tensor(self, name: str, shape: Sequence[int] | None = None) -> np.ndarray:
        """A tensor field in its stored type (any float or integer type), as a view of the file.

        FormatError if it is missing, empty, or expanded to more than `MAX_EXPANDED_ELEMENTS`; MismatchError
        if it has another shape than `shape`.
        """
        value = self.get(name)
        if not isinstance(value, Tensor):
            raise self.error(FormatError, f"tensor {name!r} is missing; the field is {describe(value)}")
        array = value.array
        if not array.size:
            raise self.error(FormatError, f"tensor {name!r} is empty")
        if value.is_expanded and array.size > MAX_EXPANDED_ELEMENTS:
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
        """As `tensor`, but None if the field is absent or false."""
        return self.tensor(name, shape) if self.flag(name) else None

    def with_tensor(self, name: str, array: np.ndarray) -> Module:
        """The same module with a tensor replaced."""
        fields = Table(dict(self.torch_object.fields.fields))
        fields.set(name, Tensor("torch.FloatTensor", array, None))
        return Module(
            TorchObject(self.class_name, self.torch_object.version, fields), self.path, self.original
        )

    def with_renamed_fields(self, names: Mapping[str, str]) -> Module:
        """The same module with fields copied to new names, old to new; a field of the new name is kept."""
        fields = dict(self.torch_object.fields.fields)
        for old, new in names.items():
            if fields.get(new) is None:
                fields[new] = fields.get(old)
        return Module(
            TorchObject(self.class_name, self.torch_object.version, Table(fields)), self.path, self.original
        )

    def child(self, name: str) -> Module:
        """The module in this field."""
        return self.submodule(self.get(name), f"field {name!r}", name)

    def children(self, name: str = "modules") -> list[Module]:
        """The modules in this list field, in order."""
        value = self.get(name)
        if not isinstance(value, Table):
            raise self.error(FormatError, f"field {name!r} should be a table, but is {describe(value)}")
        listed = value.sequence()
        if len(listed) != len(value.numbered):
            raise self.error(FormatError, f"the list {name!r} has a gap after entry {len(listed)}")
        return [self.submodule(item, f"{name}[{k}]", str(k)) for k, item in enumerate(listed, 1)]

    def submodule(self, item: object, what: str, step: str) -> Module:
        """The object as a module, else FormatError; `step` is added to the path of this module."""
        if not isinstance(item, TorchObject):
            raise self.error(FormatError, f"{what} should be a module, but is {describe(item)}")
        return Module(item, f"{self.path}.{step}" if self.path else step)

    def static_size(self, size: Dim, what: str = "a size of its input") -> int:
        """The size as a number; StaticSizeRequired naming `what` if it is symbolic."""
        return static(size, what)

    def check_element_count(self, *sizes: int) -> None:
        """LimitError if an array of these sizes, which only the fields ask for, is too large."""
        if math.prod(sizes) > MAX_COMPUTED_ELEMENTS or any(size > MAX_COMPUTED_ELEMENTS for size in sizes):
            raise self.error(
                LimitError,
                f"its fields ask for {shape_text(sizes)} numbers; the limit is {MAX_COMPUTED_ELEMENTS:,}",
            )

    def unsupported(self, reason: str) -> UnsupportedError:
        """The error of a module that cannot be converted exactly, with the reason."""
        return self.error(UnsupportedError, reason)


def describe(value: object) -> str:
    """What kind of value this is, for messages."""
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
