"""The recorded truth: Deep Compression SqueezeNet over 200 photographs, image by image as in real Caffe."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from zoo.datasets import open_dataset
from zoo.evaluation.evaluate import evaluate, evaluate_and_write
from zoo.evaluation.job import Evaluation, Job
from zoo.evaluation.variants import Variant
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


def test_two_nets_in_one_pass_write_what_each_writes_alone(shared, model, tmp_path):
    """SqueezeNet, and the same with its kernels turned upside down; 40 photographs."""
    import onnx
    from onnx import numpy_helper

    sources = [model / "SqueezeNet_deploy.prototxt", model / "compressed_SqueezeNet.net"]
    nets = {"squeezenet": SourceNet(sources).converted("onnx", tmp_path / "cache")}
    changed = onnx.load(nets["squeezenet"])
    for tensor in changed.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.ndim == 4:
            flipped = np.ascontiguousarray(values[:, :, ::-1])
            tensor.CopyFrom(numpy_helper.from_array(flipped, tensor.name))
    nets["flipped"] = tmp_path / "flipped.onnx"
    onnx.save(changed, nets["flipped"])

    def evaluation(data, name, out):
        job = Job(net=nets[name], data=data, model=name, limit=40)
        return Evaluation(job, [Variant(SETTINGS)], [tmp_path / out / name])

    with open_dataset(shared / "imagenet-sample") as data:
        evaluate_and_write([evaluation(data, name, "together") for name in nets])
        for name in nets:
            evaluate_and_write([evaluation(data, name, "alone")])
    evidence = [
        [(tmp_path / out / name / "evidence.csv").read_bytes() for name in nets]
        for out in ("together", "alone")
    ]
    assert evidence[0] == evidence[1]
    assert evidence[0][0] != evidence[0][1]
