"""Disk errors that say what to do, hashes, and small checks of files."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import UsageError, excerpt

if TYPE_CHECKING:
    from pydantic import ValidationError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def cannot_write(path: Path, what: str, error: OSError, when_full: str = "") -> UsageError:
    """The error to raise where writing `what` to `path` failed.

    when_full: what to do after the disk was full and has room again; by default the same command again.
    """
    text = f"{path}: {what} cannot be written: {error.strerror}"
    if error.errno in _FULL:
        text += f"\n  {when_full or 'free some space, and run the command again'}"
    return UsageError(text)


@contextmanager
def disk_errors_explained(root: Path) -> Iterator[None]:
    """Turn the OSError of a full disk or a read-only cache into a UsageError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise UsageError(
                f"{root}: the disk is full: {error.strerror}\n"
                "  free some, or set DSD_ZOO_CACHE to a folder on another disk, and run the command again"
            ) from error
        if error.errno in _DENIED:
            raise UsageError(
                f"{error.filename or root}: cannot be written: {error.strerror}\n"
                "  set DSD_ZOO_CACHE (cache) and DSD_ZOO_LOCK (record of first use) to writable places"
            ) from error
        raise


def require_file(path: Path) -> None:
    """UsageError unless `path` is a file, or a link to one."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name the file in it that is meant")
    if not path.is_file():
        raise UsageError(f"{path}: {'not a regular file' if path.exists() else 'no such file'}")


def parse_json(content: bytes | str) -> Any:  # noqa: ANN401 - what JSON holds
    """What the JSON text holds. ValueError for anything else, and for JSON that is nested too deeply."""
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def first_problem(error: ValidationError) -> str:
    """The first thing that does not fit, as `FIELD: WHAT`; a field inside lists and tables by its path."""
    problem = error.errors(include_url=False)[0]
    where = ".".join(map(str, problem["loc"])) or "the file"
    return f"{excerpt(where)}: {excerpt(problem['msg'].removeprefix('Value error, '))}"


def printable(text: str) -> str:
    """The text with escapes for what UTF-8 cannot encode, as in some file names."""
    return text.encode("utf-8", "backslashreplace").decode()


def sha256(path: Path) -> str:
    """The file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
