"""`dsd-zoo doctor`, and what helps at the prompt."""

from __future__ import annotations

import json

import onnxruntime
import pytest

from converters import extras
from zoo.runtimes import all_runtimes


def test_doctor_shows_versions_and_devices(dsd_zoo):
    outcome = dsd_zoo("doctor")
    assert (outcome.code, outcome.err) == (0, "")
    assert onnxruntime.__version__ in outcome.out
    assert all(runtime.label in outcome.out for runtime in all_runtimes().values())
    found = json.loads(dsd_zoo("doctor", "--json").out)
    assert {package["name"] for package in found["packages"]} == set(extras.NAMES.values())
    assert found["runtimes"]["onnx"]["installed"]
    assert found["runtimes"]["onnx"]["devices"][0] == "cpu"


def test_doctor_says_what_to_type_for_what_is_missing(dsd_zoo, monkeypatch):
    installed = extras.is_installed
    monkeypatch.setattr(extras, "is_installed", lambda module: module != "pyarrow" and installed(module))
    outcome = dsd_zoo("doctor")
    assert outcome.code == 0
    line = next(line for line in outcome.out.splitlines() if line.startswith("pyarrow"))
    assert line.split() == ["pyarrow", "missing", "pip", "install", '"dsd-zoo[data]"']


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands_and_options(dsd_zoo, monkeypatch, shell):
    monkeypatch.setenv("_DSD_ZOO_COMPLETE", f"source_{shell}")
    script = dsd_zoo().out
    assert "dsd-zoo" in script
    assert "_DSD_ZOO_COMPLETE" in script
    monkeypatch.setenv("_DSD_ZOO_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("COMP_WORDS", "dsd-zoo va")
    monkeypatch.setenv("COMP_CWORD", "1")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "dsd-zoo va")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    assert "validate" in dsd_zoo().out
