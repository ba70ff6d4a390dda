"""Every kind of source gives the recorded results: counts of the digits, five classes of the photographs."""

from __future__ import annotations

import csv

import pytest
from image_sources import FORMS, write

from zoo.bundled import embedded_images
from zoo.catalog.catalog import Catalog
from zoo.datasets import open_dataset
from zoo.evaluation.evaluate import evaluate
from zoo.preprocessing.settings import Preprocessing
from zoo.store.converted import SourceNet


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def digits():
    with open_dataset(embedded_images("digits-test")) as data:
        return [(sample.id, sample.label, sample.read()) for sample in data]


@pytest.mark.parametrize("form", FORMS)
def test_every_source_gives_the_same_counts_of_the_digits(tmp_path, cache, digits, form):
    manifest = Catalog.load().get("digits-caffe-dsd")
    sources = [manifest.directory / file.path for file in manifest.source_files()]
    with open_dataset(write(form, tmp_path, digits, manifest.preprocessing.flavour)) as data:
        assert data.name == "digits-test"
        for runtime in ("onnx", "pytorch"):
            net = SourceNet(sources, image_shape=manifest.input_shape).converted(runtime, cache)
            run = evaluate(net, data, manifest.preprocessing, model="m", runtime=runtime)
            result = run.result
            assert (result.n, result.top1_correct, result.top5_correct) == (500, 492, 500)
            assert {row.image.rpartition("/")[2] for row in run.rows} == {name for name, _, _ in digits}


def test_the_lmdb_that_caffe_tested_gives_the_same_counts(shared, cache):
    """Raw pixels as convert_imageset wrote them, under the flavour that made them and under none."""
    manifest = Catalog.load().get("digits-caffe-dsd")
    sources = [manifest.directory / file.path for file in manifest.source_files()]
    net = SourceNet(sources, image_shape=manifest.input_shape).converted("onnx", cache)
    stored = manifest.preprocessing.model_copy(update={"flavour": "caffe-stored"})
    with open_dataset(shared / "demo" / "caffe" / "digits_test_lmdb") as data:
        runs = [evaluate(net, data, settings, model="m") for settings in (manifest.preprocessing, stored)]
    assert [(run.result.dataset, run.result.top1_correct) for run in runs] == [("digits-test", 492)] * 2
    assert runs[0].rows == runs[1].rows


@pytest.mark.parametrize("form", FORMS)
def test_photographs_get_the_five_classes_that_caffe_gave_them(shared, tmp_path, cache, form):
    model = shared / "models" / "squeezenet-deep-compression"
    sources = [model / "SqueezeNet_deploy.prototxt", model / "compressed_SqueezeNet.net"]
    net = SourceNet(sources).converted("onnx", cache)
    with (model / "imagenet-sample-top5.csv").open(newline="") as file:
        recorded = {line["file"]: line for line in csv.DictReader(file)}
    with open_dataset(shared / "imagenet-sample") as data:
        photographs = [(sample.id, sample.label, sample.read()) for sample in data.samples[::10]]
    settings = Preprocessing(flavour="caffe-warp256", crop=227, mean=[104, 117, 123])
    with open_dataset(write(form, tmp_path, photographs, settings.flavour)) as data:
        rows = evaluate(net, data, settings, model="squeezenet").rows
    assert len(rows) == 20
    for row in rows:
        line = recorded[row.image.rpartition("/")[2]]
        assert row.top5 == tuple(int(line[f"id{i}"]) for i in range(1, 6)), row.image
