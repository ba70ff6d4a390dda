"""Writing files so that a name only ever holds a whole file; files that belong together appear together."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from converters.errors import UsageError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of `path`; moved to `path` on success, removed on any failure."""
    with placing(path.parent, [path.name]) as staging:
        yield staging / path.name


@contextlib.contextmanager
def placing(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """A staging folder inside `folder`; files of these names in it are moved up together on success.

    On any failure what was there before is there again. UsageError if the folder cannot be written.
    """
    for name in names:
        if (folder / name).is_dir():
            raise UsageError(f"{folder / name}: a directory is in the way; choose another name")
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", suffix=".part", dir=folder) as staging:
            yield Path(staging)
            _move(Path(staging), folder, names)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {os.strerror(error.errno or 0)}") from error
    finally:
        if is_new and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _move(staging: Path, folder: Path, names: Sequence[str]) -> None:
    done: list[str] = []
    try:
        for name in names:
            done.append(name)
            if (folder / name).exists():
                (folder / name).replace(staging / f"{name}.before")
            (staging / name).replace(folder / name)
    except BaseException:
        for name in done:
            (folder / name).unlink(missing_ok=True)
            if (staging / f"{name}.before").exists():
                (staging / f"{name}.before").replace(folder / name)
        raise
