"""Everything that can go wrong in a conversion, as one tree.

    ConverterError               catch this to catch them all
    ├── UsageError               the call itself: unknown output, wrong combination of files, bad option
    ├── WrongFileError           the file is something else: HTML page, Git LFS pointer, archive, ...
    ├── FormatError              the file is damaged or breaks a rule of its format
    ├── SourceChangedError       the file was changed, replaced or cut off while it was read
    ├── UnsupportedError         understood, but cannot be converted exactly; says why
    │   ├── StaticSizeRequired   can be converted only if a size is known beforehand
    │   └── LimitError           would take far more memory or operations than any real net
    └── MismatchError            definition and weights do not fit together

Every message names the file, the layer, the line or byte offset, what was expected, what was found and what
to do next. The public functions of `converters` raise no other exceptions. Whatever a file calls its layers,
a message stays readable: `ConverterError` shortens each name, see `shortened`.
"""

from __future__ import annotations

import os
import re

# The most characters of one name, word or value that a message shows.
MAX_QUOTED = 200
# The most characters of a message, which may list many names.
MAX_MESSAGE = 2_000
_CUT = " ... "
# A text in quotes, as repr() writes it; the quote of "Caffe's" stands behind a letter and opens none.
_QUOTED = re.compile(r"""(?s:(?<!\w)'(?:\\.|[^'\\])*+'|(?<!\w)"(?:\\.|[^"\\])*+")""")
_LONG_WORD = re.compile(rf"\S{{{MAX_QUOTED + 1},}}")


def shortened(text: str) -> str:
    """The text for people: with the middle of what is long in it left out.

    Shortened are text in quotes and words of more than `MAX_QUOTED` characters, but no path of a file that
    exists, and then the whole if it has more than `MAX_MESSAGE`.
    """
    if len(text) <= MAX_QUOTED:
        return text
    text = _without_middle(text, 5 * MAX_MESSAGE)
    text = _QUOTED.sub(lambda found: _without_middle(found[0], MAX_QUOTED), text)
    text = _LONG_WORD.sub(lambda found: _short_word(found[0]), text)
    return _without_middle(text, MAX_MESSAGE)


def _short_word(word: str) -> str:
    path = re.sub(r"(:\d+)?:?$", "", word)
    return word if len(path) < 4096 and os.path.lexists(path) else _without_middle(word, MAX_QUOTED)


def _without_middle(text: str, most: int) -> str:
    """The text, or its begin and end, together with dots `most` characters long."""
    if len(text) <= most:
        return text
    end = (most - len(_CUT)) // 3
    return f"{text[: most - len(_CUT) - end]}{_CUT}{text[len(text) - end :]}"


class ConverterError(Exception):
    """Base of all errors of the converters. The message is shortened."""

    def __init__(self, message: str = "") -> None:
        super().__init__(shortened(message))


class UsageError(ConverterError):
    """The request cannot be carried out as given."""


class WrongFileError(ConverterError):
    """The content of the file is not what its name or role says."""


class FormatError(ConverterError):
    """The file is damaged, truncated or breaks a rule of its own format."""


class UnverifiedWarning(UserWarning):
    """A file cannot be held against its hash, as none is on record."""


class SourceChangedError(ConverterError):
    """A file was changed, replaced or cut off while it was read, so nothing was made of it."""


class UnsupportedError(ConverterError):
    """The net uses something without an exact counterpart; it is never approximated."""


class StaticSizeRequired(UnsupportedError):
    """A layer needs a size as a number, and the size is symbolic, such as the batch."""


class LimitError(UnsupportedError):
    """The net asks for more memory or operations than any real net, or than there is."""


class MismatchError(ConverterError):
    """The weights do not fit the definition: a missing, surplus or differently shaped parameter."""
