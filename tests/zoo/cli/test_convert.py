"""Requests that `dsd-zoo convert` refuses."""

from __future__ import annotations

import sys

import pytest
from corpus_cases import CORPUS

from zoo.cli.main import main

NET = CORPUS / "torch7" / "Sequential" / "net.t7"


@pytest.fixture
def convert(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["dsd-zoo", "convert", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code, capsys.readouterr().err

    return run


def test_an_empty_output_path_is_refused(convert, tmp_path):
    code, error = convert(NET, "-o", "")
    assert code == 2
    assert "-o is empty; expected NET.onnx" in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "option",
    [
        ("--link",),
        ("--external",),
        ("--opset", "17"),
        ("--output", "fc"),
        ("--input-shape", "input=N,3"),
        ("--static-batch", "2"),
        ("--stage", "deploy"),
        ("--level", "1"),
        ("--ignore-field", "x"),
        ("--fold",),
        ("--embed-preprocessing",),
        ("--select", "model"),
    ],
)
def test_options_of_a_net_are_refused_for_tensors_alone(convert, tmp_path, option):
    code, error = convert(NET, "-o", "data.safetensors", *option)
    assert code == 2
    assert (
        f"data.safetensors: takes the tensors of a .t7 as they are, and {option[0]} is about a net" in error
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", [".onnx", ".py", ".safetensors"])
def test_an_output_path_that_is_only_an_ending_is_refused(convert, tmp_path, ending):
    code, error = convert(NET, "-o", ending)
    assert code == 2
    assert f"{ending}: is an ending without a name; expected one such as net{ending}" in error
    assert not list(tmp_path.iterdir())
