"""Are these the right files? Content against what is on record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from zoo.digests import Digests, differences, digest_file
from zoo.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    from zoo.cache import Cache, Trust
    from zoo.manifest import File, Manifest

Kind = Literal["integrity", "structure", "parity"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `subject` is a file or a form of the net, `detail` one or more lines."""

    kind: Kind
    subject: str
    ok: bool
    detail: str
    trust: Trust | None = None


def check_integrity(manifest: Manifest, store: Cache) -> list[Check]:
    """Reads every file of the model and compares size and all hashes with what is on record."""
    return [_check_file(manifest, file, store) for file in manifest.files]


def _check_file(manifest: Manifest, file: File, store: Cache) -> Check:
    trust = store.trust(manifest, file)
    path = store.find(manifest, file)
    if path is None:
        return Check("integrity", file.name, False, f"not here; run: dsd-zoo fetch {manifest.name}", trust)
    digests = digest_file(path)
    try:
        store.check(manifest, file, digests)
    except IntegrityError as error:
        return Check("integrity", file.name, False, f"{path}: {error}", trust)
    return Check("integrity", file.name, True, _what_agrees(file, digests, trust), trust)


def _what_agrees(file: File, digests: Digests, trust: Trust) -> str:
    if trust == "pinned":
        return ", ".join([*(["size"] if file.bytes is not None else []), *file.hashes])
    if trust == "recorded":
        return "sha256 as at first use; nothing was known beforehand"
    return f"nothing is known to compare with; sha256 {digests.sha256}"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a file turned out to be: its digests, and the (model, file name) pairs it is."""

    path: Path
    digests: Digests
    known_as: list[tuple[str, str]]


def identify(path: Path, models: Iterable[Manifest], store: Cache) -> Identity:
    """Which files of which models `path` is, by all hashes on record. UsageError if it cannot be read."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    digests = digest_file(path)
    known_as = [
        (manifest.name, file.name)
        for manifest in models
        for file in manifest.files
        if _is(manifest, file, digests, store)
    ]
    return Identity(path, digests, known_as)


def _is(manifest: Manifest, file: File, digests: Digests, store: Cache) -> bool:
    if file.hashes:
        return not differences(file, digests)
    record = store.record(manifest, file)
    return record is not None and record.digests.sha256 == digests.sha256
