"""Source files whose mapped memory ends the process when it is touched, and processes that may end so."""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import signal
import warnings
from collections.abc import Callable

import numpy as np
import pytest

from converters import SourceFile, source_files


def forbid_mapped_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on every source file counts as large, and touching its mapped memory is a SIGSEGV."""
    protect = ctypes.CDLL(None).mprotect

    def memory(file: SourceFile) -> np.ndarray:
        size = file.state.size
        found = np.frombuffer(mmap.mmap(-1, max(1, size)), np.uint8, size)
        found.flags.writeable = False
        assert not protect(ctypes.c_void_p(found.ctypes.data), ctypes.c_size_t(size), 0)
        return found

    forbidden = functools.cached_property(memory)
    forbidden.__set_name__(SourceFile, "_memory")
    monkeypatch.setattr(source_files, "MAPPED_FROM_BYTES", 1)
    monkeypatch.setattr(SourceFile, "_memory", forbidden)


def outcome(action: Callable[[], object]) -> str:
    """How `action` ends in a process of its own: "done", the name of a signal, or the error."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # From Python 3.12 on, fork warns where there are threads; the child starts none and needs none.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        said = "done"
        try:
            action()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        finally:
            os.write(writing, said.encode()[:4000])
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return signal.Signals(-code).name if code < 0 else said
