"""Folders for files in the making, and the removal of those that killed processes left behind.

A process holds a lock on each of its folders (flock), which ends with the process however it ends. So a
folder without a lock is left over, and the next process that makes one in the same place removes it. Where
there are no such locks (Windows, some network drives) nobody can tell, and what is left over stays.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

fcntl: Any = None
with contextlib.suppress(ImportError):  # Windows has none
    fcntl = importlib.import_module("fcntl")

PREFIX, SUFFIX = ".dsd-zoo-", ".part"


@contextlib.contextmanager
def temporary_folder(parent: Path, purpose: str = "") -> Iterator[Path]:
    """Yields a new folder in `parent`, which only this user can enter, and removes it with its content.

    First removes the folders of this kind that no living process holds. `purpose`: see `is_busy`.
    Raises OSError as making a folder does.
    """
    remove_leftovers(parent)
    folder, lock = _create(parent, purpose)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def remove_leftovers(parent: Path) -> None:
    """Removes the temporary folders in `parent` whose process has ended."""
    for folder in parent.glob(f"{PREFIX}*{SUFFIX}"):
        # A folder of another user, or one that vanishes meanwhile, is not ours to remove.
        with contextlib.suppress(OSError):
            if folder.is_symlink() or not folder.is_dir() or not _is_own(folder):
                continue
            if (lock := lock_folder(folder, wait=False)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def is_busy(parent: Path, purpose: str) -> bool:
    """Whether a living process has a temporary folder of this purpose in `parent`.

    Always False where there are no locks.
    """
    for folder in parent.glob(f"{PREFIX}{_token(purpose)}-*{SUFFIX}"):
        try:
            lock = lock_folder(folder, wait=False)
        except BlockingIOError:
            return True
        except OSError:
            continue
        if lock is not None:
            os.close(lock)
    return False


def lock_folder(folder: Path, *, wait: bool) -> int | None:
    """A descriptor that locks `folder` until it is closed or the process ends; None where locks do not work.

    BlockingIOError if another holds the lock and `wait` is False; OSError if the folder cannot be opened.
    """
    if fcntl is None:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:  # such as a network drive without locks
        os.close(descriptor)
        return None
    return descriptor


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Waits for the lock of `folder` and holds it; does nothing where locks do not work."""
    try:
        lock = lock_folder(folder, wait=True)
    except PermissionError:  # it may be written to, but not listed
        lock = None
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def _create(parent: Path, purpose: str) -> tuple[Path, int | None]:
    while True:
        folder = parent / f"{PREFIX}{_token(purpose)}-{os.urandom(8).hex()}{SUFFIX}"
        folder.mkdir(mode=0o700)
        # Another process may have taken the folder for a leftover before it was locked.
        with contextlib.suppress(BlockingIOError, FileNotFoundError):
            lock = lock_folder(folder, wait=False)
            if lock is None or os.path.samestat(os.fstat(lock), folder.stat()):
                return folder, lock
            os.close(lock)


def _token(purpose: str) -> str:
    # A hash, as a file's own name may be as long as a name can be.
    return hashlib.sha256(os.fsencode(purpose)).hexdigest()[:8]


def _is_own(folder: Path) -> bool:
    return not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
