"""Runs something and stops it before its k-th change of a folder, as a kill or a failing disk does."""

from __future__ import annotations

import contextlib
import errno
import os
import warnings
from collections.abc import Callable, Iterator
from unittest import mock

# All calls that give names to files or take them away; pathlib and shutil end in them.
CHANGES = ("replace", "rename", "link", "symlink", "unlink", "rmdir", "mkdir")
STOPPED = 9


class Failure(OSError):
    """What a disk reports that fails."""


def killed_before(k: int, action: Callable[[], object]) -> bool:
    """Runs `action` in a child, which ends at once, cleaning nothing up, before its k-th change (from 1).

    False if the action has fewer changes and ran through.
    """
    with warnings.catch_warnings():
        # From Python 3.12 on, fork warns where there are threads; the child starts none and needs none.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        code = 1
        try:
            with _before_change(k, lambda: os._exit(STOPPED)):
                action()
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, STOPPED), f"the child ended with {code}"
    return code == STOPPED


def failed_at(k: int, action: Callable[[], object]) -> bool:
    """Runs `action`, whose k-th change (from 1) fails with an I/O error; False if it has fewer."""
    failed = []

    def fail() -> None:
        failed.append(k)
        raise Failure(errno.EIO, os.strerror(errno.EIO))

    with _before_change(k, fail), contextlib.suppress(Exception):
        action()
    return bool(failed)


@contextlib.contextmanager
def _before_change(k: int, stop: Callable[[], None]) -> Iterator[None]:
    count = 0

    def counted(change: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count == k:
                stop()
            return change(*arguments, **options)

        return call

    with contextlib.ExitStack() as stack:
        for name in CHANGES:
            stack.enter_context(mock.patch.object(os, name, counted(getattr(os, name))))
        yield
