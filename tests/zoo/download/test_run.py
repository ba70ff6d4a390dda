"""A finished run from a server."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

import zoo.download.run
from zoo.download.run import fetch_run
from zoo.errors import FetchError
from zoo.evidence.run import read_run, write_run


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def served(tmp_path):
    """A folder, and the address at which a server has it."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("query", ["", "?token=1/2"])
def test_a_run_arrives_as_it_was_written(served, tmp_path, made_run, query):
    folder, address = served
    run = made_run("digits-caffe-dsd")
    write_run(folder / "a run", run)
    received = read_run(fetch_run(f"{address}/a%20run/result.json{query}", tmp_path))
    assert received == read_run(folder / "a run")


def test_a_run_that_is_not_there_or_too_large_is_named(served, tmp_path, made_run, hasty, monkeypatch):
    folder, address = served
    with pytest.raises(FetchError, match=r"/result\.json: .*404"):
        fetch_run(f"{address}/result.json", tmp_path, hasty.retry_policy)
    write_run(folder, made_run("digits-caffe-dsd"))
    (folder / "evidence.csv").unlink()
    with pytest.raises(FetchError, match=r"/evidence\.csv: .*404"):
        fetch_run(f"{address}/result.json", tmp_path, hasty.retry_policy)
    monkeypatch.setitem(zoo.download.run.MAX_BYTES, "result.json", 10)
    with pytest.raises(FetchError, match="larger than 10 bytes"):
        fetch_run(f"{address}/result.json", tmp_path, hasty.retry_policy)
