"""The command line in the test's process, with a cache of its own, and a folder of the user's manifests."""

from __future__ import annotations

import pytest
from command_line import Run, runner

from zoo.bundled import bundled_folder


@pytest.fixture
def dsd_zoo(monkeypatch, capsys, tmp_path) -> Run:
    """Runs the command line in this process, with an empty cache."""
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    return runner(monkeypatch, capsys)


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """A cache for all tests of a file, so that each net is converted once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def dsd_zoo_here(monkeypatch, capsys, tmp_path, converted) -> Run:
    """Runs the command line in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DSD_ZOO_CACHE", str(converted))
    return runner(monkeypatch, capsys)


@pytest.fixture
def own(tmp_path):
    """A folder with one manifest of the user's, whose unpinned weights come from a file:// URL."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "source.caffemodel").write_bytes(b"\x0a\x04tiny" + bytes(100))
    url = (folder / "source.caffemodel").as_uri()
    text = (bundled_folder() / "squeezenet-v1.0.toml").read_text(encoding="utf-8")
    head = text[: text.index("[[files]]")].replace('name = "squeezenet-v1.0"', 'name = "tiny"', 1)
    files = f'[[files]]\nname = "tiny.caffemodel"\nrole = "weights"\nurls = ["{url}"]\n'
    (folder / "tiny.toml").write_text(head + files, encoding="utf-8")
    return folder
