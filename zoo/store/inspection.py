"""Inspects a model of the catalog, or files of the user's own with what the catalog knows of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import converters
from zoo.store.known_net import with_advice

if TYPE_CHECKING:
    from zoo.store.subject import Subject


def inspect_subject(subject: Subject, **options: Any) -> converters.Inspection:  # noqa: ANN401 - handed on
    """What is in the files of `subject`, and what would convert; `options` are those of `converters.inspect`.

    A published definition that was not given is taken from the cache, as a conversion takes it.
    """
    recognized, known = subject.recognize(), subject.known_net()
    added = [] if known is None or known.added_source is None else [known.added_source]
    with with_advice(recognized, known):
        found = converters.inspect(*added, *subject.sources, **options)
    found.notes += [] if known is None else known.notes()
    return found
