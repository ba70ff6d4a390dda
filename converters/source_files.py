"""Files that are read: opened once, and held against what they were whenever a result rests on them.

A file can be truncated, rewritten or replaced while it is read. Touching the memory map of a file beyond its
new end would end the process (SIGBUS), so only large files are mapped, to make views of their weights, and
mapped memory is never touched (`converters.mapped_array`). Bytes are looked at, copied and computed with by
reads, which come back short instead. That a file has not changed is checked
before the last step that rests on it: before the rename that makes an output visible.
"""

from __future__ import annotations

import errno
import functools
import os
import stat
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, overload

from converters.errors import SourceChangedError

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir

# A file up to this size is read into memory at once, and nothing that happens to it later matters.
MAPPED_FROM_BYTES = 64 << 20
_BLOCK_BYTES = 4096
_COPIED_AT_ONCE = 1 << 18
# What the system says where it does not copy between these two files itself.
_CANNOT_COPY = frozenset(
    {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF, errno.ETXTBSY}
)
# The keys of a model's `meta` under which `watch` keeps the files that it was read from.
_STATES, _OPEN_FILES = "file_states", "open_files"


@dataclass(frozen=True)
class FileState:
    """What tells one content of a file from another without reading it.

    size: in bytes. modified_ns: time of the last change of content. identity: device and inode.
    """

    path: Path
    size: int
    modified_ns: int
    identity: tuple[int, int]
    is_regular: bool = True

    @classmethod
    def of(cls, path: Path) -> FileState:
        """The state of the file at `path`, or at the end of a link there. Raises OSError."""
        return cls._from(path, path.stat())

    @classmethod
    def _from(cls, path: Path, found: os.stat_result) -> FileState:
        is_regular = stat.S_ISREG(found.st_mode)
        return cls(path, found.st_size, found.st_mtime_ns, (found.st_dev, found.st_ino), is_regular)

    def check(self) -> None:
        """SourceChangedError if the file at this path is another one now, or has other content."""
        try:
            now = FileState.of(self.path)
        except OSError as error:
            raise changed(self.path, f"it cannot be found any more ({error.strerror})") from error
        self.check_against(now)

    def check_against(self, now: FileState) -> None:
        """SourceChangedError, which says what is different, if `now` is not this state."""
        if now == self or not self.is_regular:
            return
        if now.size != self.size:
            raise changed(self.path, f"it had {self.size:,} bytes and has {now.size:,}")
        if now.identity != self.identity:
            raise changed(self.path, "another file took its place")
        raise changed(self.path, "it was written to")


def changed(path: Path, what: str) -> SourceChangedError:
    """The error that a file has changed; `what` says how."""
    return SourceChangedError(
        f"{path}: the file was changed while it was read: {what}; run the command again once it is complete"
    )


class SourceFile:
    """An open file, its state when it was opened, and its bytes.

    is_mapped: whether `data` is mapped; see MAPPED_FROM_BYTES.
    """

    def __init__(self, path: Path) -> None:
        """Open the file. OSError if that fails."""
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self.close = weakref.finalize(self, os.close, self._descriptor)
        self.state = FileState._from(path, os.fstat(self._descriptor))
        self.is_mapped = self.state.size >= MAPPED_FROM_BYTES

    @property
    def data(self) -> np.ndarray:
        """All bytes (uint8), to make views of them: a `MappedArray` if they are mapped.

        SourceChangedError if they are not there any more.
        """
        if not self.is_mapped:
            return self._memory
        from converters.mapped_array import view_of

        return view_of(self, self._memory)

    @functools.cached_property
    def _memory(self) -> np.ndarray:
        import numpy as np

        if not self.is_mapped:
            return np.frombuffer(self.read(), np.uint8)
        with open(self._descriptor, "rb", closefd=False) as file:
            return np.asarray(np.memmap(file, np.uint8, mode="r"))

    @functools.cached_property
    def view(self) -> FileView | memoryview:
        """All bytes, to look at them: in memory, or read where they are asked for."""
        return FileView(self, 0, self.state.size) if self.is_mapped else memoryview(self._memory.data)

    def check(self) -> None:
        """SourceChangedError if the file has changed, or another one has its name now."""
        self.state.check()

    def check_content(self) -> None:
        """SourceChangedError if the open file has changed; its name may lead to another one by now."""
        self.state.check_against(FileState._from(self.path, os.fstat(self._descriptor)))

    def read(self, offset: int = 0, size: int | None = None) -> bytes:
        """`size` bytes at `offset` (default: up to the end). SourceChangedError if they are not there."""
        size = self.state.size - offset if size is None else size
        parts: list[bytes] = []
        while size:  # once, but for very large files
            parts.append(self._read_some(size, offset))
            size, offset = size - len(parts[-1]), offset + len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fills `buffer` with the bytes at `offset`. SourceChangedError if they are not there any more."""
        while buffer:
            if hasattr(os, "preadv"):
                count = os.preadv(self._descriptor, [buffer], offset)
            else:
                part = self._read_some(len(buffer), offset)
                count = len(part)
                buffer[:count] = part
            if not count:
                raise self._gone(offset)
            buffer, offset = buffer[count:], offset + count

    def copy_to(self, file: FileIO, offset: int, size: int) -> None:
        """Writes `size` bytes at `offset` to an unbuffered file. SourceChangedError if they are not there.

        The system copies them where it can, without memory of this process.
        """
        end = offset + size
        while offset < end and (count := self._copied_by_system(file, offset, end - offset)):
            offset += count
        buffer = memoryview(bytearray(min(_COPIED_AT_ONCE, end - offset)))
        while offset < end:
            part = buffer[: end - offset]
            self.read_into(part, offset)
            offset += len(part)
            while part:
                part = part[file.write(part) :]

    def _copied_by_system(self, file: FileIO, offset: int, size: int) -> int:
        """How many bytes the system has copied; 0 where it cannot, and at the end of the file."""
        try:
            return os.copy_file_range(self._descriptor, file.fileno(), size, offset)
        except AttributeError:  # only Linux has it
            return 0
        except OSError as error:
            if error.errno in _CANNOT_COPY:
                return 0
            raise

    def offset_of(self, array: np.ndarray) -> int | None:
        """The offset in the file of an array whose bytes are a view of `data`; None for other arrays."""
        from numpy.lib.array_utils import byte_bounds

        first, end = byte_bounds(array)
        start = self.offset_at(first)
        return start if start >= 0 and start + end - first <= self._memory.nbytes else None

    def offset_at(self, address: int) -> int:
        """The offset in the file of the byte at this address in `data`."""
        start: int = self._memory.__array_interface__["data"][0]
        return address - start

    def _read_some(self, size: int, offset: int) -> bytes:
        """At least one byte. Several threads may read at once."""
        if hasattr(os, "pread"):
            part = os.pread(self._descriptor, size, offset)
        else:  # Windows
            with self.path.open("rb") as file:
                file.seek(offset)
                part = file.read(size)
        if not part:
            raise self._gone(offset)
        return part

    def _gone(self, offset: int) -> SourceChangedError:
        return changed(self.path, f"byte {offset:,} of {self.state.size:,} is gone")


class FileView:
    """The bytes of a part of a file, each read when it is asked for; as a memoryview of bytes otherwise."""

    def __init__(self, file: SourceFile, offset: int, size: int) -> None:
        self.file = file
        self._offset, self._size = offset, size
        self._block, self._block_start = b"", 0

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, which: int) -> int: ...

    @overload
    def __getitem__(self, which: slice) -> memoryview: ...

    def __getitem__(self, which: int | slice) -> int | memoryview:
        if isinstance(which, slice):
            start, stop, _ = which.indices(self._size)
            return memoryview(self._bytes(start, max(start, stop)))
        if not 0 <= which < self._size:
            raise IndexError(which)
        return self._bytes(which, which + 1)[0]

    def part(self, offset: int, size: int) -> FileView:
        """The view of `size` bytes at `offset` of this one."""
        return FileView(self.file, self._offset + offset, size)

    @property
    def data(self) -> np.ndarray:
        """The bytes as an array, to make views of them."""
        return self.file.data[self._offset : self._offset + self._size]

    def _bytes(self, start: int, stop: int) -> bytes:
        if stop - start > _BLOCK_BYTES:
            return self.file.read(self._offset + start, stop - start)
        if not self._block_start <= start <= stop <= self._block_start + len(self._block):
            size = min(_BLOCK_BYTES, self._size - start)
            self._block, self._block_start = self.file.read(self._offset + start, size), start
        return self._block[start - self._block_start : stop - self._block_start]


def watch(model: ir.Model, states: Iterable[FileState] = (), opened: Iterable[SourceFile] = ()) -> None:
    """Records the files that `model` was read from. Its arrays may be views of those in `opened`."""
    opened = list(opened)
    model.meta.setdefault(_STATES, []).extend([*states, *(file.state for file in opened)])
    model.meta.setdefault(_OPEN_FILES, []).extend(opened)


def sources_of(model: ir.Model) -> list[SourceFile]:
    """The open files of which the arrays of `model` may be views."""
    return list(model.meta.get(_OPEN_FILES, ()))


def replaced(model: ir.Model, written: Iterable[Path]) -> None:
    """Says that these files were written from `model`: where they were its sources, that is no change."""
    paths = {path.resolve() for path in written}
    states = model.meta.get(_STATES, [])
    states[:] = [state for state in states if state.path.resolve() not in paths]


def check_unchanged(model: ir.Model) -> None:
    """SourceChangedError if a file that `model` was read from has changed since reading began."""
    for state in model.meta.get(_STATES, ()):
        state.check()
