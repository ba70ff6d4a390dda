"""What `validate`, `verify`, `convert` and `audit` do with nets of other tasks and other orders of labels."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from caffemodel_writer import write_caffemodel

from zoo.bundled import imagenet_synsets
from zoo.catalog.catalog import Catalog

CLASSIFIER = """
schema_version = 1
name = "tiny"
title = "Tiny"
summary = "A net for tests."
architecture = "tiny"
recipe = "mine"
framework = "caffe"
dataset = "ilsvrc2015-val"
classes = 1000
label_order = "ilsvrc2015"
input_shape = [3, 8, 8]
citation = "nobody"
license = { name = "MIT" }
preprocessing = { flavour = "caffe-warp8", crop = 8 }
"""
DETECTOR = """
schema_version = 1
name = "boxes"
title = "Boxes"
summary = "A net with two inputs and two outputs."
architecture = "boxes"
recipe = "mine"
framework = "caffe"
task = "object-detection"
classes = 21
label_order = "voc-with-background"
citation = "nobody"
license = { name = "MIT" }
[[inputs]]
name = "data"
shape = [3, 8, 8]
layout = "CHW"
channels = "BGR"
range = [0, 255]
[[inputs]]
name = "im_info"
shape = [3]
description = "height, width, scale"
[[outputs]]
name = "scores"
description = "scores of the classes"
[[outputs]]
name = "size"
description = "the size of the image"
[[reported]]
metric = "mAP"
published = "0.5"
images = "Pascal VOC 2007, test"
who = "nobody"
source = "https://example.org/results"
"""
ONE_INPUT = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "scores"
  inner_product_param { num_output: 1000 } }
"""
TWO_INPUTS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "info" type: "Input" top: "im_info" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "scores" inner_product_param { num_output: 21 } }
layer { name: "size" type: "Power" bottom: "im_info" top: "size" power_param { scale: 2 } }
"""
SYNSETS = ["n01440764", "n02119789", "n03000684"]


def make_model(folder: Path, manifest: str, definition: str, outputs: int) -> Path:
    """The folder of a manifest with a definition and random weights, which lie at file:// URLs."""
    folder.mkdir()
    random = np.random.default_rng(0)
    weights = [random.standard_normal((outputs, 192), np.float32), np.zeros(outputs, np.float32)]
    write_caffemodel(folder / "net.caffemodel", {"ip": weights})
    (folder / "net.prototxt").write_text(definition)
    blocks = []
    for name, role in (("net.prototxt", "definition"), ("net.caffemodel", "weights")):
        content = (folder / name).read_bytes()
        hashes = f"sha384 = '{hashlib.sha384(content).hexdigest()}'\nbytes = {len(content)}\n"
        url = (folder / name).as_uri()
        blocks.append(f"[[files]]\nname = '{name}'\nrole = '{role}'\n{hashes}urls = ['{url}']\n")
    name = manifest.split('name = "')[1].split('"')[0]
    (folder / f"{name}.toml").write_text(manifest + "".join(blocks))
    return folder


@pytest.fixture
def classifier(tmp_path):
    return make_model(tmp_path / "models", CLASSIFIER, ONE_INPUT, 1000)


@pytest.fixture
def detector(tmp_path):
    return make_model(tmp_path / "models", DETECTOR, TWO_INPUTS, 21)


@pytest.fixture
def images(tmp_path):
    """Three images with names that begin with their synsets."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number, synset in enumerate(SYNSETS):
        cv2.imwrite(str(folder / f"{synset}_{number}.png"), np.full((8, 8, 3), 40 * number, np.uint8))
    return folder


def labels_of_2015(images: Path) -> str:
    """In the order of ILSVRC2015: its ids minus 1, of tench, kit fox and chain saw (map_clsloc.txt)."""
    numbers = {"n01440764": 449 - 1, "n02119789": 1 - 1, "n03000684": 382 - 1}
    return "".join(f"{path.name} {numbers[path.name[:9]]}\n" for path in sorted(images.iterdir()))


def sorted_labels(images: Path) -> str:
    synsets = imagenet_synsets()
    return "".join(f"{path.name} {synsets[path.name[:9]]}\n" for path in sorted(images.iterdir()))


@pytest.mark.parametrize("listed", [False, True])
def test_labels_in_another_order_than_the_nets_are_refused(dsd_zoo, classifier, images, tmp_path, listed):
    options = []
    if listed:
        (tmp_path / "sorted.txt").write_text(sorted_labels(images))
        options = ["--labels", tmp_path / "sorted.txt"]
    assert dsd_zoo("fetch", "tiny", "--manifests", classifier).code == 0
    out = tmp_path / "run"
    refused = dsd_zoo("validate", "tiny", "--data", images, "--manifests", classifier, "--out", out, *options)
    assert refused.code == 2
    assert "tiny has 1000 classes, in the order of ILSVRC2015's development kit" in refused.err
    assert "are of 1000 classes, in the sorted order of their synset ids" in refused.err
    assert "ILSVRC2012_validation_ground_truth.txt" in refused.err
    assert not out.exists()


def test_labels_in_the_nets_own_order_are_counted(dsd_zoo, classifier, images, tmp_path):
    (tmp_path / "labels.txt").write_text(labels_of_2015(images))
    dsd_zoo("fetch", "tiny", "--manifests", classifier)
    options = ["--data", images, "--labels", tmp_path / "labels.txt", "--out", tmp_path / "run"]
    done = dsd_zoo("validate", "tiny", "--manifests", classifier, *options)
    assert done.code == 0, done.err
    rows = (tmp_path / "run" / "evidence.csv").read_text()
    assert "n02119789_1.png,0," in rows
    assert "n01440764_0.png,448," in rows


def test_nets_in_sorted_order_refuse_labels_of_2015(dsd_zoo, tmp_path, images):
    text = CLASSIFIER.replace("ilsvrc2015-val", "ilsvrc2012-val").replace('"ilsvrc2015"', '"sorted-synsets"')
    folder = make_model(tmp_path / "models", text, ONE_INPUT, 1000)
    (tmp_path / "labels.txt").write_text(labels_of_2015(images))
    dsd_zoo("fetch", "tiny", "--manifests", folder)
    refused = dsd_zoo(
        "validate", "tiny", "--data", images, "--labels", tmp_path / "labels.txt", "--manifests", folder
    )
    assert refused.code == 2
    assert "so the net would be right by chance only\n  give a list of labels in the order of" in refused.err


UNCOUNTED = sorted(manifest.name for manifest in Catalog.load() if not manifest.is_counted)


@pytest.mark.parametrize("command", ["validate", "bench"])
@pytest.mark.parametrize("name", UNCOUNTED[::5])
def test_a_net_for_another_task_is_refused_before_its_files_are_asked_for(dsd_zoo, command, name):
    refused = dsd_zoo(command, name, "--data", ".")
    assert refused.code == 2
    assert refused.err.startswith(f"dsd-zoo: {name} cannot be counted: it is a net for ")
    assert f"dsd-zoo show {name}" in refused.err
    assert "fetch" not in refused.err


def test_a_detector_is_fetched_verified_converted_and_audited(dsd_zoo, detector, tmp_path):
    own = ["--manifests", detector]
    assert dsd_zoo("fetch", "boxes", *own).code == 0
    verified = dsd_zoo("verify", "boxes", *own)
    assert verified.code == 0, verified.out
    assert "structure  net: ok: 2 layers, 4,053 parameters" in verified.out
    assert "parity     onnx and pytorch: ok: largest difference on random input" in verified.out
    net = tmp_path / "net.onnx"
    assert dsd_zoo("convert", "boxes", "-o", net, *own).code == 0
    metadata = {entry.key: entry.value for entry in onnx.load(net).metadata_props}
    assert json.loads(metadata["dsd-zoo.task"]) == "object-detection"
    assert json.loads(metadata["dsd-zoo.labels"])[:2] == ["background", "aeroplane"]
    assert [given["name"] for given in json.loads(metadata["dsd-zoo.inputs"])] == ["data", "im_info"]
    audited = dsd_zoo("audit", "boxes", *own)
    assert audited.code == 0
    assert "What was reported for boxes cannot be checked: dsd-zoo show boxes" in audited.out
    assert "CLAIMED" not in audited.out


def test_a_detector_with_other_inputs_than_its_manifest_says_is_found(dsd_zoo, tmp_path):
    folder = make_model(tmp_path / "models", DETECTOR.replace("[3, 8, 8]", "[3, 9, 8]"), TWO_INPUTS, 21)
    dsd_zoo("fetch", "boxes", "--manifests", folder)
    verified = dsd_zoo("verify", "boxes", "--manifests", folder)
    assert verified.code == 1
    assert "the input is 3x8x8, 3 per image, the manifest says 3x9x8, 3" in verified.out


def test_the_real_mtcnn_is_known_and_runs(dsd_zoo, shared, tmp_path):
    """Three real nets with several outputs, from a folder that serves as mirror."""
    mirror = tmp_path / "mirror"
    for letter, number in (("p", 1), ("r", 2), ("o", 3)):
        place = mirror / f"mtcnn-{letter}"
        place.mkdir(parents=True)
        for ending in ("prototxt", "caffemodel"):
            source = shared / "models" / f"mtcnn-det{number}" / f"net.{ending}"
            (place / f"det{number}.{ending}").write_bytes(source.read_bytes())
    models = ["mtcnn-p", "mtcnn-r", "mtcnn-o"]
    fetched = dsd_zoo("fetch", *models, "--mirror", mirror, "--offline")
    assert fetched.code == 0
    assert fetched.out.count("pinned, from file://") == 6
    verified = dsd_zoo("verify", *models)
    assert verified.code == 0, verified.out
    assert verified.out.count("parity     onnx and pytorch: ok") == 3
    assert dsd_zoo("list", "--search", "mtcnn").out.count("2 of 2") == 3


def test_a_classifier_whose_input_is_told_in_words_needs_the_options_that_say_it(dsd_zoo, tmp_path, images):
    words = '[[inputs]]\nname = "data"\nshape = [3, 8, 8]\nlayout = "CHW"\nchannels = "BGR"\n'
    start, end = CLASSIFIER.index("input_shape"), CLASSIFIER.index("citation")
    text = CLASSIFIER[:start] + CLASSIFIER[end:].replace(
        'preprocessing = { flavour = "caffe-warp8", crop = 8 }\n', words
    )
    folder = make_model(tmp_path / "models", text, ONE_INPUT, 1000)
    (tmp_path / "labels.txt").write_text(labels_of_2015(images))
    dsd_zoo("fetch", "tiny", "--manifests", folder)
    options = ["--data", images, "--labels", tmp_path / "labels.txt", "--manifests", folder]
    refused = dsd_zoo("validate", "tiny", *options)
    assert refused.code == 2
    assert "how images become this net's input is not known: give --flavour and --crop" in refused.err
    assert "what is known of it, in words: dsd-zoo show tiny" in refused.err
    chosen = ["--flavour", "caffe-warp8", "--crop", "8", "--mean", "none", "--out", tmp_path / "run"]
    done = dsd_zoo("validate", "tiny", *options, *chosen)
    assert done.code == 0, done.err
    assert dsd_zoo("verify", "tiny", "--manifests", folder).code == 0
