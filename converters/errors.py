"""Everything that can go wrong in a conversion, as one tree.

    ConverterError               catch this to catch them all
    ├── UsageError               the call itself: unknown output, wrong file combination, bad option
    ├── WrongFileError           the content is something else: HTML page, Git LFS pointer, archive, ...
    ├── FormatError              the file is damaged or not what its format allows
    ├── UnsupportedError         understood, but cannot be carried over exactly; says why
    │   └── StaticSizeRequired   can be carried over only when a size is known beforehand
    └── MismatchError            definition and weights do not fit together

Every message names the file, layer and line or byte offset, what was expected, what came and what to
do next. Nothing else escapes the public functions of `converters`.
"""

from __future__ import annotations


class ConverterError(Exception):
    """Base of all errors of the converters."""


class UsageError(ConverterError):
    """What was asked cannot be done as asked."""


class WrongFileError(ConverterError):
    """The file holds something else than its name or role says."""


class FormatError(ConverterError):
    """The file is damaged, truncated or breaks a rule of its own format."""


class UnsupportedError(ConverterError):
    """The net uses something that has no exact counterpart; never converted approximately."""


class StaticSizeRequired(UnsupportedError):
    """A layer needs a size that is symbolic so far, such as the batch."""


class MismatchError(ConverterError):
    """The weights do not fit the definition: a missing, surplus or differently shaped parameter."""
