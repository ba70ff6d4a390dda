"""Requests that `dsd-zoo convert` refuses, and mean images."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from corpus_cases import CORPUS, run_onnx

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
        ("--mean-image", "mean.npy"),
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


def test_the_mean_image_of_a_definition_is_asked_for_and_embedded(convert, tmp_path):
    text = (CORPUS / "caffe" / "tv-softmaxloss-data" / "net.prototxt").read_text()
    lines = [line for line in text.splitlines() if "mean_value" not in line]
    lines = [line.replace("crop_size: 14", 'crop_size: 14 mean_file: "mean.npy"') for line in lines]
    (tmp_path / "net.prototxt").write_text("\n".join(lines))
    weights = CORPUS / "caffe" / "tv-softmaxloss-data" / "net.caffemodel"
    code, error = convert("net.prototxt", weights, "-o", "net.onnx", "--embed-preprocessing")
    assert code == 2
    assert "this net subtracts a mean image (mean.npy); give its file: --mean-image FILE" in error

    rng = np.random.default_rng(0)
    mean, pixels = rng.uniform(0, 255, (3, 16, 16)), rng.integers(0, 256, (2, 3, 14, 14)).astype(np.float32)
    np.save(tmp_path / "mean.npy", mean)
    code, error = convert(
        "net.prototxt", weights, "-o", "net.onnx", "--embed-preprocessing", "--mean-image", "mean.npy"
    )
    assert (code, error) == (0, "")
    assert convert("net.prototxt", weights, "-o", "plain.onnx") == (0, "")
    prepared = (pixels - mean[:, 1:15, 1:15].astype(np.float32)) * np.float32(0.0078125)
    embedded = run_onnx(tmp_path / "net.onnx", {"data": pixels})["prob"]
    np.testing.assert_allclose(
        embedded, run_onnx(tmp_path / "plain.onnx", {"data": prepared})["prob"], rtol=1e-5
    )


def test_an_unreadable_mean_image_is_named(convert, tmp_path):
    (tmp_path / "mean.npy").write_bytes(b"no image")
    code, error = convert(
        CORPUS / "caffe" / "relu-slope" / "net.prototxt",
        "-o",
        "net.onnx",
        "--embed-preprocessing",
        "--mean-image",
        "mean.npy",
    )
    assert code != 0
    assert "mean.npy: expected a mean image as .npy or .binaryproto" in error
    assert not (tmp_path / "net.onnx").exists()
