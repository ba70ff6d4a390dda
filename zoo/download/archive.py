"""Unpacks one member of an archive; every size is checked before and during reading.

No file is written under a name from the archive, so its paths are harmless; links and devices are skipped.
Only formats that unpack in little memory are supported. Tars are parsed here, by the rules of POSIX ustar,
because the tar in a compressed file may be malicious and of any size.
"""

from __future__ import annotations

import bz2
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, cast

from zoo.download.content import Archive, archive_kind
from zoo.download.stream import ContentError
from zoo.errors import excerpt
from zoo.store.digests import CHUNK_BYTES

if TYPE_CHECKING:
    from zoo.catalog.file import File

MAX_MEMBERS = 10_000
MAX_DIRECTORY_BYTES = 1 << 24
MAX_UNPACKED_BYTES = 1 << 32
# An archive that unpacks to more than this, and so many times its own bytes, is made to do harm: pruned
# weights, which are mostly zeros, pack to a tenth.
UNPACKED_OF_ANY, UNPACKED_OF_A_BYTE = 1 << 25, 64
# zipfile unpacks so many bytes of bzip2 at once, whatever comes of them.
ZIP_READ_BYTES = 1 << 12
MAX_NAMES_SHOWN = 8
BLOCK = 512
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError, LookupError)
_ZIP_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2})
_ZIP_END, _ZIP_END_BYTES, _ZIP_LONGEST_COMMENT = b"PK\x05\x06", 22, 1 << 16


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive: its position, its name there, its announced size in bytes (None: unknown)."""

    number: int
    name: str
    size: int | None

    def __str__(self) -> str:
        return f"{excerpt(self.name)}{_bytes(self.size)}"

    @property
    def basename(self) -> str:
        """The name without folders, separated by / or \\."""
        return PurePosixPath(self.name.replace("\\", "/")).name


def find_member(path: Path, kind: Archive, file: File, max_bytes: int) -> Member:
    """The member that is `file` in the archive at `path`: the one on record, else by name, ending or size.

    ContentError if no member or several qualify, it is larger than `max_bytes`, or the archive is damaged.
    """
    try:
        found = [member for member, _ in _members(path, kind, max_bytes)]
    except _DAMAGED as error:
        raise _damaged(kind, error) from error
    wanted = _candidates(found, file)
    if len(wanted) != 1:
        names = ", ".join(map(str, found[:MAX_NAMES_SHOWN])) or "nothing"
        more = "" if len(found) <= MAX_NAMES_SHOWN else f" and {len(found) - MAX_NAMES_SHOWN} more"
        raise ContentError(
            f"delivered a {kind} archive in which {'no' if not wanted else 'more than one'} file could be "
            f"{file.name}{_bytes(file.bytes)}: it holds {names}{more}; unpack it by hand"
        )
    if wanted[0].size is not None and wanted[0].size > max_bytes:
        raise ContentError(
            f"delivered a {kind} archive whose {excerpt(wanted[0].name)} unpacks to {wanted[0].size} bytes; "
            f"at most {max_bytes} are right"
        )
    return wanted[0]


def read_member(path: Path, kind: Archive, wanted: Member, max_bytes: int) -> Iterator[bytes]:
    """The content of a member in chunks. ContentError if it is damaged or longer than `max_bytes`."""
    came = 0
    step = ZIP_READ_BYTES if kind == "zip" else CHUNK_BYTES
    try:
        for member, stream in _members(path, kind, max_bytes):
            if member.number != wanted.number:
                continue
            while chunk := stream.read(step):
                came += len(chunk)
                if came > max_bytes:
                    raise ContentError(
                        f"delivered a {kind} archive that unpacks to more than {max_bytes} bytes"
                    )
                yield chunk
            return
    except _DAMAGED as error:
        raise _damaged(kind, error) from error


def most_unpacked(path: Path) -> int:
    """How many bytes may come out of the archive at `path` if no size is on record."""
    return min(MAX_UNPACKED_BYTES, max(UNPACKED_OF_ANY, UNPACKED_OF_A_BYTE * path.stat().st_size))


def _candidates(members: Sequence[Member], file: File) -> Sequence[Member]:
    if file.archive is not None and file.archive.member is not None:
        wanted = _comparable(file.archive.member)
        return [member for member in members if _comparable(member.name) == wanted]
    if file.bytes is not None:
        members = [member for member in members if member.size in (None, file.bytes)]
    suffix = Path(file.name).suffix.lower()
    return (
        [member for member in members if member.basename.lower() == file.name.lower()]
        or [member for member in members if member.basename.lower().endswith(suffix)]
        or (members if file.bytes is not None or len(members) == 1 else [])
    )


def _comparable(name: str) -> str:
    """The path of a member with / between folders, and without a leading ./ as tar writes it."""
    return PurePosixPath(name.replace("\\", "/")).as_posix()


def _bytes(size: int | None) -> str:
    return "" if size is None else f" ({size:,} bytes)"


def _damaged(kind: Archive, error: Exception) -> ContentError:
    return ContentError(f"delivered a {kind} archive that is damaged: {excerpt(error)}")


def _members(path: Path, kind: Archive, max_bytes: int) -> Iterator[tuple[Member, IO[bytes]]]:
    """Every regular file with a stream of its content, valid until the next file is asked for."""
    if kind == "zip":
        yield from _zip_members(path)
        return
    with path.open("rb") as file, _decompressed(file, kind) as stream:
        is_tar = archive_kind(stream.read(BLOCK)) == "tar"
        stream.seek(0)
        if is_tar:
            most = min(MAX_UNPACKED_BYTES, max(max_bytes, most_unpacked(path)))
            yield from _tar_members(stream, most)
        else:
            yield Member(0, "its content", None), stream


def _decompressed(file: IO[bytes], kind: Archive) -> IO[bytes]:
    if kind == "gzip":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    return bz2.BZ2File(file) if kind == "bzip2" else file


def _zip_members(path: Path) -> Iterator[tuple[Member, IO[bytes]]]:
    with path.open("rb") as file:
        _check_directory_length(file)
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
            if len(infos) > MAX_MEMBERS:
                raise ValueError(f"{len(infos)} members, more than {MAX_MEMBERS}")
            for number, info in enumerate(infos):
                if not info.filename:
                    raise ValueError("a member has no name")
                if info.is_dir():
                    continue
                if info.flag_bits & 1 or info.compress_type not in _ZIP_METHODS:
                    raise ValueError(
                        f"{excerpt(info.filename)} is encrypted or compressed by an unsupported method"
                    )
                with archive.open(info) as stream:
                    yield Member(number, info.filename, info.file_size), stream


def _check_directory_length(file: IO[bytes]) -> None:
    """Limit the length of the directory, which zipfile reads into memory whole. The last record states it."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _ZIP_END_BYTES - _ZIP_LONGEST_COMMENT))
    tail = file.read()
    end = tail.rfind(_ZIP_END)
    length = int.from_bytes(tail[end + 12 : end + 16], "little")
    if end < 0 or length > MAX_DIRECTORY_BYTES:
        raise ValueError("its directory is missing or too long")
    file.seek(0)


def _tar_members(stream: IO[bytes], most: int) -> Iterator[tuple[Member, IO[bytes]]]:
    """The regular files of a ustar stream; extended headers and all other kinds are skipped."""
    passed = 0
    for number in range(MAX_MEMBERS):
        header = _read_exactly(stream, BLOCK)
        if not header.strip(b"\0"):
            return
        size = _tar_number(header[124:136])
        passed += size
        if passed > most:
            raise ValueError(f"it unpacks to more than {most} bytes")
        if _tar_number(header[148:156]) != sum(header[:148]) + 8 * ord(" ") + sum(header[156:]):
            raise ValueError("the checksum of a header is wrong")
        part = _BoundedReader(stream, size)
        if header[156:157] in (b"0", b"\0", b"7"):
            names = (header[345:500], header[:100])
            name = "/".join(part.split(b"\0")[0].decode("utf-8", "replace") for part in names).lstrip("/")
            yield Member(number, name, size), io.BufferedReader(part)
        part.skip()
        _read_exactly(stream, -size % BLOCK)
    raise ValueError(f"more than {MAX_MEMBERS} members")


def _tar_number(field: bytes) -> int:
    """A number in octal digits, or big-endian binary if the highest bit is set."""
    if field[0] & 0x80:
        if field[0] != 0x80:
            raise ValueError("a size is negative")
        return int.from_bytes(field[1:], "big")
    size = int(field.strip(b" \0") or b"0", 8)
    if size < 0:
        raise ValueError("a size is negative")
    return size


def _read_exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise EOFError("it ends too early")
    return data


class _BoundedReader(io.RawIOBase):
    """The next `size` bytes of a stream."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = _read_exactly(self._stream, min(len(buffer), self._left))
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)

    def skip(self) -> None:
        """Skip the bytes that were not read."""
        while self._left:
            self._left -= len(_read_exactly(self._stream, min(CHUNK_BYTES, self._left)))
