"""Several files at a time: results in order, failures among them, disk space checked first."""

from __future__ import annotations

import os
import re
import threading
from contextlib import ExitStack
from dataclasses import replace

import pytest
from misbehaving_server import CONTENT, model, serve, status, throttled

from zoo.catalog.manifest import ModelFile
from zoo.download import DownloadProgress, Fetched, fetch_file
from zoo.download.parallel import fetch_all
from zoo.download.progress import hold_lock
from zoo.errors import FetchError, UsageError
from zoo.locks import hold, holder_of


def files(site, count: int) -> list[ModelFile]:
    """Files of different models, each the only one of its model."""
    made = []
    for number in range(count):
        file = model(site.url(f"/{number}"), name=f"{number}.caffemodel")
        made.append(replace(file, manifest=file.manifest.model_copy(update={"name": f"tiny{number}"})))
    return made


def test_results_come_in_order_whatever_ends_first(site, cache, hasty):
    together = threading.Barrier(3, timeout=60)

    def meet(handler, site) -> None:
        together.wait()
        serve(handler, site)

    site.routes = {"/0": meet, "/1": meet, "/2": meet, "/3": status(404), "/4": serve, "/5": serve}
    wanted = files(site, 6)
    results = list(fetch_all(wanted, cache, hasty))
    assert [isinstance(result, Fetched) for result in results] == [True, True, True, False, True, True]
    assert isinstance(results[3], FetchError)
    assert "tiny3: no source delivered 3.caffemodel" in str(results[3])
    assert all(result.path.read_bytes() == CONTENT for result in results if isinstance(result, Fetched))


def test_every_file_has_its_own_progress(site, cache, hasty):
    seen: dict[str, int] = {}

    class Seen(DownloadProgress):
        def __init__(self, name: str) -> None:
            self.name = name

        def update(self, done: int, total: int | None) -> None:
            seen[self.name] = done

    wanted = files(site, 3)
    list(fetch_all(wanted, cache, hasty, lambda file: Seen(file.name)))
    assert seen == {f"{number}.caffemodel": len(CONTENT) for number in range(3)}


def test_leaving_early_stops_the_rest(site, cache, hasty):
    # Slow enough that most are still waiting when the first result is taken.
    site.routes = {f"/{number}": throttled(2_000_000) for number in range(1, 40)}
    wanted = files(site, 40)
    results = fetch_all(wanted, cache, hasty)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(site.requests) < 40
    assert threading.active_count() < 40


def test_room_for_all_is_asked_for_before_anything_is_fetched(site, cache, hasty, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 2_000_000})())
    size = {"bytes": len(CONTENT)}
    wanted = [replace(file, entry=file.entry.model_copy(update=size)) for file in files(site, 3)]
    with pytest.raises(UsageError, match=r"no room for 3 files, .*: 3,840,000 bytes are needed, 2,000,000"):
        list(fetch_all(wanted, cache, hasty))
    assert site.requests == []


def test_what_is_here_needs_no_room(site, cache, hasty, monkeypatch):
    file = model(site.url(), bytes=len(CONTENT))
    fetch_file(file, cache, hasty)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 0})())
    (result,) = fetch_all([file], cache, hasty)
    assert isinstance(result, Fetched)
    assert result.source is None


def test_who_fetches_a_file_is_told_to_those_who_wait(tmp_path):
    """Once for each holder, and not for every look."""
    path = tmp_path / "a.lock"
    notes: list[str] = []
    looks: list[float] = []

    class Noting(DownloadProgress):
        def note(self, text: str) -> None:
            notes.append(text)

        def sleep(self, seconds: float) -> None:
            looks.append(seconds)
            if len(looks) == 3:
                first.close()

    with ExitStack() as first:
        first.enter_context(hold(path))
        with hold_lock(path, Noting()):
            assert holder_of(path) is not None
    assert len(looks) == 3
    assert len(notes) == 1
    assert re.fullmatch(rf"process {os.getpid()} on .*, since .* UTC is fetching it; waiting", notes[0])
    assert not path.exists()
