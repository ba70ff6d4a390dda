"""Downloads the files of models into the cache, from the first source that delivers the right bytes."""

from __future__ import annotations

from zoo.download.fetch import FailedSource, Fetched, add_file, fetch_file, files_in, import_file
from zoo.download.progress import DownloadProgress
from zoo.download.retry import RetryPolicy
from zoo.download.sources import Network

__all__ = [
    "DownloadProgress",
    "FailedSource",
    "Fetched",
    "Network",
    "RetryPolicy",
    "add_file",
    "fetch_file",
    "files_in",
    "import_file",
]
