"""Images inside an uncompressed tar, such as ILSVRC2012_img_val.tar, read in place."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import ClassVar

from converters import SourceFile
from zoo.datasets.registry import register_source
from zoo.datasets.source import Files
from zoo.errors import DataError, excerpt

# What tarfile raises for damaged archives. It reads long names and extended headers by calling itself, and
# asks for as much memory as a header says.
DAMAGED = (
    OSError,
    tarfile.TarError,
    ValueError,
    OverflowError,
    RecursionError,
    LookupError,
    TypeError,
    MemoryError,
)


@register_source
class Tar(Files):
    """The files in a tar. One pass over its headers finds them; each is read when it is needed."""

    kind: ClassVar[str] = "tar"
    description: ClassVar[str] = "an uncompressed .tar (unpack a compressed one)"
    trial: ClassVar[int] = 30

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = SourceFile(path)
        self._locations = _index(path)
        self._file.check()
        self.names = frozenset(self._locations)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """A tar that is not compressed."""
        if not path.is_file():
            return False
        try:
            tarfile.open(path, "r:").close()
        except DAMAGED:
            return False
        return True

    def read(self, name: str) -> bytes:
        """The content of a member. converters.SourceChangedError if the tar has changed meanwhile."""
        content = self._file.read(*self._locations[name])
        self._file.check_content()
        return content

    def close(self) -> None:
        """Close the tar."""
        self._file.close()


def _index(path: Path) -> dict[str, tuple[int, int]]:
    """Name to (offset, size) of every regular member."""
    locations: dict[str, tuple[int, int]] = {}
    try:
        with tarfile.open(path, "r:") as archive:
            before = -1
            for member in archive:
                # A negative size would lead back, and around for ever.
                if member.size < 0 or member.offset_data <= before:
                    raise DataError(f"{path}: damaged: a member of {member.size} bytes")
                before = member.offset_data
                name = member.name.removeprefix("./")
                if not member.isreg() or name.rpartition("/")[2].startswith("."):
                    continue
                if member.issparse():
                    raise DataError(
                        f"{path}: {excerpt(name)} is stored sparse, which cannot be read in place; unpack it"
                    )
                if name in locations:
                    raise DataError(f"{path}: holds {excerpt(name)} twice")
                locations[name] = (member.offset_data, member.size)
            end = archive.offset
        # tarfile treats any bad header but the first as the end; a whole tar ends with a block of zeros.
        with path.open("rb") as file:
            file.seek(end)
            if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise DataError(
                    f"{path}: the tar is truncated or damaged: neither a member nor its end at byte {end}"
                )
    except DAMAGED as error:
        raise DataError(f"{path}: the tar is truncated or damaged: {excerpt(error)}") from error
    return locations
