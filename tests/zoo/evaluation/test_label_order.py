"""The orders of ImageNet's classes, detected from the results of a real net."""

from __future__ import annotations

import csv

import cv2
import numpy as np
import pytest

from zoo.bundled import ilsvrc2012_val_labels
from zoo.evaluation.label_order import AS_GIVEN, detect_label_order, devkit_order


def test_the_devkit_order_is_a_permutation_and_fits_the_validation_labels():
    order = devkit_order()
    assert sorted(order) == list(range(1000))
    # The first ten lines of the development kit's ILSVRC2012_validation_ground_truth.txt.
    truth = [490, 361, 171, 822, 297, 482, 13, 704, 599, 164]
    assert [order[number - 1] for number in truth] == ilsvrc2012_val_labels()[:10]


@pytest.fixture
def found(shared):
    """Labels, and the best class that real Caffe gave each of the 200 photographs (135 right)."""
    path = shared / "models" / "squeezenet-deep-compression" / "imagenet-sample-top5.csv"
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    return [int(line["label"]) for line in lines], [int(line["id1"]) for line in lines]


def test_each_order_is_detected(found):
    labels, best = found
    to_devkit = {label: number for number, label in enumerate(devkit_order(), 1)}
    lists = {
        AS_GIVEN: labels,
        "counted from 1": [label + 1 for label in labels],
        "background class first": [label - 1 for label in labels],
        "devkit ids": [to_devkit[label] for label in labels],
        "devkit ids from 0": [to_devkit[label] - 1 for label in labels],
    }
    for name, given in lists.items():
        assert detect_label_order(given, best).name == name
    assert detect_label_order(labels, [to_devkit[first] - 1 for first in best]).name == "net in devkit order"


def test_too_few_images_show_no_order(found):
    labels, best = found
    assert detect_label_order(labels[:49], best[:49]) is None
    shuffled = np.random.default_rng(0).permutation(labels).tolist()
    assert detect_label_order(shuffled, best) is None


def test_a_weak_net_does_not_look_like_another_order(found):
    labels, _ = found
    generator = np.random.default_rng(1)
    weak = [label if generator.random() < 0.05 else int(generator.integers(1000)) for label in labels]
    assert detect_label_order(labels, weak) in (None, detect_label_order(labels, labels))


def test_a_list_that_counts_from_one_stops_the_run_early(tmp_path):
    """A net that is always right, and a list whose labels are all one too high."""
    from colour_net import PLAIN, save_net

    from zoo.datasets import open_dataset
    from zoo.errors import DataError
    from zoo.evaluation.evaluate import evaluate

    lines = []
    for i in range(60):
        pixels = np.zeros((8, 8, 3), np.uint8)
        pixels[:, :, i % 3] = 200
        cv2.imwrite(str(tmp_path / f"{i:02d}.png"), pixels)
        lines.append(f"{i:02d}.png {i % 3 + 1}\n")
    (tmp_path / "labels.txt").write_text("".join(lines))
    with open_dataset(tmp_path) as data, pytest.raises(DataError, match="the labels count from 1"):
        evaluate(save_net(tmp_path / "net.onnx"), data, PLAIN, model="m")
