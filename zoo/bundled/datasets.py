"""Datasets that manifests may name: how their images are recognised, labelled and numbered."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from converters import Registry
from zoo.bundled.folder import bundled_folder
from zoo.bundled.label_orders import devkit_order

ILSVRC2012_VAL = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG")


def ilsvrc2012_val_labels() -> list[int]:
    """Labels of ILSVRC2012_val_00000001.JPEG to ..._00050000.JPEG."""
    text = (bundled_folder() / "ilsvrc2012" / "ilsvrc2012-val-labels.txt").read_text(encoding="ascii")
    return [int(line) for line in text.split()]


def _ilsvrc2012_val() -> dict[str, int]:
    return {f"ILSVRC2012_val_{i:08d}.JPEG": label for i, label in enumerate(ilsvrc2012_val_labels(), 1)}


def _ilsvrc2015_val() -> dict[str, int]:
    kit_ids = {label: number for number, label in enumerate(devkit_order())}
    return {name: kit_ids[label] for name, label in _ilsvrc2012_val().items()}


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
    label_order: the name of the order of labels (`LABEL_ORDERS`) that these labels count in.
    images: where its images lie in the bundled folder, as `open_dataset` takes them; None: not included.
    """

    description: str
    file_name: re.Pattern[str]
    labels: Callable[[], dict[str, int]]
    label_order: str
    images: str | None = None


KNOWN_DATASETS: Registry[KnownDataset] = Registry("dataset")


def register_dataset(name: str, dataset: KnownDataset) -> None:
    """Add a dataset. ValueError if another has the same name."""
    KNOWN_DATASETS.add(name, dataset)


register_dataset(
    "ilsvrc2012-val",
    KnownDataset(
        "ILSVRC2012 validation, 50,000 images (not included: you need your own copy)",
        ILSVRC2012_VAL,
        _ilsvrc2012_val,
        "sorted-synsets",
    ),
)
register_dataset(
    "ilsvrc2015-val",
    KnownDataset(
        "ILSVRC2015 validation: the 50,000 images of 2012, labels in the order of 2015 (not included)",
        ILSVRC2012_VAL,
        _ilsvrc2015_val,
        "ilsvrc2015",
    ),
)
register_dataset(
    "digits-test",
    KnownDataset(
        "500 test images of handwritten digits (ship with the zoo)",
        re.compile(r"test_\d{5}\.png"),
        _digits_test,
        "digits",
        "digits/images/test_images.tar",
    ),
)
register_dataset(
    "digits-train",
    KnownDataset(
        "1,297 training images of handwritten digits (ship with the zoo)",
        re.compile(r"train_\d{5}\.png"),
        _digits_train,
        "digits",
        "digits/images/train_images.tar",
    ),
)


def embedded_images(dataset: str | None) -> Path | None:
    """The labelled images of a dataset, as `open_dataset` takes them, if they ship with the zoo.

    None for no dataset, or one that the zoo does not know.
    """
    images = None if dataset is None or dataset not in KNOWN_DATASETS else KNOWN_DATASETS[dataset].images
    return None if images is None else bundled_folder() / images
