"""Names that a misspelt name may have meant, for error messages."""

from __future__ import annotations

from collections.abc import Iterable

# Comparing two names takes time in the product of their lengths: longer ones are not compared.
MAX_LENGTH = 100
# The most names that one is compared with, the first of them.
MAX_NAMES = 1_000


def close_names(name: str, known: Iterable[str], count: int = 1) -> list[str]:
    """The names among the known ones that look most like `name`, at most `count`, the closest first.

    The time is limited, whatever a file calls its layers: overlong names and those after many are left out.
    """
    import difflib
    import itertools

    if len(name) > MAX_LENGTH:
        return []
    compared = itertools.islice((other for other in known if len(other) <= MAX_LENGTH), MAX_NAMES)
    return difflib.get_close_matches(name, compared, n=count)
