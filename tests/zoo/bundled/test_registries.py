"""Datasets, orders of labels and tasks: what each entry says, and that a new one works by its entry alone."""

from __future__ import annotations

import json
import re

import cv2
import numpy as np
import pytest
from registry_entries import entries_restored

from zoo.bundled import (
    KNOWN_DATASETS,
    LABEL_ORDERS,
    TASKS,
    KnownDataset,
    LabelOrder,
    Task,
    register_dataset,
    register_label_order,
    register_task,
)
from zoo.catalog.manifest import Manifest
from zoo.catalog.metadata import metadata_of
from zoo.datasets import open_dataset

MANIFEST = """
schema_version = 1
name = "pets"
title = "Pets"
summary = "A net for tests."
architecture = "tiny"
recipe = "mine"
framework = "caffe"
dataset = "pets"
classes = 2
label_order = "pets"
input_shape = [3, 32, 32]
citation = "nobody"
license = { name = "MIT" }
preprocessing = { flavour = "caffe-warp36", crop = 32 }
[[files]]
name = "pets.caffemodel"
role = "weights"
"""


@pytest.mark.parametrize("name", LABEL_ORDERS)
def test_an_order_names_every_class_once(name):
    order = LABEL_ORDERS[name]
    names = order.class_names()
    assert len(names) == order.classes
    assert all(names)
    assert order.description.startswith(", ")
    # Two classes of ImageNet are called crane, and two maillot.
    assert len(names) - len(set(names)) <= 2


def test_the_order_of_2015_begins_as_its_development_kit():
    """The first classes of ILSVRC2015's map_clsloc.txt, by their ids 1 to 5."""
    first = ["kit fox", "English setter", "Siberian husky", "Australian terrier", "English springer"]
    assert [name.split(",")[0] for name in LABEL_ORDERS["ilsvrc2015"].class_names()[:5]] == first


def test_both_orders_of_imagenet_call_every_image_the_same():
    datasets = [KNOWN_DATASETS[name] for name in ("ilsvrc2012-val", "ilsvrc2015-val")]
    named = []
    for dataset in datasets:
        classes = LABEL_ORDERS[dataset.label_order].class_names()
        named.append({name: classes[label] for name, label in dataset.labels().items()})
    assert len(named[0]) == 50_000
    assert named[0] == named[1]
    assert datasets[0].labels() != datasets[1].labels()


@pytest.mark.parametrize("name", KNOWN_DATASETS)
def test_a_dataset_counts_in_a_known_order(name):
    dataset = KNOWN_DATASETS[name]
    labels = dataset.labels()
    assert set(labels.values()) == set(range(LABEL_ORDERS[dataset.label_order].classes))
    assert all(dataset.file_name.fullmatch(image) for image in labels)


def test_a_second_entry_of_a_name_is_refused():
    for register, registry in (
        (register_dataset, KNOWN_DATASETS),
        (register_label_order, LABEL_ORDERS),
        (register_task, TASKS),
    ):
        name, entry = next(iter(registry.items()))
        with pytest.raises(ValueError, match=f"two entries of the kind '{registry.kind}' are named '{name}'"):
            register(name, entry)


def test_a_new_dataset_with_its_order_works_by_its_entry_alone(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for name in ("pet_1.png", "pet_2.png"):
        cv2.imwrite(str(images / name), np.zeros((8, 8, 3), np.uint8))
    (images / "labels.txt").write_text("pet_1.png 0\npet_2.png 1\n")
    (tmp_path / "pets.toml").write_text(MANIFEST)
    with entries_restored(KNOWN_DATASETS), entries_restored(LABEL_ORDERS):
        register_label_order("pets", LabelOrder(2, lambda: ["cat", "dog"], ", cats first"))
        labels = {"pet_1.png": 0, "pet_2.png": 1}
        register_dataset("pets", KnownDataset("pets", re.compile(r"pet_\d\.png"), lambda: labels, "pets"))
        with open_dataset(images) as data:
            assert (data.name, data.label_order) == ("pets", "pets")
        manifest = Manifest.read(tmp_path / "pets.toml")
        assert metadata_of(manifest)["labels"] == ["cat", "dog"]


def test_a_new_task_works_by_its_entry_alone(dsd_zoo, tmp_path):
    text = MANIFEST.replace('dataset = "pets"\nclasses = 2\nlabel_order = "pets"\n', 'task = "depth"\n')
    outputs = '[[outputs]]\nname = "depth"\ndescription = "how far every pixel is"\n'
    (tmp_path / "pets.toml").write_text(text + outputs)
    with entries_restored(TASKS):
        register_task("depth", Task("Depth estimation", "a distance for every pixel"))
        listed = json.loads(dsd_zoo("list", "--json", "--task", "depth", "--manifests", tmp_path).out)
        assert [entry["name"] for entry in listed] == ["pets"]
        assert "Depth estimation\n\nMODEL" in dsd_zoo("list", "--manifests", tmp_path).out
        refused = dsd_zoo("validate", "pets", "--data", tmp_path, "--manifests", tmp_path)
        assert refused.code == 2
        assert "pets cannot be counted: it is a net for depth estimation" in refused.err
    assert dsd_zoo("list", "--task", "depth").code == 2
