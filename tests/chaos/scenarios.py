"""The scenarios: each disturbs a command in one way, and checks what is left.

A scenario takes an empty folder, a random generator and the seconds that it may go on. It returns how often
it disturbed, and what was left, in words; an AssertionError says what was wrong.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import misbehaving_server as server
import nets
from stopped_processes import killed_before

Scenario = Callable[[Path, random.Random, int], tuple[str, str]]

SCENARIOS: dict[str, Scenario] = {}
MODEL = "digits-caffe-dsd"
MOST_SECONDS = 600
DISK_BYTES = 4 << 20


class Skipped(Exception):
    """The scenario needs what this machine does not allow."""


def scenario(name: str) -> Callable[[Scenario], Scenario]:
    """Register the decorated function."""

    def register(function: Scenario) -> Scenario:
        SCENARIOS[name] = function
        return function

    return register


class Command:
    """`dsd-zoo` in processes of its own, with a cache in the folder."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        self._command = [sys.executable, "-m", "zoo", *map(str, arguments)]
        self._environment = {
            **os.environ,
            "DSD_ZOO_CACHE": str(folder / "cache"),
            "DSD_ZOO_LOCK": str(folder / "lock.json"),
        }

    def run(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [*self._command, *more],
            env=self._environment, capture_output=True, text=True, timeout=MOST_SECONDS, check=False,
        )  # fmt: skip

    def finish(self, *more: str) -> None:
        """Run it to its end, which must be a good one."""
        done = self.run(*more)
        assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr}"

    def kill_after(self, seconds: float, *more: str) -> bool:
        """Start it, and kill it after so many seconds; False if it ended before."""
        process = subprocess.Popen(
            [*self._command, *more], env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            _, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            return True
        assert process.returncode == 0, errors.decode()
        return False


def durations(generator: random.Random, longest: float, seconds: int) -> Iterator[float]:
    """Random moments at which to kill, as long as time is left; in the first tenth a command only starts."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield generator.uniform(0.1, 1.1) * longest


def names_in(folder: Path) -> list[str]:
    """All files below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def digests(folder: Path) -> dict[str, str]:
    """The content of all files below a folder."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names_in(folder)}


def at_every_change(form: str) -> Scenario:
    """Convert over an older net, and be killed before the k-th change of the folder, for every k."""

    def run(folder: Path, generator: random.Random, seconds: int) -> tuple[str, str]:
        sources = nets.write_sources(folder / "sources")
        seen: Counter[str] = Counter()
        k = 1
        while True:
            out = folder / str(k)
            nets.convert(sources, "old", out, form)
            stopped = killed_before(k, lambda out=out: nets.convert(sources, "new", out, form))
            found = nets.version_of(sources, out, form)
            assert found in ("old", "new", "refused"), f"killed before change {k}: {found}"
            seen[found] += 1
            nets.convert(sources, "new", out, form)
            assert nets.version_of(sources, out, form) == "new"
            left = [name for name in names_in(out) if name.startswith(".")]
            assert not left, f"killed before change {k}, converted again: {left} are left behind"
            if not stopped:
                break
            k += 1
        words = ", ".join(f"{count} {what}" for what, count in sorted(seen.items()))
        return f"{k - 1} points", f"{words}; 0 torn or mixed, 0 left behind"

    return run


for chosen in nets.FORMS:
    scenario(f"convert to {chosen}, killed before every change of names")(at_every_change(chosen))


@scenario("validate, killed at random and resumed")
def validate(folder: Path, generator: random.Random, seconds: int) -> tuple[str, str]:
    options = ["validate", MODEL, "--batch-size", "2"]
    undisturbed = Command(folder, *options, "--out", folder / "undisturbed")
    undisturbed.finish()  # converts the net
    began = time.monotonic()
    undisturbed.finish()
    longest = time.monotonic() - began
    kills = rounds = 0
    end = time.monotonic() + seconds
    while not rounds or time.monotonic() < end:
        out = folder / f"out-{rounds}"
        command = Command(folder, *options, "--out", out)
        resumed: list[str] = []
        for moment in durations(generator, longest, seconds):
            if not command.kill_after(moment, *resumed):
                break
            kills += 1
            resumed = ["--resume"]
        else:
            command.finish(*resumed)
        rounds += 1
        assert names_in(out) == ["evidence.csv", "result.json"], names_in(out)
        rows = [(place / "evidence.csv").read_bytes() for place in (out, folder / "undisturbed")]
        assert rows[0] == rows[1], "the evidence differs from that of an undisturbed run"
    return f"{kills} kills in {rounds} runs", "the evidence of an undisturbed run, byte for byte"


@scenario("convert, killed at random")
def convert(folder: Path, generator: random.Random, seconds: int) -> tuple[str, str]:
    Command(folder, "convert", MODEL, "-o", folder / "undisturbed").finish()
    expected = digests(folder / "undisturbed")
    out = folder / "out"
    began = time.monotonic()
    command = Command(folder, "convert", MODEL, "-o", out)
    command.finish()
    longest = time.monotonic() - began
    kills = 0
    for moment in durations(generator, longest, seconds):
        kills += command.kill_after(moment)
        found = {name: digest for name, digest in digests(out).items() if not name.startswith(".")}
        assert found == expected, "after a kill, the net that was there is another one"
    command.finish()
    assert digests(out) == expected, f"left behind: {sorted(digests(out).keys() - expected.keys())}"
    return f"{kills} kills", "the net of an undisturbed run, byte for byte, and nothing else"


@contextlib.contextmanager
def fetching(folder: Path) -> Iterator[tuple[server.Site, Command]]:
    """A server with one file, and the command that fetches it."""
    with server.running() as site:
        manifests = folder / "manifests"
        manifests.mkdir(exist_ok=True)
        nets.write_manifest(manifests, site.url(), server.known())
        yield site, Command(folder, "fetch", "tiny", "--manifests", manifests)


def check_store(folder: Path) -> None:
    """The cache holds the file, and nothing of an unfinished download."""
    found = [name for name in names_in(folder / "cache") if not name.startswith("locks/")]
    assert found == server.stored(), found
    content = (folder / "cache" / server.stored()[1]).read_bytes()
    assert content == server.CONTENT, "the stored file is another one"


@scenario("fetch, killed at random and repeated")
def fetch(folder: Path, generator: random.Random, seconds: int) -> tuple[str, str]:
    kills = rounds = 0
    end = time.monotonic() + seconds
    while not rounds or time.monotonic() < end:
        place = folder / str(rounds)
        place.mkdir()
        with fetching(place) as (site, command):
            site.script = [server.throttled(1_500_000)]
            for moment in durations(generator, 2.5, seconds):
                if not command.kill_after(moment):
                    break
                kills += 1
            site.script = []
            command.finish()
        check_store(place)
        rounds += 1
    return f"{kills} kills in {rounds} downloads", "the file on record, and nothing else"


@scenario("fetch from a server that drops every connection")
def dropping(folder: Path, generator: random.Random, seconds: int) -> tuple[str, str]:
    with fetching(folder) as (site, command):
        size = len(server.CONTENT)
        drops = [server.drop_after(generator.randrange(1, size // 8)) for _ in range(40)]
        site.script = [*drops, server.serve]
        attempts = 1
        while (done := command.run()).returncode and attempts <= len(drops):
            assert "connection broke" in done.stderr, done.stderr
            attempts += 1
        assert not done.returncode, done.stderr
        check_store(folder)
        starts = [int((asked or "bytes=0-").removeprefix("bytes=").rstrip("-")) for asked in site.ranges]
        assert starts == sorted(starts), "a byte that had come was asked for again"
        requests = len(site.requests)
    return f"{requests} connections, {attempts} commands", "the file on record; no byte was sent twice"


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of DISK_BYTES at `folder`."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    mounted = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if mounted.returncode:
        raise Skipped(f"no disk could be mounted: {mounted.stderr.strip() or 'not allowed'}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def on_a_full_disk(place: Path, command: Command, but: int) -> str:
    """Run a command while only so many bytes are free, which must not be enough; returns what it says."""
    filler = place / "filler"
    state = os.statvfs(place)
    filler.write_bytes(bytes(max(0, state.f_bavail * state.f_frsize - but)))
    done = command.run()
    assert done.returncode in (1, 2), f"ended with {done.returncode} on a full disk"
    assert str(place) in done.stderr, f"does not name {place}: {done.stderr}"
    full = any(text in done.stderr for text in ("No space left", "disk is full", "no room"))
    assert full, f"does not say that the disk is full: {done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    assert "internal error" not in done.stderr, done.stderr
    filler.unlink()
    return done.stderr


@scenario("a disk that is full: convert, pack, validate, fetch")
def full_disk(folder: Path, generator: random.Random, seconds: int) -> tuple[str, str]:
    place = folder / "disk"
    packing = ("pack", "--data", nets.digits_images(), "--flavour", "caffe-warp36", "-o", place / "x.pack")
    commands = 0
    with small_disk(place):
        for but in [0, *sorted(generator.sample(range(4096, 60_000, 4096), 5))]:
            for arguments in (("convert", MODEL, "-o", place / "net.onnx"), packing):
                on_a_full_disk(place, Command(folder, *arguments), but)
                assert names_in(place) == [], f"{arguments[0]} left {names_in(place)}"
            _validate_on(place, Command(folder, *_VALIDATE, place / "out"), but)
            with fetching(folder):
                command = Command(place, "fetch", "tiny", "--manifests", folder / "manifests")
                on_a_full_disk(place, command, but)
                command.finish()
                check_store(place)
            commands += 4
            for path in sorted(place.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
    return f"{commands} commands", "each named the place, left nothing, and went on once there was room"


_VALIDATE = ("validate", MODEL, "--batch-size", "2", "--out")


def _validate_on(place: Path, command: Command, but: int) -> None:
    out = place / "out"
    said = on_a_full_disk(place, command, but)
    kept = [path for path in out.glob("partial/*.jsonl") if path.stat().st_size]
    assert "--resume" in said or not kept, f"does not name --resume: {said}"
    command.finish("--resume")
    assert names_in(out) == ["evidence.csv", "result.json"], names_in(out)
