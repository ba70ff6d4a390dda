"""What a manifest says of the task, the inputs and the outputs of a net, and what of it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.catalog.manifest import Manifest
from zoo.catalog.metadata import metadata_of
from zoo.errors import UsageError

HEAD = """
schema_version = 1
name = "tiny"
title = "Tiny"
summary = "A net for tests."
architecture = "tiny"
recipe = "mine"
framework = "caffe"
citation = "nobody"
license = { name = "MIT" }
"""
WEIGHTS = """
[[files]]
name = "tiny.caffemodel"
role = "weights"
"""
DETECTOR = 'task = "object-detection"\nclasses = 21\nlabel_order = "voc-with-background"\n'
CLASSIFIER = 'dataset = "digits-test"\nclasses = 10\n'
IMAGE = """
[[inputs]]
name = "data"
shape = [3, 300, 200]
layout = "CHW"
channels = "BGR"
range = [0, 255]
mean = [104.0, 117.0, 123.0]
scale = 0.5
description = "not cropped"
"""
INFO = '[[inputs]]\nname = "im_info"\n'
BOXES = '[[outputs]]\nname = "boxes"\ndescription = "one row per box"\n'
FLAVOUR = 'input_shape = [3, 32, 32]\npreprocessing = { flavour = "caffe-warp36", crop = 32 }\n'
CLAIM = """
[[claims]]
metric = "top1"
n = 500
published = "98 %"
percent = 98.0
source = "log"
how = "counted"
"""


def read(folder: Path, *parts: str) -> Manifest:
    path = folder / "tiny.toml"
    path.write_text("".join([HEAD, *parts]), encoding="utf-8")
    return Manifest.read(path)


def test_a_detector_says_what_it_takes_and_gives(tmp_path):
    manifest = read(tmp_path, DETECTOR, IMAGE, BOXES, WEIGHTS)
    assert not manifest.is_counted
    assert (manifest.dataset, manifest.preprocessing, manifest.input_shape) == (None, None, None)
    assert manifest.image_shape == [3, 300, 200]
    (given,) = manifest.inputs
    assert (given.name, given.channels, given.range) == ("data", "BGR", [0.0, 255.0])
    metadata = metadata_of(manifest)
    assert (metadata["task"], metadata["preprocessing"]) == ("object-detection", None)
    assert metadata["inputs"][0]["mean"] == [104.0, 117.0, 123.0]
    assert metadata["outputs"] == [{"name": "boxes", "description": "one row per box"}]
    assert metadata["labels"][:2] == ["background", "aeroplane"]


def test_several_inputs_have_no_single_shape(tmp_path):
    manifest = read(tmp_path, DETECTOR, IMAGE, INFO, BOXES, WEIGHTS)
    assert manifest.image_shape is None
    assert manifest.input_shapes() == [[3, 300, 200], None]


def test_a_manifest_without_a_task_is_a_classifier(tmp_path):
    manifest = read(tmp_path, CLASSIFIER, FLAVOUR, WEIGHTS)
    assert (manifest.task, manifest.is_counted) == ("classification", True)
    assert manifest.input_shapes() == [[3, 32, 32]]


def test_a_classifier_may_say_in_words_how_its_input_is_made(tmp_path):
    manifest = read(tmp_path, CLASSIFIER, IMAGE, WEIGHTS)
    assert manifest.is_counted
    assert manifest.preprocessing is None


@pytest.mark.parametrize(
    ("parts", "field", "message"),
    [
        (
            (DETECTOR, IMAGE, WEIGHTS),
            "manifest",
            "[[outputs]] is missing: say what a net for object-detection",
        ),
        ((DETECTOR, BOXES, WEIGHTS), "manifest", "expected input_shape with preprocessing, or [[inputs]]"),
        ((DETECTOR, IMAGE, BOXES, WEIGHTS, CLAIM), "manifest", "claims: of a net for object-detection"),
        ((DETECTOR, 'dataset = "digits-test"', IMAGE, BOXES, WEIGHTS), "manifest", "dataset: of a net for"),
        ((CLASSIFIER, FLAVOUR, IMAGE, WEIGHTS), "manifest", "[[inputs]] and input_shape and preprocessing"),
        (("classes = 10\n", FLAVOUR, WEIGHTS), "manifest", "dataset: missing; needed for classification"),
        (
            (CLASSIFIER, "input_shape = [3, 32, 32]\n", WEIGHTS),
            "manifest",
            "expected input_shape with prepro",
        ),
        (
            (DETECTOR.replace("21", "20"), IMAGE, BOXES, WEIGHTS),
            "manifest",
            "is one of 21 classes, not of 20",
        ),
        ((DETECTOR, IMAGE, IMAGE, BOXES, WEIGHTS), "manifest", "input given twice: data"),
        ((DETECTOR, IMAGE, BOXES, BOXES, WEIGHTS), "manifest", "output given twice: boxes"),
        (('task = "detection"\n', IMAGE, BOXES, WEIGHTS), "task", "no task of that name is known: expected"),
        (
            ('dataset = "imagenet"\nclasses = 10\n', FLAVOUR, WEIGHTS),
            "dataset",
            "no dataset of that name is known: expected one of 'ilsvrc2012-val', ",
        ),
        ((DETECTOR, IMAGE.replace('"CHW"', '"NCHW"'), BOXES, WEIGHTS), "inputs.0.layout", "'CHW', 'CWH'"),
        (
            (DETECTOR, IMAGE.replace("[3, 300", "[1, 300"), BOXES, WEIGHTS),
            "inputs.0",
            "not the 3 channels BGR",
        ),
        (
            (DETECTOR, IMAGE.replace("300, 200", "300"), BOXES, WEIGHTS),
            "inputs.0",
            "has not the axes of layout",
        ),
        ((DETECTOR, IMAGE.replace("104.0, ", ""), BOXES, WEIGHTS), "inputs.0", "mean takes one number or 3"),
        ((DETECTOR, IMAGE.replace("[0, 255]", "[255, 0]"), BOXES, WEIGHTS), "inputs.0", "lowest value comes"),
        ((DETECTOR, IMAGE.replace("0.5", "0.0"), BOXES, WEIGHTS), "inputs.0", "other than 0"),
        (
            (DETECTOR, IMAGE.replace("[3, 300", "[3, -1"), BOXES, WEIGHTS),
            "inputs.0.shape.1",
            "greater than 0",
        ),
        (
            (
                DETECTOR,
                'definition_note = "lost"\n',
                IMAGE,
                BOXES,
                WEIGHTS,
                WEIGHTS.replace("weights", "definition").replace("tiny.caffemodel", "net.prototxt"),
            ),
            "manifest",
            "definition_note: a file has the role 'definition'",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(tmp_path, parts, field, message):
    with pytest.raises(UsageError) as caught:
        read(tmp_path, *parts)
    line = str(caught.value).splitlines()[1]
    assert line.startswith(f"  {field}: ")
    assert message in line


def test_files_of_some_roles_may_be_several(tmp_path):
    other = '[[files]]\nname = "{}"\nrole = "{}"\n'
    files = [other.format(f"{role}{number}", role) for role in ("data", "alternative") for number in (1, 2)]
    manifest = read(tmp_path, DETECTOR, IMAGE, BOXES, WEIGHTS, *files)
    assert [file.name for file in manifest.source_files()] == ["tiny.caffemodel"]
    assert len(manifest.files) == 5


def test_an_archive_has_hashes_of_its_own(tmp_path):
    archive = f'[files.archive]\nname = "all.tgz"\nmember = "a/tiny.caffemodel"\nsha1 = "{"0a" * 20}"\n'
    (file,) = read(tmp_path, DETECTOR, IMAGE, BOXES, WEIGHTS, archive).files
    assert file.archive is not None
    assert file.archive.hashes == {"sha1": "0a" * 20}
    assert (file.hashes, file.trust) == ({}, "pinned")
