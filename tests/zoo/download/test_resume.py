"""Interrupted downloads: the bytes so far are used again, and never mixed with other content."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest
from misbehaving_server import (
    CONTENT,
    ETAG,
    Handler,
    Site,
    answer,
    drop_after,
    ignore_range,
    known,
    left_behind,
    model,
    raw,
    serve,
    status,
    stored,
    throttled,
)

from zoo.download import DownloadProgress, RetryPolicy, fetch_file
from zoo.download.http import HttpSource
from zoo.download.stream import SourceError, TransientError, Validators
from zoo.errors import FetchError, IntegrityError

PINNED = known()
DATE = "Fri, 21 Oct 2016 07:28:00 GMT"


class _Stop(Exception):
    pass


class StopAt(DownloadProgress):
    """Ends the download after `count` bytes, as if the process were killed."""

    def __init__(self, count: int) -> None:
        self._count = count

    def update(self, done: int, total: int | None) -> None:
        if done >= self._count:
            raise _Stop


def stopped_fetch(file, cache, network, count: int) -> None:
    with pytest.raises(_Stop):
        fetch_file(file, cache, network, StopAt(count))


@pytest.mark.parametrize("on_record", [{}, {"sha1": PINNED["sha1"]}, PINNED], ids=["nothing", "sha1", "all"])
def test_after_a_drop_the_rest_is_asked_for(site, cache, hasty, on_record):
    site.script = [drop_after(500_000), serve]
    file = model(site.url(), **on_record)
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT
    first, second = site.requests
    assert "Range" not in first[1]
    came = int(second[1]["Range"].removeprefix("bytes=").rstrip("-"))
    assert 0 < came <= 500_000
    assert second[1]["If-Range"] == ETAG
    assert left_behind(cache) == stored()


def test_the_next_run_goes_on_where_the_last_one_stopped(site, cache, hasty):
    file = model(site.url(), **PINNED)
    stopped_fetch(file, cache, hasty, 600_000)
    partial, note = left_behind(cache)
    assert partial.startswith("partial/tiny--tiny.caffemodel/")
    assert (partial.rsplit(".")[-1], note.rsplit(".")[-1]) == ("json", "part")
    assert cache.find(file) is None
    fetched = fetch_file(file, cache, hasty)
    assert fetched.path.read_bytes() == CONTENT
    assert site.ranges[0] is None
    assert int(str(site.ranges[1]).removeprefix("bytes=").rstrip("-")) >= 600_000
    assert left_behind(cache) == stored()


def test_a_date_serves_where_there_is_no_tag(site, cache, hasty):
    site.etag, site.last_modified = None, DATE
    file = model(site.url())
    stopped_fetch(file, cache, hasty, 600_000)
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT
    assert site.requests[1][1]["If-Range"] == DATE
    assert site.ranges[1] is not None


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_validators_only_a_file_with_a_hash_is_resumed(site, cache, hasty, etag):
    site.etag = etag
    file = model(site.url())
    stopped_fetch(file, cache, hasty, 600_000)
    fetch_file(file, cache, hasty)
    assert site.ranges == [None, None]

    file = model(site.url(), **known())
    cache.find(file).unlink()
    stopped_fetch(file, cache, hasty, 600_000)
    fetch_file(file, cache, hasty)
    assert site.ranges[3] is not None
    assert "If-Range" not in site.requests[3][1]


@pytest.mark.parametrize("on_record", [{}, PINNED], ids=["unpinned", "pinned"])
def test_a_server_that_ignores_ranges_starts_over(site, cache, hasty, on_record):
    site.script = [drop_after(500_000), ignore_range]
    file = model(site.url(), **on_record)
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT
    assert site.ranges[1] is not None
    assert left_behind(cache) == stored()


def test_content_that_changed_meanwhile_is_fetched_anew(site, cache, hasty):
    """With If-Range the server sends all of the new content; the partial download was of the old one."""
    file = model(site.url())
    stopped_fetch(file, cache, hasty, 600_000)
    site.content, site.etag = CONTENT[::-1], '"second"'
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT[::-1]


def _part_of_other_content(handler: Handler, site: Site) -> None:
    """Ignores If-Range, and sends the requested range of its current content."""
    start = int(handler.headers["Range"].removeprefix("bytes=").rstrip("-"))
    body = CONTENT[::-1][start:]
    size = len(CONTENT)
    handler.begin(
        206,
        Content_Length=len(body),
        Content_Range=f"bytes {start}-{size - 1}/{size}",
        ETag=site.etag,
    )
    handler.wfile.write(body)


def test_a_part_with_another_tag_is_not_appended(site, cache, hasty):
    file = model(site.url())
    stopped_fetch(file, cache, hasty, 600_000)
    site.etag = '"second"'
    site.script = [_part_of_other_content, serve]
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT
    assert site.ranges[-1] is None


def test_parts_that_do_not_fit_are_found_by_the_hash_and_fetched_once_more(site, cache, hasty):
    site.etag = None
    file = model(site.url(), sha1=PINNED["sha1"])
    stopped_fetch(file, cache, hasty, 600_000)
    site.script = [_part_of_other_content, serve]
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT
    assert len(site.requests) == 3
    assert left_behind(cache) == stored()


def test_a_source_that_mixes_every_time_is_given_up(site, cache, hasty):
    site.etag = None

    def mixing(handler: Handler, site: Site) -> None:
        if "Range" in handler.headers:
            _part_of_other_content(handler, site)
        else:
            drop_after(500_000)(handler, site)

    site.script = [mixing]
    file = model(site.url(), sha1=PINNED["sha1"])
    with pytest.raises(IntegrityError, match="not the file on record"):
        fetch_file(file, cache, hasty)
    assert len(site.requests) == 4
    assert left_behind(cache) == []


def test_a_damaged_partial_file_is_noticed(site, cache, hasty):
    """The hashes are computed from the bytes on the disk."""
    file = model(site.url(), sha256=PINNED["sha256"])
    stopped_fetch(file, cache, hasty, 600_000)
    (part,) = cache.root.rglob("*.part")
    bitten = bytearray(part.read_bytes())
    bitten[1000] ^= 1
    part.write_bytes(bitten)
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT
    assert left_behind(cache) == stored()


@pytest.mark.parametrize(
    "note",
    [b"", b"{", b"[]", b'{"etag": 1, "size": "x"}', b'{"more": 1}', b"[" * 100_000, b'{"etag": "\\u20ac"}'],
)
def test_damaged_validators_are_ignored(site, cache, hasty, note):
    file = model(site.url(), sha256=PINNED["sha256"])
    stopped_fetch(file, cache, hasty, 600_000)
    (path,) = cache.root.glob("partial/*/*.json")
    path.write_bytes(note)
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "content_range",
    [
        "bytes 0-1279999/1280000",
        "bytes 600001-1279999/1280000",
        "bytes */1280000",
        "600000-",
        None,
        f"bytes {'6' * 5000}-7/8",
    ],
)
def test_another_range_than_asked_for_is_refused(site, cache, hasty, content_range):
    file = model(site.url(), **PINNED)
    stopped_fetch(file, cache, hasty, 600_000)
    site.script = [answer(CONTENT[600_000:], 206, Content_Range=content_range)]
    with pytest.raises(FetchError, match=r"asked for bytes \d+-, the server sent the range"):
        fetch_file(file, cache, hasty)
    site.script = [serve]
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT


def test_the_asked_part_with_status_200_is_no_whole_file(site, cache, hasty):
    site.script = [drop_after(500_000), answer(CONTENT[500_000:])]
    file = model(site.url(), **PINNED)
    with pytest.raises(IntegrityError, match="bytes: expected 1280000, came 780000"):
        fetch_file(file, cache, hasty)
    assert left_behind(cache) == []


def test_a_range_beyond_the_end_starts_over(site, cache, hasty):
    """The partial download is longer than the server's content."""
    file = model(site.url())
    stopped_fetch(file, cache, hasty, 600_000)
    site.content = CONTENT[:300_000]
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT[:300_000]
    assert left_behind(cache) == stored(CONTENT[:300_000])


def test_what_is_complete_is_not_asked_for_again(site, cache, hasty):
    """The earlier run was killed after the last byte, before the rename."""
    file = model(site.url(), **PINNED)
    stopped_fetch(file, cache, hasty, len(CONTENT))
    fetch_file(file, cache, hasty)
    assert len(site.requests) == 1
    assert left_behind(cache) == stored()


@pytest.mark.parametrize("count", [0, 10, 1000])
@pytest.mark.parametrize("on_record", [{}, PINNED], ids=["unpinned", "pinned"])
def test_a_shorter_body_than_announced_is_a_break(site, cache, hasty, count, on_record):
    site.script = [raw(CONTENT[:count], Content_Length=len(CONTENT)), serve]
    file = model(site.url(), **on_record)
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT
    assert len(site.requests) == 2


def test_a_connection_that_breaks_every_time_gets_there_if_it_moves(site, cache, hasty):
    moving = replace(hasty, retry_policy=replace(hasty.retry_policy, progress_bytes=10_000))
    site.script = [drop_after(60_000)]
    file = model(site.url(), **PINNED)
    assert fetch_file(file, cache, moving).path.read_bytes() == CONTENT
    assert len(site.requests) > 20


def test_a_connection_that_hardly_moves_is_given_up(site, cache, hasty):
    site.script = [drop_after(100)]
    file = model(site.url(), **PINNED)
    with pytest.raises(FetchError, match=r"(reset|broke off).*; 3 times in a row"):
        fetch_file(file, cache, hasty)
    assert len(site.requests) == 3


@pytest.mark.parametrize("seed", range(5))
def test_random_breaks_end_in_the_right_file(site, cache, hasty, seed):
    """Drops, refusals and silence in any order, within a run and between runs."""
    rng = random.Random(seed)
    moods = [
        lambda: drop_after(rng.randrange(len(CONTENT))),
        lambda: status(503),
        lambda: ignore_range,
        lambda: raw(CONTENT[: rng.randrange(1000)], Content_Length=len(CONTENT)),
        lambda: serve,
    ]
    site.script = [rng.choice(moods)() for _ in range(40)] + [serve]
    file = model(site.url(), sha256=PINNED["sha256"])
    for _ in range(40):
        try:
            fetched = fetch_file(file, cache, hasty, StopAt(rng.randrange(2 * len(CONTENT))))
        except (_Stop, FetchError):
            assert cache.find(file) is None
        else:
            break
    assert fetched.path.read_bytes() == CONTENT
    assert left_behind(cache) == stored()


class _Waits(DownloadProgress):
    def __init__(self) -> None:
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(site, cache, hasty, code):
    site.script = [status(code), status(code), serve]
    file = model(site.url(), **PINNED)
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT
    assert len(site.requests) == 3


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 451, 501])
def test_a_refusal_is_final(site, cache, hasty, code):
    site.script = [status(code)]
    file = model(site.url())
    with pytest.raises(FetchError, match=f"HTTP {code}"):
        fetch_file(file, cache, hasty)
    assert len(site.requests) == 1


def test_the_wait_the_server_asks_for_is_kept(site, cache, hasty):
    patient = replace(hasty, retry_policy=RetryPolicy(max_attempts=3))
    soon = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 20))
    site.script = [status(429, Retry_After=7), status(503, Retry_After=soon), serve]
    file = model(site.url(), **PINNED)
    waits = _Waits()
    fetch_file(file, cache, patient, waits)
    first, second = waits.waits
    assert first == 7
    assert 15 < second <= 20


def test_a_server_that_asks_for_too_long_a_delay_is_given_up(site, cache, hasty):
    site.script = [status(429, Retry_After=3600)]
    file = model(site.url())
    with pytest.raises(FetchError, match="HTTP 429 Too Many Requests; it asks to come back in 3600 s"):
        fetch_file(file, cache, hasty)
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    "nonsense",
    ["soon", "-3", "Fri, 99 Foo", "1e9", "9" * 5000, "Mon, 1 Jan 99999999999999999999 00:00:00 GMT", "\xb2"],
)
def test_a_malformed_retry_after_is_ignored(site, cache, hasty, nonsense):
    site.script = [status(503, Retry_After=nonsense), serve]
    file = model(site.url(), **PINNED)
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT


def test_waits_double_up_to_a_bound():
    retry_policy = RetryPolicy(first_delay=1, max_delay=5)
    waits = [retry_policy.delay(failures, None) for failures in (1, 2, 3, 4, 50)]
    for wait, most in zip(waits, (1, 2, 4, 5, 5), strict=True):
        assert 0.75 * most <= wait <= most


def test_a_very_slow_transfer_is_aborted(site, hasty):
    site.script = [throttled(1000)]
    with (
        pytest.raises(TransientError, match=r"only \d+ bytes in \d s"),
        HttpSource(site.url(), hasty.retry_policy).open(0, Validators()) as stream,
    ):
        for _ in stream.chunks:
            pass


def test_a_slow_but_steady_server_is_waited_for(site, hasty):
    site.content = CONTENT[:40_000]
    site.script = [throttled(50_000)]
    with HttpSource(site.url(), hasty.retry_policy).open(0, Validators()) as stream:
        assert b"".join(stream.chunks) == site.content


def test_a_source_that_failed_leaves_its_part_for_the_next_run(site, cache, hasty):
    """If a later source delivers, the partial download of the first is deleted."""
    site.routes = {"/broken": drop_after(500_000), "/good": serve}
    file = model(site.url("/broken"), **PINNED)
    with pytest.raises(FetchError):
        fetch_file(file, cache, hasty)
    assert any(name.endswith(".part") for name in left_behind(cache))
    file = model(site.url("/broken"), site.url("/good"), **PINNED)
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT
    assert left_behind(cache) == stored()


def test_errors_of_the_consumer_are_not_blamed_on_the_server(site, hasty):
    with (
        pytest.raises(OSError, match="my disk"),
        HttpSource(site.url(), hasty.retry_policy).open(0, Validators()),
    ):
        raise OSError("my disk")
    with pytest.raises(SourceError), HttpSource(site.url("/w"), hasty.retry_policy).open(0, Validators()):
        raise SourceError("mine")
