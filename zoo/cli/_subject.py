"""The catalog and the net that a command is about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.catalog.catalog import Catalog
    from zoo.catalog.manifest import Manifest
    from zoo.store.subject import Subject


def load_catalog(manifests: Sequence[Path] | None = None) -> Catalog:
    """The bundled models and those of the folders given with `--manifests`."""
    from zoo import api

    return api.load_catalog(manifests or ())


def resolve_model(name: str, manifests: Sequence[Path] | None = None) -> Manifest:
    """The manifest of the model `name`; UsageError with suggestions if there is none."""
    return load_catalog(manifests).get(name)


def find_subject(
    arguments: Sequence[str], manifests: Sequence[Path] | None = None, *, hashed: bool = True
) -> Subject:
    """The model that the only argument names, or the net in the files that all of them name.

    hashed: whether to hash large files from now on, while the rest of the command is imported.
    Errors as in `zoo.store.subject.find_subject`.
    """
    from zoo.store.hashing_ahead import HashesAhead

    ahead = HashesAhead(arguments if hashed else ())
    from zoo.store import subject
    from zoo.store.cache import Cache

    return subject.find_subject(arguments, load_catalog(manifests), Cache(), ahead)


def find_subjects(arguments: Sequence[str], manifests: Sequence[Path] | None = None) -> list[Subject]:
    """The nets that the arguments name, for a command that takes several.

    Errors as in `zoo.store.nets.find_subjects`.
    """
    from zoo.store import nets
    from zoo.store.cache import Cache

    return nets.find_subjects(arguments, load_catalog(manifests), Cache())
