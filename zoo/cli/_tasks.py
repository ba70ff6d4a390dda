"""Which models a command that counts accuracies can be about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.cli._subject import load_catalog


def refuse_uncounted(arguments: Sequence[str], manifests: Sequence[Path] | None = None) -> None:
    """UsageError if an argument names a model whose answers no label makes right or wrong.

    Said before its files are asked for, which may be large.
    """
    from zoo.evaluation.settings import require_counted

    catalog = load_catalog(manifests)
    for name in arguments:
        if name in catalog:
            require_counted(catalog.get(name))
