"""Two runs into one folder: one works, the other says who does, before it reads anything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from zoo.errors import UsageError
from zoo.evaluation.folders import LOCK_NAME, hold_folders
from zoo.locks import holder_of

# Does not rank the first batch before the file exists.
WAITING = """
import pathlib, sys, time
import zoo.evaluation.batches
rows, go = zoo.evaluation.batches._rows, pathlib.Path(sys.argv.pop())

def wait(*arguments):
    while not go.exists():
        time.sleep(0.01)
    return rows(*arguments)

zoo.evaluation.batches._rows = wait
from zoo.cli.main import main
sys.argv[0] = "dsd-zoo"
main()
"""


def test_a_folder_that_is_held_is_refused_with_who_holds_it(tmp_path):
    folders = [tmp_path / "out", tmp_path / "out" / "caffe-short36"]
    said = rf"another run writes there: process {os.getpid()} on .*\n.*--out"
    for other in (folders[:1], folders[1:], folders[::-1]):
        with hold_folders(folders):
            with (
                pytest.raises(UsageError, match=said),
                hold_folders(other),
            ):
                pass
            assert holder_of(folders[0] / LOCK_NAME).pid == os.getpid()
        assert list(tmp_path.iterdir()) == []


def test_only_what_was_created_and_left_empty_is_removed(tmp_path):
    (tmp_path / "there").mkdir()
    with hold_folders([tmp_path / "there", tmp_path / "a" / "b"]):
        (tmp_path / "a" / "file").write_text("")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "file", "there"]


def test_a_folder_that_cannot_be_created_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UsageError, match="file/out: the evidence cannot be written: Not a directory"),
        hold_folders([tmp_path / "file" / "out"]),
    ):
        pass


@pytest.mark.skipif(os.name != "posix", reason="kills")
def test_the_second_of_two_commands_says_who_the_first_is(tmp_path):
    out, go = tmp_path / "out", tmp_path / "go"
    environment = {**os.environ, "DSD_ZOO_CACHE": str(tmp_path / "cache")}
    arguments = ["validate", "digits-caffe-dsd", "--limit", "50", "--out", str(out)]

    def command(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "zoo", *arguments, *more],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", WAITING, *arguments, str(go)], env=environment, stdout=subprocess.DEVNULL
        )
        while (holder := holder_of(out / LOCK_NAME)) is None or holder.pid != process.pid:
            assert process.poll() is None
            time.sleep(0.01)
        return process

    first = start()
    # Also where the images are none, and with --resume: nothing else is looked at before.
    for more in ((), ("--resume",), ("--data", str(tmp_path / "nowhere"))):
        second = command(*more)
        assert (second.returncode, second.stdout) == (2, "")
        assert f"{out}: another run writes there: process {first.pid} on " in second.stderr
    first.send_signal(signal.SIGKILL)
    first.wait()
    # The lock ended with its process, and the file that it left is no obstacle.
    third = start()
    assert command().returncode == 2
    go.write_text("")
    assert third.wait() == 0
    assert sorted(path.name for path in out.iterdir()) == ["evidence.csv", "result.json"]
    assert command().returncode == 0


def test_the_python_api_holds_the_folder_too(tmp_path):
    import zoo

    with hold_folders([tmp_path]), pytest.raises(UsageError, match="another run writes there"):
        zoo.evaluate("digits-caffe-dsd", limit=5, out=tmp_path)
