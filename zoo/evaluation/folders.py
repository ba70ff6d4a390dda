"""The folders of a run, held by its processes from before the first image until the result is written."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from zoo.errors import UsageError
from zoo.evaluation.distributed import Group, SingleProcess
from zoo.files import cannot_write
from zoo.locks import Held, hold

LOCK_NAME = ".running"


@contextlib.contextmanager
def hold_folders(folders: Sequence[Path], group: Group | None = None) -> Iterator[None]:
    """Hold the folders of a run on this machine; new ones are created, and removed again if left empty.

    The processes of one run hold them together, on all machines.

    Raises:
        UsageError: another run holds one of them (the message says who), or it cannot be written.
    """
    group = group or SingleProcess()
    run = group.broadcast(secrets.token_hex(8))
    with contextlib.ExitStack() as stack:
        problem: UsageError | None = None
        # One rank after the other, and each learns what the others met: none waits for one that has ended.
        for rank in range(group.size):
            if rank == group.rank and problem is None:
                try:
                    for folder in sorted(set(folders)):
                        stack.enter_context(_held(folder, run))
                except UsageError as error:
                    problem = error
            text = group.broadcast(None if problem is None else str(problem), source=rank)
            if text is not None and problem is None:
                problem = UsageError(text)
        if problem is not None:
            raise problem
        yield


@contextlib.contextmanager
def _held(folder: Path, run: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_present(folder))
            stack.enter_context(hold(folder / LOCK_NAME, run))
        except Held as error:
            # Another process of the same run shares the folder, and holds it for all.
            if error.holder is None or error.holder.run != run:
                raise UsageError(
                    f"{folder}: another run writes there: {error.holder or 'which one is not known'}\n"
                    "  wait until it has ended, or choose another folder with --out"
                ) from error
        except OSError as error:
            raise cannot_write(folder, "the evidence", error) from error
        yield


@contextlib.contextmanager
def _present(folder: Path) -> Iterator[None]:
    """The folder, created if it is new; what was created is removed again if nothing is in it."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        with contextlib.suppress(OSError):  # not empty
            for place in missing:
                place.rmdir()
