"""Fixtures: a server that misbehaves, an empty cache, a retry policy with short times, a certificate."""

from __future__ import annotations

import shlex
import shutil
import subprocess
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


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate, with its key beside it."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem"
    )
    subprocess.run(shlex.split(command), cwd=tmp_path, check=True, capture_output=True)
    return tmp_path / "cert.pem"
