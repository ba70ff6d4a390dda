"""The command in real processes: two at once, killed at any moment, interrupted, on a full disk."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from misbehaving_server import CONTENT, Site, known, left_behind, model, stored, throttled

from zoo.bundled import bundled_folder
from zoo.store.cache import Cache

Start = Callable[..., "subprocess.Popen[str]"]

# Long enough for a busy machine; a test that waits longer has failed.
LONG_SECONDS = 600

posix_only = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX systems")


@pytest.fixture
def own(tmp_path: Path, site: Site) -> Path:
    """A folder with one manifest, whose pinned weights come from the server."""
    folder = tmp_path / "own"
    folder.mkdir()
    text = (bundled_folder() / "squeezenet-v1.1.toml").read_text(encoding="utf-8")
    head = text[: text.index("[[files]]")].replace('name = "squeezenet-v1.1"', 'name = "tiny"', 1)
    file = f'[[files]]\nname = "tiny.caffemodel"\nrole = "weights"\nsha256 = "{known()["sha256"]}"\n'
    (folder / "tiny.toml").write_text(f'{head}{file}urls = ["{site.url()}"]\n', encoding="utf-8")
    return folder


@pytest.fixture
def start(own: Path, cache: Cache) -> Iterator[Start]:
    """Starts `dsd-zoo fetch tiny`; processes that still run at the end of the test are killed."""
    running: list[subprocess.Popen[str]] = []

    def run(before: str = "") -> subprocess.Popen[str]:
        code = f"{before}\nfrom zoo.cli.main import main\nmain()"
        command = [sys.executable, "-c", code, "fetch", "tiny", "--manifests", str(own)]
        environment = os.environ | {"DSD_ZOO_CACHE": str(cache.root), "COLUMNS": "1000"}
        process = subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=LONG_SECONDS)
    return process.returncode, out, err


def bytes_here(cache: Cache) -> int:
    return sum(path.stat().st_size for path in cache.root.rglob("*.part"))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def check_the_file(cache: Cache) -> None:
    file = model(**known())
    path = cache.find(file)
    assert path is not None
    assert path.read_bytes() == CONTENT
    assert left_behind(cache) == stored()
    assert list((cache.root / "partial").iterdir()) == []


def test_two_processes_fetch_the_same_file_once(site, cache, start):
    site.script = [throttled(2_000_000)]
    outcomes = [finished(process) for process in (start(), start())]
    assert [code for code, _, _ in outcomes] == [0, 0]
    origins = sorted(out.splitlines()[1].rsplit(", ", 1)[1] for _, out, _ in outcomes)
    assert origins == ["already in the cache", f"from {site.url()}"]
    assert len(site.requests) == 1
    check_the_file(cache)


@posix_only
def test_when_the_one_that_fetches_is_killed_the_waiting_one_goes_on(site, cache, start):
    site.script = [throttled(500_000)]
    first = start()
    wait_for(lambda: bytes_here(cache) > 100_000)
    second = start()
    time.sleep(0.5)
    first.kill()
    site.script = [throttled(5_000_000)]
    code, out, _ = finished(second)
    assert code == 0
    assert f"from {site.url()}" in out
    assert [asked is None for asked in site.ranges] == [True, False]
    check_the_file(cache)


@posix_only
@pytest.mark.parametrize("seed", range(2))
def test_killed_at_any_moment_and_repeated_it_ends_with_the_file_and_nothing_else(site, cache, start, seed):
    site.script = [throttled(2_500_000)]
    rng = random.Random(seed)
    file = model(**known())
    kills = 0
    while kills < 8:
        process = start()
        delay = rng.uniform(0.1, 0.9)
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
        else:
            break
        path = cache.find(file)
        assert path is None or path.read_bytes() == CONTENT
    site.script = []
    code, _, err = finished(start())
    assert (code, err) == (0, "")
    check_the_file(cache)


KILLED_STEP_BY_STEP = """
import hashlib, os, pathlib, signal, sys
import filelock, platformdirs, requests
import zoo.store.cache, zoo.catalog.catalog, zoo.cli._fetch_progress, zoo.download.parallel
from zoo.cli.main import main
root = pathlib.Path(os.environ["DSD_ZOO_CACHE"])
steps = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.listdir")
def killing(last):
    done = 0
    def hook(event, arguments):
        nonlocal done
        if event in steps and str(root) in str(arguments):
            done += 1
            if done == last:
                os.kill(os.getpid(), signal.SIGKILL)
    return hook
for last in range(1, 200):
    child = os.fork()
    if not child:
        sys.addaudithook(killing(last))
        main()
    status = os.waitpid(child, 0)[1]
    for path in root.glob("sha256/*/*/*"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.parent.name
    if status != signal.SIGKILL:
        sys.exit(f"{last} {os.waitstatus_to_exitcode(status)}")
"""


@posix_only
def test_killed_before_each_step_on_the_disk_it_leaves_nothing_wrong(cache, start):
    """Killed before the first file operation below the cache, then before the second, and so on."""
    _, _, err = finished(start(KILLED_STEP_BY_STEP))
    last, code = map(int, err.split())
    assert code == 0
    assert last > 20
    assert finished(start())[0] == 0
    check_the_file(cache)


@posix_only
def test_ctrl_c_keeps_what_came_and_the_same_command_goes_on(site, cache, start):
    site.script = [throttled(500_000)]
    # A background job of a shell ignores SIGINT, and so would its children.
    process = start("import signal; signal.signal(signal.SIGINT, signal.default_int_handler)")
    wait_for(lambda: bytes_here(cache) > 100_000)
    process.send_signal(signal.SIGINT)
    code, _, err = finished(process)
    assert code == 130
    assert err == "dsd-zoo: interrupted; what has come is kept, the same command goes on from it\n"
    here = bytes_here(cache)
    assert 100_000 < here < len(CONTENT)
    site.script = []
    code, _, err = finished(start())
    assert (code, err) == (0, "")
    assert site.ranges == [None, f"bytes={here}-"]
    check_the_file(cache)


@posix_only
def test_a_full_disk_is_told_and_what_came_is_kept(site, cache, start):
    """A limit on file sizes fails in the middle of a write, as a full disk or an exceeded quota does."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, 700_000))"
    code, out, err = finished(start(limit))
    assert code == 1
    assert "tiny.caffemodel: not fetched" in out
    assert "the disk is full: File too large" in err
    assert "set DSD_ZOO_CACHE to a folder on another disk" in err
    assert bytes_here(cache) == 700_000
    code, _, err = finished(start())
    assert (code, err) == (0, "")
    assert site.ranges == [None, "bytes=700000-"]
    check_the_file(cache)
