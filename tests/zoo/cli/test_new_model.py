"""A new model is one TOML file: every command finds it in a folder given with --manifests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from caffemodel_writer import write_caffemodel
from command_line import Run, runner

# The toy net finds a zero in every image, and so is right for these images of digits-test.
ZEROS = 46
DEFINITION = """
name: "Toy"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 32 dim: 32 } } }
layer { name: "score" type: "InnerProduct" bottom: "data" top: "score"
        inner_product_param { num_output: 10 } }
layer { name: "prob" type: "Softmax" bottom: "score" top: "prob" }
"""
MANIFEST = """
schema_version = 1
name = "toy"
title = "Toy"
summary = "One layer."
architecture = "toy"
recipe = "dense"
framework = "caffe"
dataset = "digits-test"
classes = 10
label_order = "digits"
input_shape = [3, 32, 32]
parameters = 30730
citation = "nobody"
license = {{name = "BSD-2-Clause"}}
preprocessing = {{flavour = "caffe-warp36", crop = 32, scale = 0.01}}

[[files]]
name = "toy.prototxt"
role = "definition"
path = "toy.prototxt"

[[files]]
name = "toy.caffemodel"
role = "weights"
urls = ["{url}"]
sha256 = "{sha256}"

[[claims]]
metric = "top1"
n = 500
correct = {correct}
published = "{percent} %"
percent = {percent}
source = "nowhere"
how = "a zero for every image"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the manifest and the definition; the weights lie where its URL leads."""
    arrays = [np.zeros((10, 3072), np.float32), np.eye(1, 10, dtype=np.float32)[0]]
    weights = write_caffemodel(tmp_path / "elsewhere.caffemodel", {"score": arrays})
    folder = tmp_path / "manifests"
    folder.mkdir()
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    (folder / "toy.toml").write_text(
        MANIFEST.format(correct=ZEROS, percent=ZEROS / 5, url=weights.as_uri(), sha256=sha256)
    )
    (folder / "toy.prototxt").write_text(DEFINITION)
    return folder


@pytest.fixture
def dsd_zoo(folder, tmp_path, monkeypatch, capsys) -> Run:
    """Runs a command with that folder of manifests, in an empty folder and with an empty cache."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    run = runner(monkeypatch, capsys)
    return lambda *arguments: run(*arguments, "--manifests", folder)


def test_every_command_takes_a_new_model(dsd_zoo: Run) -> None:
    listed = {entry["name"]: entry for entry in json.loads(dsd_zoo("list", "--json").out)}
    assert listed["toy"]["files"] == {"here": 1, "shipped": 1, "total": 2}
    assert listed["toy"]["claims"] == {"top1": {"percent": ZEROS / 5, "correct": ZEROS, "n": 500}}
    shown = dsd_zoo("show", "toy").out
    assert "images         500 test images of handwritten digits (ship with the zoo)" in shown
    assert "output         10 classes, the digits in order" in shown

    fetched = dsd_zoo("fetch", "toy")
    assert fetched.code == 0, fetched.err
    verified = dsd_zoo("verify", "toy")
    assert verified.code == 0, verified.out
    kinds = [line.split()[0] for line in verified.out.splitlines()[1:]]
    assert kinds == ["integrity", "integrity", "structure", "parity"]
    assert dsd_zoo("inspect", "toy").code == 0

    assert dsd_zoo("convert", "toy", "-o", "toy.onnx").code == 0
    (labels,) = [
        entry.value for entry in onnx.load("toy.onnx").metadata_props if entry.key == "dsd-zoo.labels"
    ]
    assert json.loads(labels) == [str(digit) for digit in range(10)]

    validated = dsd_zoo("validate", "toy")
    assert validated.code == 0, validated.err
    (audit,) = json.loads(dsd_zoo("audit", "toy", "--json").out)
    (claim,) = audit["claims"]
    assert [(run["correct"], run["n"]) for run in claim["measurements"]] == [(ZEROS, 500)]
    assert claim["verdict"] == "agrees"
