"""A dataset source, a flavour and a runtime are one file each: a copy of zoo/ with three files more."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from colour_net import save_net

CHECKOUT = Path(__file__).resolve().parents[2]

SOURCE = '''
"""Lines "LABEL BLUE GREEN RED": images of one colour."""

from zoo.datasets.registry import register_source
from zoo.datasets.source import Record, Records


@register_source
class Colours(Records):
    kind = "colour file"
    description = "a file of colours"
    labels_source = "the colour file"

    def __init__(self, path):
        self.lines = [tuple(map(int, line.split())) for line in path.read_text().splitlines()]
        self.records = [Record(f"colour{i}", line[0]) for i, line in enumerate(self.lines)]

    @classmethod
    def accepts(cls, path):
        return path.suffix == ".colours"

    def read(self, index):
        import cv2
        import numpy as np

        pixels = np.full((6, 9, 3), self.lines[index][1:], np.uint8)
        return cv2.imencode(".png", pixels)[1].tobytes()

    def close(self):
        pass
'''
FLAVOUR = '''
"""Resized to the nearest pixel."""

from zoo.preprocessing.caffe import CaffeImages
from zoo.preprocessing.registry import register_flavour


@register_flavour
class NearestWarp(CaffeImages):
    family = "nearest-warp"

    def resized(self, height, width):
        return self.size, self.size

    def scale(self, pixels):
        import cv2

        return cv2.resize(pixels, (self.size, self.size), interpolation=cv2.INTER_NEAREST)
'''
RUNTIME = '''
"""Scores are mean colours, whatever the net."""

from zoo.runtimes.ranking import rank_scores
from zoo.runtimes.registry import register_runtime
from zoo.runtimes.runtime import Runtime


@register_runtime
class MeanColour(Runtime):
    label = "Mean Colour"
    form = "onnx"
    packages = ("meancolour",)
    precisions = {"cpu": ("float32",)}

    def __init__(self, net, device="cpu", scores=None, threads=None, precision="float32"):
        self.input_shape, self.batch, self.at_once = (3, None, None), None, 1

    def run(self, batch):
        return batch.mean((2, 3))

    def rank(self, batch, labels):
        return rank_scores(self.run(batch)[: len(labels)], labels)

    def describe(self):
        return {"meancolour": "1.0"}

    def close(self):
        pass
'''


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of zoo/ with the three files."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(CHECKOUT / "zoo", folder / "zoo", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("converters", "manifests"):
        (folder / name).symlink_to(CHECKOUT / name)
    (folder / "zoo/datasets/sources/colours.py").write_text(SOURCE)
    (folder / "zoo/preprocessing/flavours/nearest_warp.py").write_text(FLAVOUR)
    (folder / "zoo/runtimes/backends/meancolour.py").write_text(RUNTIME)
    return folder


def dsd_zoo(checkout: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "zoo", *map(str, arguments)],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_lists_the_new_runtime_and_the_new_source(checkout):
    printed = dsd_zoo(checkout, "validate", "--help").stdout
    assert "meancolour|" in printed
    assert "colour file, " in " ".join(printed.split())


def test_errors_list_all_three(checkout, tmp_path):
    net = save_net(tmp_path / "net.onnx")
    (tmp_path / "data.bin").write_bytes(b"?")
    data = tmp_path / "data.bin"
    images = ("--data", data, "--flavour", "nearest-warp8", "--crop", 8, "--mean", "none")
    wrong = dsd_zoo(checkout, "validate", net, *images)
    assert wrong.returncode == 2
    assert "a file of colours, " in " ".join(wrong.stderr.split())
    wrong = dsd_zoo(checkout, "pack", "--data", data, "--flavour", "nearest8", "-o", tmp_path / "packed")
    assert "nearest-warp256" in wrong.stderr
    wrong = dsd_zoo(checkout, "validate", net, "--runtime", "tensorrt")
    assert "'meancolour', " in wrong.stderr


def test_a_run_with_all_three(checkout, tmp_path):
    net = save_net(tmp_path / "net.onnx")
    (tmp_path / "data.colours").write_text("0 200 10 10\n1 10 200 10\n2 10 10 200\n2 200 10 10\n")
    outcome = dsd_zoo(
        checkout,
        *("validate", net, "--data", tmp_path / "data.colours", "--flavour", "nearest-warp8", "--crop", 8),
        *("--mean", "none"),
        *("--runtime", "meancolour", "--out", tmp_path / "run"),
    )
    assert outcome.returncode == 0, outcome.stderr
    assert "Mean Colour" in outcome.stdout
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["n"], result["top1_correct"]) == (4, 3)
    assert (result["runtime"], result["flavour"]) == ("meancolour", "nearest-warp8")
    assert (result["labels"], result["environment"]["meancolour"]) == ("the colour file", "1.0")
