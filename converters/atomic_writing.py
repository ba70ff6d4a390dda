"""Writing files so that a name only ever holds a whole file; files that belong together appear together."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from converters.errors import UsageError
from converters.temporary_folders import is_busy, locked, temporary_folder


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary path on the same disk; moves it to `path` on success, removes it on any failure.

    First removes what a killed process left behind in the same folder. Where `path` is a link, its target is
    replaced and the link stays. Raises OSError as writing does, if another process is writing the same file,
    and for a folder or a device: to rename a file over /dev/null would remove it for every other process.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with contextlib.ExitStack() as stack:
        with locked(path.parent):
            if is_busy(path.parent, path.name):
                raise OSError(errno.EBUSY, "another process is writing the same file", str(path))
            folder = stack.enter_context(temporary_folder(path.parent, path.name))
        yield folder / path.name
        (folder / path.name).replace(path)


@contextlib.contextmanager
def atomic_write_group(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Yields a temporary folder inside `folder`; on success moves the files of these names up together.

    Creates `folder` if it does not exist. On any failure the files that were there before are there again.
    A link of one of these names is replaced, its target stays: files of one group find each other by their
    names in one folder. UsageError if the folder cannot be written.

    For a net and its weights see `converters.net_files`, which survives even a kill between two moves.
    """
    with staging_folder(folder, names) as staging:
        yield staging
        _move_all(staging, folder, names)


@contextlib.contextmanager
def staging_folder(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Yields a temporary folder inside `folder`, which is created, and removed again if it stays empty.

    UsageError if a directory has one of `names`, and for any OSError inside.
    """
    for name in names:
        if (folder / name).is_dir():
            raise UsageError(f"{folder / name}: a directory is in the way; choose another name")
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder) as staging:
            yield staging
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
