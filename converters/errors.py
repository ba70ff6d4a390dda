"""Everything that can go wrong in a conversion, as one tree.

    ConverterError               catch this to catch them all
    ├── UsageError               the call itself: unknown output, wrong combination of files, bad option
    ├── WrongFileError           the file is something else: HTML page, Git LFS pointer, archive, ...
    ├── FormatError              the file is damaged or breaks a rule of its format
    ├── SourceChangedError       the file was changed, replaced or cut off while it was read
    ├── UnsupportedError         understood, but cannot be converted exactly; says why
    │   └── StaticSizeRequired   can be converted only if a size is known beforehand
    └── MismatchError            definition and weights do not fit together

Every message names the file, the layer, the line or byte offset, what was expected, what was found and what
to do next. The public functions of `converters` raise no other exceptions.
"""

from __future__ import annotations


class ConverterError(Exception):
    """Base of all errors of the converters."""


class UsageError(ConverterError):
    """The request cannot be carried out as given."""


class WrongFileError(ConverterError):
    """The content of the file is not what its name or role says."""


class FormatError(ConverterError):
    """The file is damaged, truncated or breaks a rule of its own format."""


class SourceChangedError(ConverterError):
    """A file was changed, replaced or cut off while it was read, so nothing was made of it."""


class UnsupportedError(ConverterError):
    """The net uses something without an exact counterpart; it is never approximated."""


class StaticSizeRequired(UnsupportedError):
    """A layer needs a size as a number, and the size is symbolic, such as the batch."""


class MismatchError(ConverterError):
    """The weights do not fit the definition: a missing, surplus or differently shaped parameter."""
