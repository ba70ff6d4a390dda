"""Locks that say who holds them, to any process on this machine or on another that shares the disk.

The lock is flock's (POSIX) or a locked byte (Windows): it ends with its process, however that ends, so that a
file that is left behind holds nobody up. The file says who holds it: host, process, and since when.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

MOST_BYTES = 4096
_BUSY = frozenset({errno.EAGAIN, errno.EACCES, errno.EDEADLK})


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock. `run` names those who share one, such as the processes of one evaluation."""

    host: str
    pid: int
    since: str
    run: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


class Held(Exception):
    """Another one holds the lock; `holder` is None if it does not say who it is."""

    def __init__(self, path: Path, holder: Holder | None) -> None:
        super().__init__(f"{path}: held by {holder or 'another process'}")
        self.holder = holder


@contextlib.contextmanager
def hold(path: Path, run: str = "") -> Iterator[None]:
    """Hold the lock file `path`, which is there only meanwhile; its folder must exist.

    On a file system without locks, whoever finds the file takes it as held; it is to be deleted by hand if
    its process was killed.

    Raises:
        Held: another process, or another part of this one, holds it.
        OSError: the file cannot be written.
    """
    with _one_at_a_time(path.parent):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not _lock(descriptor, path):
                raise Held(path, holder_of(path))
            _write_holder(descriptor, path, run)
        except BaseException:
            os.close(descriptor)
            raise
    try:
        yield
    finally:
        with _one_at_a_time(path.parent):
            with contextlib.suppress(OSError):
                path.unlink()
            os.close(descriptor)


def _write_holder(descriptor: int, path: Path, run: str) -> None:
    """Say who holds the file. It is removed again where it cannot say so, as on a full disk."""
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    holder = Holder(socket.gethostname(), os.getpid(), since, run)
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, json.dumps(asdict(holder)).encode())
    except OSError:
        path.unlink()
        raise


def holder_of(path: Path) -> Holder | None:
    """Who holds the lock file `path`, or held it last, as it says; None if it does not."""
    try:
        with path.open("rb") as file:
            return Holder(**json.loads(file.read(MOST_BYTES)))
    except (OSError, ValueError, TypeError, RecursionError):
        return None


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Lock the folder itself, for the moment in which a lock file comes or goes and is written.

    Otherwise one process could remove the file that another has just locked, or read who held it before.
    Windows, and some network file systems, cannot: there those moments are not protected.
    """
    descriptor = None
    if sys.platform != "win32":
        import fcntl

        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _lock(descriptor: int, path: Path) -> bool:
    """Lock an open file; False if another one has it, or, without locks, if the file names anybody."""
    try:
        if sys.platform == "win32":
            import msvcrt

            # Beyond what the file says, which others read.
            os.lseek(descriptor, MOST_BYTES, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _BUSY and holder_of(path) is None
    return True
