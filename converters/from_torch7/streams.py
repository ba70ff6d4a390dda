"""The primitive values of a .t7 file, binary or ASCII, read with every length checked first.

Torch's DiskFile writes the same values in both modes. Binary files are little-endian; a `long` has 8 bytes,
or 4 if a 32-bit Torch wrote the file or the writer chose so. ASCII files have one value or array a line:
numbers as text, characters and bytes unchanged.
"""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Iterator
from typing import NoReturn, Protocol

import numpy as np

from converters.source_files import SourceFile

_TOKEN = re.compile(rb"\S+")
# Longer than any number; longer text is cut off in messages.
_SHOWN_CHARACTERS = 40


class FormatViolation(Exception):
    """The bytes at `offset` break a rule of the format; `read` turns it into a FormatError."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset


class Stream(Protocol):
    """The values of a file from `offset` on. `what` names the value, for error messages.

    smallest_value: the bytes that the shortest value takes."""

    offset: int
    smallest_value: int

    def remaining(self) -> int:
        """Bytes left."""

    def integer(self, what: str) -> int:
        """A C int."""

    def long(self, what: str) -> int:
        """A C long."""

    def longs(self, count: int, what: str) -> list[int]:
        """`count` C longs."""

    def double(self, what: str) -> float:
        """A C double."""

    def characters(self, count: int, what: str) -> bytes:
        """`count` bytes of text or bytecode."""

    def elements(self, element: str, count: int, what: str) -> np.ndarray:
        """`count` elements of a storage of the Torch type `element` ("Float", "Long", ...)."""


ELEMENT_TYPES = {
    "Byte": "<u1",
    "Char": "<i1",
    "Short": "<i2",
    "Int": "<i4",
    "Long": "<i8",
    "Half": "<f2",
    "Float": "<f4",
    "Double": "<f8",
}


def binary(file: SourceFile, long_bytes: int) -> Stream:
    """A binary file whose C long has `long_bytes`; storages are views of its data."""
    return _Binary(file, long_bytes)


def ascii_text(content: memoryview) -> Stream:
    """An ASCII file; storages are parsed into new arrays."""
    return _Ascii(content)


class _Binary:
    # nil: a tag and nothing else.
    smallest_value = 4

    def __init__(self, file: SourceFile, long_bytes: int) -> None:
        self.offset = 0
        self._data, self._bytes = file.data, file.view
        self._long = struct.Struct("<q" if long_bytes == 8 else "<i")
        self._long_type = np.dtype(f"<i{long_bytes}")
        self._int = struct.Struct("<i")
        self._double = struct.Struct("<d")

    def remaining(self) -> int:
        return len(self._bytes) - self.offset

    def integer(self, what: str) -> int:
        start = self._take(4, what)
        value: int = self._int.unpack(self._bytes[start : start + 4])[0]
        return value

    def long(self, what: str) -> int:
        start = self._take(self._long.size, what)
        value: int = self._long.unpack(self._bytes[start : start + self._long.size])[0]
        return value

    def longs(self, count: int, what: str) -> list[int]:
        start = self._take(count * self._long.size, what)
        content = self._bytes[start : start + count * self._long.size]
        values: list[int] = np.frombuffer(content, self._long_type).tolist()
        return values

    def double(self, what: str) -> float:
        start = self._take(8, what)
        value: float = self._double.unpack(self._bytes[start : start + 8])[0]
        return value

    def characters(self, count: int, what: str) -> bytes:
        start = self._take(count, what)
        return bytes(self._bytes[start : start + count])

    def elements(self, element: str, count: int, what: str) -> np.ndarray:
        dtype = self._long_type if element == "Long" else np.dtype(ELEMENT_TYPES[element])
        start = self._take(count * dtype.itemsize, what)
        array = self._data[start : start + count * dtype.itemsize].view(dtype)
        return array.astype(np.int64) if dtype.itemsize == 4 and element == "Long" else array

    def _take(self, count: int, what: str) -> int:
        start = self.offset
        if count < 0:
            raise FormatViolation(start, f"{what} has a negative length ({count})")
        if count > self.remaining():
            raise FormatViolation(
                start, f"{what} needs {count:,} bytes, but only {self.remaining():,} are left"
            )
        self.offset = start + count
        return start


class _Ascii:
    # nil: "0\n".
    smallest_value = 2

    def __init__(self, content: memoryview) -> None:
        self.offset = 0
        self._bytes = content

    def remaining(self) -> int:
        return len(self._bytes) - self.offset

    def integer(self, what: str) -> int:
        start = self.offset
        token = self._token(what)
        try:
            return int(token)
        except ValueError:
            self._not_a_number(start, token, what)

    long = integer

    def longs(self, count: int, what: str) -> list[int]:
        self._check_room(count, what)
        return [self.integer(what) for _ in range(count)]

    def double(self, what: str) -> float:
        start = self.offset
        token = self._token(what)
        try:
            return float(token)
        except ValueError:
            self._not_a_number(start, token, what)

    def characters(self, count: int, what: str) -> bytes:
        self._check_room(count, what, each=1)
        start = self.offset
        self.offset = start + count
        if count:  # without characters there is no line end either
            self._end_line()
        return bytes(self._bytes[start : start + count])

    def elements(self, element: str, count: int, what: str) -> np.ndarray:
        dtype = np.dtype(ELEMENT_TYPES[element])
        if element in {"Byte", "Char"}:
            return np.frombuffer(self.characters(count, what), dtype)
        self._check_room(count, what)
        if not count:
            return np.zeros(0, dtype)
        convert = int if dtype.kind == "i" else float
        try:
            array = np.fromiter(self._numbers(count, convert, what), dtype, count)
        except OverflowError:
            raise FormatViolation(self.offset, f"{what}: a number is out of the range of {element}") from None
        self._end_line()
        return array

    def _numbers(self, count: int, convert: type[int] | type[float], what: str) -> Iterator[float]:
        found = 0
        for match in itertools.islice(_TOKEN.finditer(self._bytes, self.offset), count):
            try:
                number = convert(match[0])
            except ValueError:
                self._not_a_number(match.start(), match[0], what)
            self.offset = match.end()
            found += 1
            yield number
        if found < count:
            raise FormatViolation(
                self.offset, f"{what}: {count:,} numbers expected, but the file ends after {found:,}"
            )

    def _token(self, what: str) -> bytes:
        match = _TOKEN.search(self._bytes, self.offset)
        if match is None:
            raise FormatViolation(self.offset, f"{what} expected, but the file ends")
        token = bytes(self._bytes[match.start() : min(match.end(), match.start() + _SHOWN_CHARACTERS)])
        self.offset = match.end()
        self._end_line()
        return token

    def _end_line(self) -> None:
        """Skip one line end (of Windows too), and no more: a string that begins with one may follow."""
        ahead = bytes(self._bytes[self.offset : self.offset + 2])
        if ahead == b"\r\n":
            self.offset += 2
        elif ahead[:1] == b"\n":
            self.offset += 1

    def _check_room(self, count: int, what: str, each: int = 2) -> None:
        """Each value takes at least `each` characters; the separator after the last may be missing."""
        if count < 0:
            raise FormatViolation(self.offset, f"{what} has a negative length ({count})")
        if count * each - (each - 1) > self.remaining():
            raise FormatViolation(
                self.offset, f"{what} claims {count:,} values, but only {self.remaining():,} bytes are left"
            )

    @staticmethod
    def _not_a_number(offset: int, token: bytes, what: str) -> NoReturn:
        shown = token[:_SHOWN_CHARACTERS].decode("ascii", "backslashreplace")
        raise FormatViolation(offset, f"{what} expected, a number, but found {shown!r}")
