"""Commands as a person types them."""

from __future__ import annotations

import shlex
import sys


def quoted(*words: str) -> str:
    """The words as one line for the shell of this system.

    Quotes are those of POSIX shells; on Windows double ones, as both cmd and PowerShell take them.
    """
    if sys.platform == "win32":
        from subprocess import list2cmdline

        return list2cmdline(words)
    return shlex.join(words)
