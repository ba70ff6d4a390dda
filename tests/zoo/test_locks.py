"""Locks between processes: one holds, the others learn who; what a killed process left holds nobody up."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from zoo import locks
from zoo.locks import Held, hold, holder_of

LEFT = b'{"host": "h", "pid": 5, "since": "then"}'
posix_only = pytest.mark.skipif(os.name != "posix", reason="forks, and kills")


def test_one_holds_and_the_other_learns_who(tmp_path):
    path = tmp_path / ".running"
    with hold(path, run="a"):
        with pytest.raises(Held) as caught, hold(path):
            pass
        assert caught.value.holder is not None
        assert (caught.value.holder.pid, caught.value.holder.run) == (os.getpid(), "a")
        assert f"process {os.getpid()} on " in str(caught.value)
        assert path.exists()
    assert list(tmp_path.iterdir()) == []
    with hold(path):
        pass


@pytest.mark.parametrize("left", [b"", b"{", b"[[" * 5000, b"\xff", LEFT])
def test_a_file_that_was_left_behind_holds_nobody_up(tmp_path, left):
    path = tmp_path / ".running"
    path.write_bytes(left)
    with hold(path):
        assert holder_of(path).pid == os.getpid()
    assert not path.exists()


def test_a_folder_that_is_not_there_is_an_error_of_the_disk(tmp_path):
    with pytest.raises(FileNotFoundError), hold(tmp_path / "nowhere" / ".running"):
        pass


def test_on_a_full_disk_no_lock_file_is_left(tmp_path, monkeypatch):
    def full(descriptor: int, content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"), hold(tmp_path / ".running"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_without_locks_whoever_finds_the_file_takes_it_as_held(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl", reason="flock of POSIX systems")

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    path = tmp_path / ".running"
    with hold(path), pytest.raises(Held, match=f"process {os.getpid()} on"), hold(path):
        pass
    assert not path.exists()
    path.write_bytes(LEFT)
    with pytest.raises(Held, match="process 5 on h, since then"), hold(path):
        pass


# Six processes at a time run for one lock; every second time a file of a killed process is in the way.
RACE = """
import json, os, sys
from pathlib import Path
from zoo.locks import Held, hold
path, rounds = Path(sys.argv[1]), int(sys.argv[2])
for number in range(rounds):
    if number % 2:
        path.write_text('{"host": "h", "pid": 5, "since": "then"}')
    start, go = os.pipe()
    end, ended = os.pipe()
    answers = []
    for _ in range(6):
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.close(go), os.close(ended)
            os.read(start, 1)  # all start when the last one closes the pipe
            try:
                with hold(path):
                    os.write(write, b"mine")
                    os.read(end, 1)
            except Held as error:
                os.write(write, str(error.holder and error.holder.pid).encode())
            os._exit(0)
        os.close(write)
        answers.append((child, read))
    os.close(go), os.close(start)
    said = {child: os.read(read, 100).decode() for child, read in answers}
    os.close(ended), os.close(end)
    for child, read in answers:
        os.waitpid(child, 0)
        os.close(read)
    print(json.dumps(said), flush=True)
"""


@posix_only
def test_of_six_that_run_for_a_lock_one_has_it_and_the_others_name_it(tmp_path):
    path = tmp_path / ".running"
    done = subprocess.run(
        [sys.executable, "-c", RACE, str(path), "60"], capture_output=True, text=True, check=True
    )
    rounds = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rounds) == 60
    for said in rounds:
        winner = [pid for pid, answer in said.items() if answer == "mine"]
        assert len(winner) == 1
        assert [answer for answer in said.values() if answer != "mine"] == winner * 5
    assert not path.exists()


HOLDING = """
import pathlib, sys, time, zoo.locks
with zoo.locks.hold(pathlib.Path(sys.argv[1])):
    time.sleep(600)
"""


@posix_only
def test_the_lock_of_a_killed_process_is_free(tmp_path):
    path = tmp_path / ".running"
    process = subprocess.Popen([sys.executable, "-c", HOLDING, str(path)])
    while (holder := holder_of(path)) is None:
        assert process.poll() is None
        time.sleep(0.01)
    assert holder.pid == process.pid
    with pytest.raises(Held), hold(path):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    with hold(path):
        assert locks.holder_of(path).pid == os.getpid()
