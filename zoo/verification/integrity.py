"""Checks the files of a model against what is on record."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from zoo.errors import IntegrityError
from zoo.store.digests import Digests, digest_file
from zoo.verification.check import Check

if TYPE_CHECKING:
    from zoo.catalog.manifest import Manifest, ModelFile
    from zoo.store.cache import Cache, Trust


def check_integrity(manifest: Manifest, cache: Cache) -> list[Check]:
    """Read every file of the model, and compare its size and all hashes with what is on record."""
    return [_check_file(file, cache) for file in manifest.model_files()]


def source_hashes(manifest: Manifest, checks: Iterable[Check]) -> dict[str, str]:
    """Name to sha256 of the files that the converter reads, in its order, from the integrity checks."""
    found = {check.subject: check.sha256 for check in checks if check.sha256 is not None}
    return {file.name: found[file.name] for file in manifest.source_files() if file.name in found}


def _check_file(file: ModelFile, cache: Cache) -> Check:
    trust = cache.trust(file)
    path = cache.find(file)
    if path is None:
        return Check("integrity", file.name, False, f"not here; run: dsd-zoo fetch {file.model}", trust)
    digests = digest_file(path)
    try:
        cache.check(file, digests)
    except IntegrityError as error:
        again = (
            "install dsd-zoo again"
            if file.entry.path is not None
            else f"delete it and run: dsd-zoo fetch {file.model}"
        )
        return Check("integrity", file.name, False, f"{path}: {error}\n  {again}", trust)
    return Check(
        "integrity", file.name, True, _agreeing_properties(file, digests, trust), trust, digests.sha256
    )


def _agreeing_properties(file: ModelFile, digests: Digests, trust: Trust) -> str:
    if trust == "pinned" and file.entry.is_pinned_by_archive:
        return "sha256 as in the archive on record"
    if trust == "pinned":
        return ", ".join([*(["size"] if file.entry.bytes is not None else []), *file.hashes])
    if trust == "recorded":
        return "sha256 as at first use; nothing was known beforehand"
    return f"nothing is known to compare with; sha256 {digests.sha256}"
