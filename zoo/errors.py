"""Everything that can go wrong on the zoo's side, as one tree.

    ZooError                 catch this to catch them all
    ├── UsageError           what was asked cannot be done as asked (unknown model, no labels, bad option)
    ├── FetchError           no source delivered the file
    ├── IntegrityError       the bytes are not the ones on record
    ├── DataError            an image or a dataset cannot be read
    ├── DeviceError          the device or the precision asked for is not there
    └── InterruptedRunError  Ctrl-C stopped a command that can go on from where it was

Every message names the thing, what was expected, what came, and what to do next. Errors of the
conversion itself are `converters.ConverterError` and live in `converters.errors`.
"""

from __future__ import annotations

from converters import shortened

# What a message quotes at most of anything that came from a file.
MOST_QUOTED = 200


def excerpt(text: object) -> str:
    """What comes from a file, as a message quotes it: at most MOST_QUOTED characters, the middle left out."""
    shown = str(text)
    if len(shown) <= MOST_QUOTED:
        return shown
    left_out = f"... ({len(shown):,} characters) ..."
    half = (MOST_QUOTED - len(left_out)) // 2
    return f"{shown[:half]}{left_out}{shown[-half:]}"


class ZooError(Exception):
    """Base of all errors of the zoo; `exit_code` is what the command line ends with.

    Each line of the message is shortened where it quotes more than `excerpt` would.
    """

    exit_code = 2

    def __init__(self, message: str = "") -> None:
        super().__init__("\n".join(map(shortened, message.split("\n"))))


class UsageError(ZooError):
    """What was asked cannot be done as asked."""


class FetchError(ZooError):
    """No source delivered the file; the message lists every attempt."""

    exit_code = 1


class IntegrityError(ZooError):
    """The bytes differ from the size or hash on record."""

    exit_code = 1


class DataError(ZooError):
    """An image, a label list or a dataset cannot be read."""


class DeviceError(ZooError):
    """The device or the precision asked for is not available here."""


class InterruptedRunError(ZooError):
    """Ctrl-C stopped a command that can go on from where it was; the message says how."""

    # What shells report of a command that Ctrl-C ended.
    exit_code = 130
