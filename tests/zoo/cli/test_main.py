"""What all commands share: help, version, errors, exit codes, output."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import converters
from zoo.catalog.catalog import Catalog
from zoo.cli.command import all_commands


def test_help_lists_the_commands_and_every_command_has_help(dsd_zoo):
    assert dsd_zoo("--help").code == 0
    overview = dsd_zoo("--help").out
    for name in all_commands():
        outcome = dsd_zoo(name, "--help")
        assert f"\n  {name} " in overview
        assert outcome.code == 0
        assert f"Usage: dsd-zoo {name}" in outcome.out


def test_version(dsd_zoo):
    outcome = dsd_zoo("--version")
    assert (outcome.code, outcome.out) == (0, f"dsd-zoo {converters.__version__}\n")


@pytest.mark.parametrize("command", ["show", "fetch", "verify"])
def test_an_unknown_model_is_one_block_on_stderr(dsd_zoo, command):
    outcome = dsd_zoo(command, "squeeznet-dsd")
    assert outcome.code == 2
    assert outcome.err.startswith(
        "dsd-zoo: no model is called 'squeeznet-dsd'\n  did you mean squeezenet-dsd"
    )
    assert "Traceback" not in outcome.err
    assert outcome.out == ""


@pytest.mark.parametrize("command", [("convert", "-o", "net.onnx"), ("validate",), ("inspect",)])
def test_a_models_name_with_a_dot_is_no_file(dsd_zoo, command):
    outcome = dsd_zoo(*command, "squeezenet-v1.0")
    assert outcome.code == 2
    assert "run: dsd-zoo fetch squeezenet-v1.0" in outcome.err


@pytest.mark.parametrize("command", [("convert", "-o", "net.onnx"), ("verify",)])
def test_a_name_that_is_neither_file_nor_model_is_refused(dsd_zoo, command):
    slip = dsd_zoo(*command, "squeezenet-v1.o")
    assert slip.code == 2
    assert "no such file: squeezenet-v1.o, nor is a model called so" in slip.err
    assert "did you mean squeezenet-v1.1 or squeezenet-v1.0" in slip.err
    elsewhere = dsd_zoo(*command, "nowhere/net.t7")
    assert (elsewhere.code, elsewhere.err) == (2, "dsd-zoo: no such file: nowhere/net.t7\n")


def test_debug_shows_the_traceback_and_keeps_the_exit_code(dsd_zoo):
    outcome = dsd_zoo("--debug", "show", "nothing")
    assert outcome.code == 2
    assert "Traceback" in outcome.err


def test_a_wrong_option_is_a_usage_error(dsd_zoo):
    outcome = dsd_zoo("list", "--nonsense")
    assert outcome.code == 2
    assert "No such option: --nonsense" in outcome.err


def test_an_internal_error_is_reported_as_one(dsd_zoo, monkeypatch):
    monkeypatch.setattr(Catalog, "load", lambda extra: 1 / 0)
    outcome = dsd_zoo("list")
    assert outcome.code == 2
    assert outcome.err.startswith("dsd-zoo: internal error: ZeroDivisionError")
    assert "Traceback" not in outcome.err


def test_a_system_error_names_the_file_and_no_number(dsd_zoo, monkeypatch, tmp_path):
    monkeypatch.setattr(Catalog, "load", lambda extra: (tmp_path / "gone").read_bytes())
    assert dsd_zoo("list").err == f"dsd-zoo: {tmp_path / 'gone'}: No such file or directory\n"


def test_names_that_stdout_cannot_encode_are_escaped(tmp_path):
    (tmp_path / "nét").write_bytes(b"x")
    for arguments, shown in (["verify", "nét"], "n\\xe9t\n"), (["show", "digits-caffe-dsd", "--json"], "{\n"):
        done = subprocess.run(
            [sys.executable, "-m", "zoo", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            capture_output=True,
            text=True,
        )
        assert done.stderr == ""
        assert done.stdout.startswith(shown)


@pytest.mark.parametrize("command", [("show", "vgg16-dsd"), ("audit", "--json"), ("list",)])
def test_a_closed_pipe_has_its_own_exit_code(command, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        run = subprocess.run(
            [sys.executable, "-m", "zoo", *command],
            stdout=pipe,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            check=False,
        )
    assert (run.returncode, run.stderr) == (141, b"")
    closed = subprocess.run(["sh", "-c", f"{sys.executable} -m zoo {' '.join(command)} >&-"], check=False)
    assert closed.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device that is always full")
@pytest.mark.parametrize("arguments", [["list"], ["--help"], ["schema"]])
def test_a_full_disk_behind_a_pipe_is_named(arguments):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "zoo", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("dsd-zoo: standard output: No space left on device\n")
    assert "Traceback" not in done.stderr
