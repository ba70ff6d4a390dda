"""Verdicts in colour: green for what holds, red for what does not, on terminals that show colours."""

from __future__ import annotations

import os
import sys
from typing import Self

GREEN, RED, RESET = "\x1b[32m", "\x1b[31m", "\x1b[0m"
# Of the Windows console: its standard output, and the mode in which it understands escape sequences.
STDOUT_HANDLE, ESCAPES_MODE = -11, 0x0004


class Verdict(str):
    """A text that says whether something holds; None: neither."""

    holds: bool | None

    def __new__(cls, text: str, holds: bool | None) -> Self:
        """The text itself, with what it says."""
        made = super().__new__(cls, text)
        made.holds = holds
        return made


def coloured(text: str, like: str | None = None) -> str:
    """`text` in the colour of the Verdict `like`, by default itself; plain where there are no colours."""
    verdict = text if like is None else like
    if not isinstance(verdict, Verdict) or verdict.holds is None or not text.strip() or not shows_colours():
        return str(text)
    return f"{GREEN if verdict.holds else RED}{text}{RESET}"


def shows_colours() -> bool:
    """Whether stdout is to get colours: a terminal, unless NO_COLOR is set, or anything with FORCE_COLOR.

    Both as at no-color.org and force-color.org: an empty variable counts as none, and NO_COLOR wins.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    is_terminal = sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return is_terminal and _understands_escapes()


def _understands_escapes() -> bool:
    """Whether the console understands escape sequences. That of Windows does once it was told to."""
    if sys.platform == "win32":
        import ctypes

        kernel, mode = ctypes.windll.kernel32, ctypes.c_ulong()
        console = kernel.GetStdHandle(STDOUT_HANDLE)
        return bool(
            kernel.GetConsoleMode(console, ctypes.byref(mode))
            and kernel.SetConsoleMode(console, mode.value | ESCAPES_MODE)
        )
    return True
