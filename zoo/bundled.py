"""What ships with the zoo: the folder of manifests, and what it knows of datasets and orders of labels.

A manifest names its dataset and the order of its labels. `KNOWN_DATASETS` and `LABEL_ORDERS` say what is
known of each; a new one is an entry there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def bundled_folder() -> Path:
    """The folder with manifests, claim traces, labels and the embedded models."""
    return Path(__file__).resolve().parent.parent / "manifests"


ILSVRC2012_VAL = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG")


def imagenet_synsets() -> dict[str, int]:
    """ILSVRC2012 synset id ("n01440764") to label."""
    return {line.split()[0]: label for label, line in enumerate(_synset_lines())}


def imagenet_names() -> list[str]:
    """The names of ILSVRC2012's classes ("tench") in label order."""
    return [line.split(maxsplit=1)[1] for line in _synset_lines()]


def _synset_lines() -> list[str]:
    path = bundled_folder() / "ilsvrc2012" / "ilsvrc2012-synsets.txt"
    return path.read_text(encoding="utf-8").splitlines()


def ilsvrc2012_val_labels() -> list[int]:
    """Labels of ILSVRC2012_val_00000001.JPEG to ..._00050000.JPEG."""
    text = (bundled_folder() / "ilsvrc2012" / "ilsvrc2012-val-labels.txt").read_text(encoding="ascii")
    return [int(line) for line in text.split()]


def _ilsvrc2012_val() -> dict[str, int]:
    return {f"ILSVRC2012_val_{i:08d}.JPEG": label for i, label in enumerate(ilsvrc2012_val_labels(), 1)}


def _digits_test() -> dict[str, int]:
    return _listed_digits("val.txt")


def _digits_train() -> dict[str, int]:
    return _listed_digits("train.txt")


def _listed_digits(name: str) -> dict[str, int]:
    lines = (bundled_folder() / "digits" / "images" / name).read_text(encoding="ascii").splitlines()
    return {image: int(label) for image, label in (line.split() for line in lines)}


@dataclass(frozen=True, slots=True)
class KnownDataset:
    """A dataset that manifests may name.

    description: for people, on one line.
    file_name: matches the names of its images, and few others.
    labels: reads the label of every image, by file name.
    images: where its images lie in the bundled folder, as `open_dataset` takes them; None: not included.
    """

    description: str
    file_name: re.Pattern[str]
    labels: Callable[[], dict[str, int]]
    images: str | None = None


KNOWN_DATASETS = {
    "ilsvrc2012-val": KnownDataset(
        "ILSVRC2012 validation, 50,000 images (not included: you need your own copy)",
        ILSVRC2012_VAL,
        _ilsvrc2012_val,
    ),
    "digits-test": KnownDataset(
        "500 test images of handwritten digits (ship with the zoo)",
        re.compile(r"test_\d{5}\.png"),
        _digits_test,
        "digits/images/test_images.tar",
    ),
    "digits-train": KnownDataset(
        "1,297 training images of handwritten digits (ship with the zoo)",
        re.compile(r"train_\d{5}\.png"),
        _digits_train,
        "digits/images/train_images.tar",
    ),
}


def embedded_images(dataset: str) -> Path | None:
    """The labelled images of a dataset, as `open_dataset` takes them, if they ship with the zoo."""
    images = KNOWN_DATASETS[dataset].images if dataset in KNOWN_DATASETS else None
    return None if images is None else bundled_folder() / images


@dataclass(frozen=True, slots=True)
class LabelOrder:
    """What the outputs of a classifier mean, in their order.

    classes: how many there are. class_names: reads their names. description: for people, after "N classes".
    """

    classes: int
    class_names: Callable[[], list[str]]
    description: str


LABEL_ORDERS = {
    "sorted-synsets": LabelOrder(1000, imagenet_names, ", in the sorted order of their synset ids"),
    "digits": LabelOrder(10, lambda: [str(digit) for digit in range(10)], ", the digits in order"),
}
