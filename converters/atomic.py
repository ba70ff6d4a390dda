"""Writing files so that a name only ever holds a whole file."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from converters.errors import UsageError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of `path`; renamed to `path` on success, removed on any failure."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {os.strerror(error.errno or 0)}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
