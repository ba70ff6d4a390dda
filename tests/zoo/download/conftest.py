"""Fixtures: a server that misbehaves, an empty cache, and a retry policy with short times."""

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
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def hasty() -> Network:
    """Timeouts and delays of milliseconds instead of minutes."""
    retry_policy = RetryPolicy(
        connect_timeout=5,
        read_timeout=10,
        low_speed_seconds=0.3,
        low_speed_bytes=1000,
        max_attempts=3,
        first_delay=0.01,
        max_delay=0.05,
    )
    return Network(retry_policy=retry_policy)
