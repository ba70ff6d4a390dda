"""What was read from the files of a net, kept for the next conversion of the same files."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from converters.source_files import FileState, SourceFile

if TYPE_CHECKING:
    import onnx_ir as ir

T = TypeVar("T")


class KeptSources:
    """Given to several calls of `converters.load`, `convert` or `inspect`: their files are read once.

    What was read stays in memory as long as this object lives. A file counts as it was when it was first
    read: one that has changed since is a SourceChangedError.

    for_one_call: nothing will be asked for again.
    """

    def __init__(self, *, for_one_call: bool = False) -> None:
        self.for_one_call = for_one_call
        self._found: dict[Hashable, object] = {}

    def get(self, key: Hashable, read: Callable[[], T]) -> T:
        """What `read` returned when it was first asked for under this key."""
        if key not in self._found:
            self._found[key] = read()
        return cast(T, self._found[key])

    def forget(self) -> None:
        """Release the memory: what is asked for from now on is read again."""
        self._found.clear()

    def state(self, path: Path) -> FileState:
        """The state of a file when it was first asked for. Raises OSError."""
        return self.get(("state", path), lambda: FileState.of(path))

    def file(self, path: Path) -> SourceFile:
        """The open file. Raises OSError."""
        return self.get(("file", path), lambda: SourceFile(path))

    def model(self, key: Hashable, read: Callable[[], ir.Model]) -> ir.Model:
        """A copy of a model, which shares its weights, so that changes stay in the copy."""
        if self.for_one_call:
            return read()
        first = self.get(key, read)
        copy = first.clone()
        copy.meta.update(
            {name: list(value) if isinstance(value, list) else value for name, value in first.meta.items()}
        )
        return copy
