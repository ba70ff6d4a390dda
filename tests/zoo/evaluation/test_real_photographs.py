"""The recorded truth: Deep Compression SqueezeNet over 200 photographs, image by image as in real Caffe."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from zoo.datasets import open_dataset
from zoo.evaluation.evaluate import evaluate
from zoo.preprocessing.settings import Preprocessing
from zoo.runtimes import form_of
from zoo.store.converted import SourceNet

SETTINGS = Preprocessing(flavour="caffe-warp256", crop=227, mean=[104, 117, 123])


@pytest.fixture
def model(shared):
    return shared / "models" / "squeezenet-deep-compression"


@pytest.mark.parametrize("runtime", ["onnx", "openvino", "pytorch"])
def test_every_photograph_gets_the_five_classes_that_caffe_gave_it(shared, model, tmp_path, runtime):
    sources = [model / "SqueezeNet_deploy.prototxt", model / "compressed_SqueezeNet.net"]
    net = SourceNet(sources).converted(form_of(runtime), tmp_path)
    with open_dataset(shared / "imagenet-sample") as data:
        run = evaluate(net, data, SETTINGS, model="squeezenet-deep-compression", runtime=runtime)
    with (model / "imagenet-sample-top5.csv").open(newline="") as file:
        recorded = {line["file"]: line for line in csv.DictReader(file)}
    result, rows = run.result, run.rows
    assert (result.n, result.top1_correct, result.top5_correct) == (200, 135, 177)
    assert {row.image for row in rows} == set(recorded)
    for row in rows:
        line = recorded[row.image]
        assert row.label == int(line["label"])
        assert row.top5 == tuple(int(line[f"id{i}"]) for i in range(1, 6)), row.image
        np.testing.assert_allclose(row.scores, [float(line[f"score{i}"]) for i in range(1, 6)], rtol=2e-5)
