"""Where a file may come from, in the order in which it is tried."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zoo.download import onedrive
from zoo.download.http import HttpSource
from zoo.download.local import LocalSource
from zoo.download.retry import RetryPolicy

if TYPE_CHECKING:
    from zoo.catalog.manifest import ModelFile
    from zoo.download.stream import DownloadSource


@dataclass(frozen=True, slots=True)
class Network:
    """How the network is used. `mirrors` are URLs below which <model>/<file name> lies; they come first.

    offline: only file:// sources are asked.
    """

    mirrors: tuple[str, ...] = ()
    offline: bool = False
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    onedrive: onedrive.Services = field(default_factory=onedrive.Services)

    def sources(self, file: ModelFile) -> list[DownloadSource]:
        """All ways to `file`, best first."""
        mirrored = [f"{mirror.rstrip('/')}/{file.model}/{file.name}" for mirror in self.mirrors]
        return [source for url in (*mirrored, *file.entry.urls) for source in self._ways(url)]

    def allows(self, source: DownloadSource) -> bool:
        """Whether this source may be asked."""
        return not self.offline or isinstance(source, LocalSource)

    def _ways(self, url: str) -> list[DownloadSource]:
        if url.startswith("file://"):
            return [LocalSource(url)]
        if onedrive.is_share_link(url):
            return onedrive.sources(url, self.retry_policy, self.onedrive)
        return [HttpSource(url, self.retry_policy)]
