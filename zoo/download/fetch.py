"""Downloads one file into the cache, or adds one that was downloaded by hand."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.download.local import LocalSource
from zoo.download.progress import DownloadProgress, hold_lock
from zoo.download.retry import RetryPolicy
from zoo.download.sources import Network
from zoo.download.stream import SourceError
from zoo.download.transfer import ReceivedFile, Transfer
from zoo.errors import FetchError, IntegrityError, UsageError
from zoo.files import disk_errors_explained, require_file
from zoo.store.recognition import contents, recognize

if TYPE_CHECKING:
    from zoo.catalog.manifest import Manifest, ModelFile
    from zoo.store.cache import Cache
    from zoo.store.digests import Digests
    from zoo.store.index import IndexEntry


WHICH_FILE = "which file of the model is this?"


@dataclass(frozen=True, slots=True)
class FailedSource:
    """A source that did not deliver, and why."""

    url: str
    reason: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file in the cache.

    source: where it came from; None if it was in the cache already.
    member: its name in the archive that the source delivered; None if it delivered the file itself.
    failed: the sources that were tried before.
    """

    path: Path
    source: str | None = None
    member: str | None = None
    failed: tuple[FailedSource, ...] = ()


def fetch_file(
    file: ModelFile,
    cache: Cache,
    network: Network | None = None,
    progress: DownloadProgress | None = None,
) -> Fetched:
    """Download `file` into `cache` unless it is there.

    The sources are tried in order. Only bytes that agree with everything on record get into the cache, by
    an atomic rename. A partial download is kept, and the next call resumes it.

    Raises:
        FetchError: no source delivered.
        IntegrityError: no source delivered the right file, and at least one delivered another file.
        UsageError: the disk is full, or the cache cannot be written.
    """
    with disk_errors_explained(cache.root):
        return _fetch(file, cache, network or Network(), progress or DownloadProgress())


def _fetch(file: ModelFile, cache: Cache, network: Network, progress: DownloadProgress) -> Fetched:
    path = cache.find(file)
    if path is not None and not cache.is_in_progress(file):
        cache.record_first_use(file)
        return Fetched(path)
    with hold_lock(cache.lock(file), progress), cache.partial_folder(file) as folder:
        # Another process may have downloaded it while this one waited.
        path = cache.find(file)
        fetched = _try_sources(file, cache, folder, network, progress) if path is None else Fetched(path)
        if not cache.is_awaited(file):
            _remove_leftovers(folder)
        return fetched


def add_file(
    manifest: Manifest, path: Path, cache: Cache, *, name: str | None = None, replace: bool = False
) -> tuple[ModelFile, Path]:
    """Copy a file that was downloaded by hand into `cache`; returns the file of the model, and its path.

    path: the file, or an archive that holds it.
    name: which file of the model it is; by default the hashes decide, then its name, then its ending.
    replace: accept other content than at first use; a hash known beforehand must match all the same.

    Raises:
        UsageError: the file cannot be read, is no model file, or could be several files of the model.
        IntegrityError: it is another file than the one on record.
    """
    files = files_in(manifest, path, cache, name)
    if len(files) > 1:
        raise _unclear(path, WHICH_FILE, files)
    return files[0], import_file(files[0], path, cache, replace=replace)


def files_in(manifest: Manifest, path: Path, cache: Cache, name: str | None = None) -> list[ModelFile]:
    """The files of the model that `path` is or, as the archive in which they were published, holds.

    name: the only one that is meant; by default the hashes decide, then the name of `path`, then its ending.
    UsageError if it is not a file, or if it is not clear which file of the model it is.
    """
    require_file(path)
    wanted = [file for file in manifest.model_files() if file.entry.path is None]
    if not wanted:
        raise UsageError(f"{manifest.name}: all files of this model ship with the zoo; there is none to add")
    if name is not None:
        matches = [file for file in wanted if file.name == name]
    else:
        on_record = contents(manifest, cache)
        found = recognize(path, [known for known in on_record if known.file.entry.path is None])
        if found.archive_of:
            return list(found.archive_of)
        matches = (
            list(found.known_as)
            or [file for file in wanted if file.name == path.name]
            or [file for file in wanted if Path(file.name).suffix == path.suffix]
        )
    if len(matches) != 1:
        what = "no file of this model has that name" if name is not None else WHICH_FILE
        raise _unclear(path, what, matches or wanted)
    return matches


def import_file(
    file: ModelFile, path: Path, cache: Cache, *, replace: bool = False, record: IndexEntry | None = None
) -> Path:
    """Copy the local file `path` into `cache` as `file`.

    record: its expected digests and its source, if known; by default its source is `path`.
    replace: see `add_file`.
    Raises as `add_file` does.
    """

    def check(digests: Digests) -> None:
        if record is not None and digests != record.digests:
            raise IntegrityError(
                "not the file that its record describes\n"
                f"  sha256: expected {record.digests.sha256}, came {digests.sha256}"
            )
        # With `replace`, the cache checks when it is clear whether an archive came.
        if file.hashes or not replace:
            cache.check(file, digests)

    progress, url = DownloadProgress(), path.resolve().as_uri()
    source, added = (url, None) if record is None else (record.source, record.added)
    try:
        with (
            disk_errors_explained(cache.root),
            hold_lock(cache.lock(file), progress),
            cache.partial_folder(file) as folder,
        ):
            require_space = functools.partial(cache.require_space, what=file.name)
            received = Transfer(file.entry, folder, check, require_space, RetryPolicy(), progress).run(
                LocalSource(url)
            )
            stored = cache.put(
                file,
                received.path,
                received.digests,
                source,
                archive=received.archive,
                added=added,
                replace=replace,
            )
            _remove_leftovers(folder)
            return stored
    except SourceError as error:
        raise UsageError(f"{path}: cannot be {file}: {error}") from error
    except IntegrityError as error:
        raise IntegrityError(
            f"{path}: for {file} this is {error}\n  where the right one comes from: dsd-zoo show {file.model}"
        ) from error


def _unclear(path: Path, what: str, files: Sequence[ModelFile]) -> UsageError:
    names = ", ".join(file.name for file in files)
    return UsageError(f"{path}: {what}\n  choose with --as NAME, one of: {names}")


def _try_sources(
    file: ModelFile, cache: Cache, folder: Path, network: Network, progress: DownloadProgress
) -> Fetched:
    failed: list[FailedSource] = []
    wrong_bytes = False
    transfer = Transfer(
        file.entry,
        folder,
        check=functools.partial(cache.check, file),
        require_space=functools.partial(cache.require_space, what=file.name),
        retry_policy=network.retry_policy,
        progress=progress,
    )
    for source in network.sources(file):
        if not network.allows(source):
            failed.append(FailedSource(source.name, "not tried: --offline"))
            continue
        try:
            received = transfer.run(source)
            described = _describe_source(source.name, received)
            path = cache.put(file, received.path, received.digests, described, archive=received.archive)
            return Fetched(path, source.name, received.member, tuple(failed))
        except (SourceError, IntegrityError) as error:
            failed.append(FailedSource(source.name, str(error)))
            wrong_bytes = wrong_bytes or isinstance(error, IntegrityError)
    kind = IntegrityError if wrong_bytes else FetchError
    raise kind(_failure_message(file, failed))


def _describe_source(source: str, received: ReceivedFile) -> str:
    return source if received.member is None else f"{received.member} in {source}"


def _remove_leftovers(folder: Path) -> None:
    """Delete what other sources or a killed process left."""
    for left in folder.iterdir():
        left.unlink()


def _failure_message(file: ModelFile, failed: list[FailedSource]) -> str:
    """The message that lists every failed source, and says how to add the file by hand."""
    lines = [f"{file.model}: no source delivered {file.name}"]
    for failure in failed:
        first, *more = failure.reason.split("\n")
        lines += [f"  {failure.url}", f"    {first}", *(f"    {line}" for line in more)]
    if not failed:
        lines.append("  no source is known")
    links = [url for url in file.entry.urls if not url.startswith("file://")]
    archive = file.entry.archive if file.entry.is_pinned_by_archive else None
    what, on_record = (
        ("file", file.entry) if archive is None else (f"archive {archive.name or ''}".rstrip(), archive)
    )
    known = [f"{on_record.bytes} bytes"] if on_record.bytes is not None else []
    known += [f"{kind} {digest}" for kind, digest in on_record.hashes.items()]
    lines += [
        f"  to get it by hand: {'save it with a browser, from' if links else f'find {file.name}'}",
        *(f"    {link}" for link in links),
        "  and run",
        f"    dsd-zoo add {file.model} SAVED_FILE --as {file.name}",
        f"  the right {what} has {', '.join(known)}"
        if known
        else "  no size or hash of the right file is known: what you add is put on record as the right one",
    ]
    return "\n".join(lines)
