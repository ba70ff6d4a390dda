"""A server that misbehaves, an empty cache, and little retry_policy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from misbehaving_server import Site, running

from zoo.download import Network, RetryPolicy
from zoo.store.cache import Cache


@pytest.fixture
def site() -> Iterator[Site]:
    with running() as site:
        yield site


@pytest.fixture
def store(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def hasty() -> Network:
    """Everything that takes a minute takes a moment."""
    retry_policy = RetryPolicy(
        connect=5, silence=10, slow=0.3, slow_bytes=1000, tries=3, first_wait=0.01, longest_wait=0.05
    )
    return Network(retry_policy=retry_policy)
