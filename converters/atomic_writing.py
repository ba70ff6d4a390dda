"""Writing files so that a name only ever holds a whole file; files that belong together appear together."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from converters.errors import UsageError


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; moves it to `path` on success, removes it on any failure.

    First removes what a killed process left behind while it wrote the same file. Where `path` is a link, its
    target is replaced and the link stays. Raises OSError as writing does, and for a folder or a device: to
    rename a file over /dev/null would remove it for every other process.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        left.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    try:
        yield temporary
        if not temporary.exists():
            raise OSError(errno.EBUSY, "another process is writing the same file")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_write_group(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Yields a temporary folder inside `folder`; on success moves the files of these names up together.

    Creates `folder` if it does not exist. On any failure the files that were there before are there again.
    A link of one of these names is replaced, its target stays: files of one group find each other by their
    names in one folder. UsageError if the folder cannot be written.
    """
    import tempfile  # costs more than all the rest of this module

    for name in names:
        if (folder / name).is_dir():
            raise UsageError(f"{folder / name}: a directory is in the way; choose another name")
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", suffix=".part", dir=folder) as staging:
            yield Path(staging)
            _move_all(Path(staging), folder, names)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {os.strerror(error.errno or 0)}") from error
    finally:
        if is_new and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _move_all(staging: Path, folder: Path, names: Sequence[str]) -> None:
    """Moves the files of these names from `staging` to `folder`: all of them, or on failure none."""
    if len(names) == 1:  # in one step, so that the name is never without a file
        (staging / names[0]).replace(folder / names[0])
        return
    begun: list[str] = []
    try:
        for name in names:
            begun.append(name)
            if (folder / name).exists():
                (folder / name).replace(staging / f"{name}.before")
            (staging / name).replace(folder / name)
    except BaseException:
        for name in begun:
            (folder / name).unlink(missing_ok=True)
            if (staging / f"{name}.before").exists():
                (staging / f"{name}.before").replace(folder / name)
        raise
