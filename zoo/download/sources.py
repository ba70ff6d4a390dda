"""The sources of a file, in the order in which they are tried."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zoo.download import dropbox, git_lfs, google_drive, onedrive
from zoo.download.http import HttpSource
from zoo.download.local import LocalSource
from zoo.download.retry import RetryPolicy

if TYPE_CHECKING:
    from zoo.catalog.manifest import ModelFile
    from zoo.download.stream import DownloadSource


@dataclass(frozen=True, slots=True)
class Network:
    """Settings of downloads.

    mirrors: URLs that have the files at <URL>/<model>/<file name>; they are tried first.
    offline: use file:// sources only.
    onedrive, google_drive, dropbox, git_lfs: the services of hosts whose links do not lead to the file.
    """

    mirrors: tuple[str, ...] = ()
    offline: bool = False
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    onedrive: onedrive.Services = field(default_factory=onedrive.Services)
    google_drive: google_drive.Services = field(default_factory=google_drive.Services)
    dropbox: dropbox.Services = field(default_factory=dropbox.Services)
    git_lfs: git_lfs.Services = field(default_factory=git_lfs.Services)

    def sources(self, file: ModelFile) -> list[DownloadSource]:
        """All sources of `file`, best first."""
        mirrored = [f"{mirror.rstrip('/')}/{file.model}/{file.name}" for mirror in self.mirrors]
        return [source for url in (*mirrored, *file.entry.urls) for source in self._sources_of_url(url)]

    def allows(self, source: DownloadSource) -> bool:
        """Whether this source may be used."""
        return not self.offline or isinstance(source, LocalSource)

    def _sources_of_url(self, url: str) -> list[DownloadSource]:
        if url.startswith("file://"):
            return [LocalSource(url)]
        of_hosts = (
            onedrive.sources(url, self.retry_policy, self.onedrive),
            google_drive.sources(url, self.retry_policy, self.google_drive),
            dropbox.sources(url, self.retry_policy, self.dropbox),
            git_lfs.sources(url, self.retry_policy, self.git_lfs),
        )
        known = next((found for found in of_hosts if found is not None), None)
        return known or [HttpSource(url, self.retry_policy)]
