"""Views of a mapped file whose mapped memory is never touched.

If the file gets shorter, touching memory that was mapped beyond its end would end the process (SIGBUS).
So the address of such a view only tells which bytes of the file it stands for. Views of it are made without
its values, and a writer copies the bytes from file to file. What needs the values reads them from the file
into memory first, where a file that has become shorter is an error. numpy asks the array before it computes
(`__array_ufunc__`, `__array_function__`, methods); a few of its functions do not ask (`asarray`, `array`,
`ascontiguousarray`, `frombuffer`): they are given `in_memory(array)`.
"""
# ruff: noqa: ANN401 - the signatures are those of numpy

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.lib.array_utils import byte_bounds

# Values that are cast are read this many bytes at a time.
_CHUNK_BYTES = 8 << 20
# Functions that look at addresses and shapes only, or make another view.
_WITHOUT_VALUES: frozenset[Any] = frozenset(
    {
        *(np.shape, np.ndim, np.size, np.shares_memory, np.may_share_memory, byte_bounds),
        *(np.transpose, np.moveaxis, np.swapaxes, np.rollaxis, np.expand_dims, np.squeeze),
        *(np.flip, np.split, np.array_split),
    }
)
# Methods of arrays that use the values.
_WITH_VALUES = (
    *("__bool__", "__int__", "__float__", "__complex__", "__index__", "__contains__", "__iter__"),
    *(
        "__array__",
        "__repr__",
        "__str__",
        "__format__",
        "__copy__",
        "__deepcopy__",
        "__reduce__",
        "__reduce_ex__",
    ),
    *("all", "any", "argmax", "argmin", "argpartition", "argsort", "byteswap", "choose", "clip", "compress"),
    *("conj", "conjugate", "copy", "cumprod", "cumsum", "dot", "dump", "dumps", "flatten", "item", "max"),
    *("mean", "min", "nonzero", "prod", "ravel", "repeat", "round", "searchsorted", "std", "sum", "take"),
    *("tobytes", "tofile", "tolist", "trace", "var"),
)


class Source(Protocol):
    """The file of a view: a `converters.SourceFile`."""

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fill `buffer` with the bytes at `offset` of the file."""

    def offset_at(self, address: int) -> int:
        """The offset in the file of the byte that is mapped at this address."""


class MappedArray(np.ndarray):
    """A view of a mapped file; see the module. Made by `view_of` and by making views of one."""

    source: Source

    def __array_finalize__(self, made_from: np.ndarray | None) -> None:
        if isinstance(made_from, MappedArray):
            self.source = made_from.source

    def in_memory(self) -> np.ndarray:
        """The values, read from the file. SourceChangedError if they are not there any more."""
        if not self.size:
            return np.empty(self.shape, self.dtype)
        first, end = byte_bounds(self)
        content = bytearray(end - first)
        self.source.read_into(memoryview(content), self.source.offset_at(first))
        start = self.__array_interface__["data"][0] - first
        return np.ndarray(self.shape, self.dtype, content, start, self.strides)

    def astype(  # type: ignore[override]
        self, dtype: Any, order: Any = "K", casting: Any = "unsafe", subok: bool = True, copy: bool = True
    ) -> np.ndarray:
        """The values in another type, read and cast in parts; this view itself if nothing is to be done."""
        if np.dtype(dtype) == self.dtype and not copy:
            return self
        if not self.flags.c_contiguous or order == "F":
            return self.in_memory().astype(dtype, order, casting, subok, copy)
        made = np.empty(self.shape, dtype)
        values, flat = self.reshape(-1), made.reshape(-1)
        step = max(1, _CHUNK_BYTES // self.itemsize)
        for begin in range(0, self.size, step):
            part = in_memory(values[begin : begin + step])
            flat[begin : begin + step] = part.astype(dtype, casting=casting, copy=False)
        return made

    def reshape(self, *shape: Any, **options: Any) -> Any:
        """A view in another shape, or a copy in memory where there is no such view."""
        if self.flags.c_contiguous and options.get("order", "C") == "C":
            return super().reshape(*shape, **options)
        try:
            return super().reshape(*shape, **{**options, "copy": False})
        except (ValueError, TypeError):  # there is no such view, or numpy is 2.0, which does not say
            return self.in_memory().reshape(*shape, **options)

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if isinstance(key, str) or all(
            part is None or part is ... or isinstance(part, int | np.integer | slice) for part in parts
        ):
            numbers = sum(isinstance(part, int | np.integer) for part in parts)
            if numbers < self.ndim or isinstance(key, str) or ... in parts:
                return super().__getitem__(key)
            return in_memory(super().__getitem__((*parts, ...)))[()]
        return self.in_memory()[_in_memory(key)]

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return getattr(ufunc, method)(*_in_memory(inputs), **_in_memory(options))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function is np.broadcast_to:
            return super().__array_function__(function, types, args, {**kwargs, "subok": True})
        if function in _WITHOUT_VALUES:
            return super().__array_function__(function, types, args, kwargs)
        return function(*_in_memory(args), **_in_memory(kwargs))


def _of_values(name: str) -> Callable[..., Any]:
    def method(self: MappedArray, *args: Any, **options: Any) -> Any:
        return getattr(self.in_memory(), name)(*_in_memory(args), **_in_memory(options))

    method.__name__ = name
    return method


for _name in _WITH_VALUES:
    setattr(MappedArray, _name, _of_values(_name))


def view_of(source: Source, memory: np.ndarray) -> MappedArray:
    """All bytes of a file as such a view. memory: the mapped ones."""
    view = memory.view(MappedArray)
    view.source = source
    return view


def in_memory(array: np.ndarray) -> np.ndarray:
    """The array, for functions that do not ask it before they use its values."""
    return array.in_memory() if isinstance(array, MappedArray) else array


def contiguous(array: np.ndarray) -> np.ndarray:
    """The array if its values lie one after the other, else a copy in which they do."""
    return array if array.flags.c_contiguous else np.ascontiguousarray(in_memory(array))


def _in_memory(value: Any) -> Any:
    """The value, with arrays in memory in place of these views, also within tuples, lists and dicts."""
    if isinstance(value, MappedArray):
        return value.in_memory()
    if isinstance(value, tuple | list):
        return type(value)(map(_in_memory, value))
    if isinstance(value, dict):
        return {name: _in_memory(part) for name, part in value.items()}
    return value
