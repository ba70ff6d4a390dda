"""The command line in the test's process, with a cache of its own."""

from __future__ import annotations

import pytest
from command_line import Run, runner


@pytest.fixture
def dsd_zoo(monkeypatch, capsys, tmp_path) -> Run:
    """Runs the command line in this process, with an empty cache."""
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    return runner(monkeypatch, capsys)
